"""Puts what was built beside a dataset into it, when all of it is there.

Where pages and questions are only added, no file is changed or removed: the dataset is whole at any
moment, and a run that is going on reads what it began with. Where something is replaced, the
dataset counts as unfinished in between, and the same command finishes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colintern import storage
from colintern.data.canonical import DATASET_DONE, INGEST_BEGUN, PARTS

# Readers of datasets leave out a folder with such a name.
_BESIDE = "_beside"


def beside(folder: str) -> str:
    """Where the new files of a finished dataset are written first."""
    return storage.join(folder, _BESIDE)


@dataclass(frozen=True)
class Swap:
    """What is to be put in the place of what.

    Attributes:
        folder: of the dataset.
        begun: `ingest.json`.
        report: `dataset.json`.
        new: files of the folder beside, by their paths in the dataset, in the order of their turn.
        old: files of the dataset that go, full paths.
        write_questions: writes queries and judgements; None where they are among the files.
        replaces: whether something goes, or is written over.
        check: raises when nothing must be written.
    """

    folder: str
    begun: Mapping[str, Any]
    report: Mapping[str, Any]
    new: Sequence[str]
    old: Sequence[str]
    write_questions: Callable[[], None] | None
    replaces: bool
    check: Callable[[], None]

    def do(self) -> None:
        """Do it; the report is written last."""
        self.check()
        begun = {**self.begun, "is_replacing": True} if self.replaces else self.begun
        storage.write_json(storage.join(self.folder, INGEST_BEGUN), begun)
        if self.replaces:
            storage.delete(storage.join(self.folder, DATASET_DONE))
        for name in self.new:
            self.check()
            storage.move(storage.join(beside(self.folder), name), storage.join(self.folder, name))
        for path in self.old:
            self.check()
            storage.delete(path)
        self.check()
        if self.write_questions is not None:
            self.write_questions()
        self.check()
        storage.write_json(storage.join(self.folder, DATASET_DONE), self.report)
        storage.delete_folder(beside(self.folder))


def files_of(folder: str) -> list[str]:
    """The paths inside `folder` of the files of its three parts, pages first."""
    return [
        path.removeprefix(folder).lstrip("/")
        for part in PARTS
        for path in storage.list_files(storage.join(folder, part), ".parquet")
    ]
