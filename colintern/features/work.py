"""The work for the shards that a store lacks: one planned shard is one row of work."""

import json
import zlib
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import overload

from colintern import storage
from colintern.data.canonical import PageLocation
from colintern.features.cutting import PlannedShard


@dataclass(frozen=True)
class ShardWork:
    """One planned shard: a row of work.

    Attributes:
        folder: the store's `pages` or `queries`.
        shard: file name and item hashes, in the order of the plan.
        locations: where each page stands in the corpus; empty for queries.
        page_ids: what each page is called, for messages; empty for queries.
        batch_keys: pages with equal keys have equally many tokens and may share a model batch.
        texts: the text of each query; empty for pages.
    """

    folder: str
    shard: PlannedShard
    locations: tuple[PageLocation, ...] = ()
    page_ids: tuple[str, ...] = ()
    batch_keys: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def store(self) -> str:
        """The store that this work is for."""
        return self.folder.rpartition("/")[0]

    @property
    def path(self) -> str:
        """The file that this work writes."""
        return storage.join(self.folder, self.shard.file)

    def single(self, index: int) -> "ShardWork":
        """The work for one item alone; never written."""
        cut = slice(index, index + 1)
        return replace(
            self,
            shard=PlannedShard(self.shard.file, self.shard.items[cut]),
            locations=self.locations[cut],
            page_ids=self.page_ids[cut],
            batch_keys=self.batch_keys[cut],
            texts=self.texts[cut],
        )

    def packed(self) -> bytes:
        """The work in few bytes, for a row of a Ray Data block: about 60 a page."""
        return zlib.compress(json.dumps(asdict(self)).encode())

    @staticmethod
    def unpacked(packed: bytes) -> "ShardWork":
        """The inverse of `packed`."""
        row = json.loads(zlib.decompress(packed))
        return ShardWork(
            folder=row["folder"],
            shard=PlannedShard(row["shard"]["file"], tuple(row["shard"]["items"])),
            locations=tuple(PageLocation(**location) for location in row["locations"]),
            page_ids=tuple(row["page_ids"]),
            batch_keys=tuple(row["batch_keys"]),
            texts=tuple(row["texts"]),
        )


@dataclass(frozen=True)
class Job:
    """The work of one shard, made when it is asked for: its file, its size, and what makes it."""

    path: str
    num_items: int
    make: Callable[[], ShardWork]


class PlannedWork(Sequence[ShardWork]):
    """The work of many shards, each made when it is asked for: all of it names every page."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = tuple(jobs)

    def __len__(self) -> int:
        return len(self.jobs)

    @overload
    def __getitem__(self, index: int) -> ShardWork: ...
    @overload
    def __getitem__(self, index: slice) -> "PlannedWork": ...
    def __getitem__(self, index: int | slice) -> "ShardWork | PlannedWork":
        if isinstance(index, slice):
            return PlannedWork(self.jobs[index])
        return self.jobs[index].make()

    @property
    def num_items(self) -> int:
        """Pages and queries of all shards."""
        return sum(job.num_items for job in self.jobs)

    def without(self, paths: Container[str]) -> "PlannedWork":
        """Only the work for files that are not among `paths`."""
        return PlannedWork(job for job in self.jobs if job.path not in paths)
