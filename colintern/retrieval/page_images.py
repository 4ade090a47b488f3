"""The image files of a store's pages: where they stand in the dataset is read once."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colintern import storage
from colintern.data.canonical import CanonicalDataset, PageLocation, read_images
from colintern.data.inventory import row_group_sizes
from colintern.data.parquet import stream_columns
from colintern.features.store import Items
from colintern.storage import FileState


@dataclass(frozen=True)
class _Rows:
    """Which row of the corpus each page of a store is.

    Attributes:
        files: of the corpus, as they were when their ids were read.
        groups: file and number of every row group.
        starts: the row of the corpus with which each row group begins, int64.
        origins: the row of each page, int32 [N]; -1 of a page that is not there.
    """

    files: list[FileState]
    groups: list[tuple[str, int]]
    starts: np.ndarray
    origins: np.ndarray

    def location(self, position: int) -> PageLocation | None:
        if (origin := int(self.origins[position])) < 0:
            return None
        group = int(np.searchsorted(self.starts, origin, side="right")) - 1
        return PageLocation(*self.groups[group], origin - int(self.starts[group]))


class PageImages:
    """Reads image files of pages. Threads may share it.

    The ids of the whole dataset are read at the first time, and again when its files have changed;
    four bytes a page are kept.

    Args:
        folder: the dataset.
        pages: those of its store.
    """

    def __init__(self, folder: str, pages: Items) -> None:
        self._folder, self._pages = folder, pages
        self._known: _Rows | None = None
        self._reading = threading.Lock()  # held while ids are read

    def read(self, positions: Sequence[int]) -> list[bytes | None]:
        """The image bytes of pages, by their positions in the store; each row group is read once.

        Returns:
            In the order of `positions`; None for a page that is not in the dataset any more.

        Raises:
            DatasetError: the dataset is gone, or damaged.
        """
        rows = self._rows()
        locations = {place: rows.location(place) for place in positions}
        there = {place: location for place, location in locations.items() if location}
        images = dict(zip(there, read_images(list(there.values())), strict=True))
        return [images.get(place) for place in positions]

    def _rows(self) -> _Rows:
        corpus = CanonicalDataset(self._folder).corpus_files
        listed = storage.list_states(storage.join(self._folder, "corpus"), ".parquet")
        files = [state for state in listed if state.path in set(corpus)]
        with self._reading:
            if self._known is None or self._known.files != files:
                self._known = _read_rows(files, self._pages)
            return self._known


def _read_rows(files: list[FileState], pages: Items) -> _Rows:
    paths = [file.path for file in files]
    sizes = row_group_sizes(paths)
    counts = np.array([num_rows for *_, num_rows in sizes], np.int64)
    origins = np.full(len(pages), -1, np.int32)
    for first, id_N in _ids(paths):
        position_N = pages.find(id_N)
        row_N = np.flatnonzero(position_N >= 0)[::-1]  # of rows with one id, the first counts
        row_N = row_N[origins[position_N[row_N]] < 0]
        origins[position_N[row_N]] = first + row_N
    groups = [(file, group) for file, group, _ in sizes]
    return _Rows(files, groups, np.cumsum(counts) - counts, origins)


def _ids(files: Sequence[str]) -> Iterator[tuple[int, pa.Array]]:
    """Page ids in batches, each with the row of the corpus with which it begins."""
    first = 0
    for batch in stream_columns(files, ["corpus-id"]):
        yield first, batch.column(0)
        first += batch.num_rows
