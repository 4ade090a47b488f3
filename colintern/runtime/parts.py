"""Work that falls into parts, each of which makes one file; parts that are there are done.

Here is what may be asked for, and how it is done in this process; `part_pool` does it on Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from colintern import log, storage
from colintern.records.lease import Held


@dataclass(frozen=True)
class Part:
    """What makes one file; small, and can be sent to a worker.

    Attributes:
        path: the file. It is written whole or not at all, so the part is done when it is there.
        num_items: pages, queries or whatever is counted.
        task: what a maker has to know.
    """

    path: str
    num_items: int
    task: Any


# Writes the file of a part, with the same bytes whoever does it, and however often.
Maker = Callable[[Part], None]


class OpenMaker(Protocol):
    """Gives a worker its maker, once: what parts have in common, as a model. It can be sent."""

    def __call__(self, device: str) -> Maker:
        """A maker that computes on this torch device."""
        ...


@dataclass(frozen=True)
class PartsJob:
    """Parts that are made alike.

    Attributes:
        name: the part of the work that lines in the log are about.
        items: what is counted, in the plural.
        parts: all of them, those too that are there.
        open_maker: called once by each worker.
    """

    name: str
    items: str
    parts: Sequence[Part]
    open_maker: OpenMaker

    def missing(self) -> list[Part]:
        """The parts that are not there yet, in their order; one listing for each folder."""
        folders = {_folder_of(part.path) for part in self.parts}
        there = {path for folder in folders for path in storage.list_files(folder)}
        return [part for part in self.parts if part.path not in there]


class PartsCrew(Protocol):
    """Those who make parts."""

    def make(self, parts: Sequence[Part], open_maker: OpenMaker, held: Held) -> Iterator[Part]:
        """Make parts, in any order.

        Args:
            parts: at least one.
            open_maker: called once by each worker.
            held: the lease of the folder that is written to.

        Yields:
            Each part when its file is there.

        Raises:
            ColInternError: what went wrong in a part.
        """
        ...


class CrewHere:
    """One part after the other, in this process, on the CPU."""

    def make(self, parts: Sequence[Part], open_maker: OpenMaker, held: Held) -> Iterator[Part]:
        """See `PartsCrew`."""
        make = open_maker("cpu")
        for part in parts:
            held.check()
            make(part)
            yield part


def make_parts(job: PartsJob, crew: PartsCrew, held: Held) -> None:
    """Make the parts of a job that are not there yet.

    Args:
        job: what is made.
        crew: who makes it.
        held: the lease of the folder that is written to.
    """
    missing = job.missing()
    log.say(job.name, "%d of %d parts to do", len(missing), len(job.parts))
    if not missing:
        return
    total = sum(part.num_items for part in missing)
    with log.Progress(job.name, "", job.items, total) as progress:
        for number, part in enumerate(crew.make(missing, job.open_maker, held), start=1):
            if number == 1:
                progress.at_work(part.num_items)  # before the first part, workers start
            progress.add(part.num_items, f"{number} / {len(missing)} parts")


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]
