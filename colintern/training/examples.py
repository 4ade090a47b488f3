"""The training examples of a round, and the order in which steps take them.

The global batch is the truth: which examples a step takes, and their negatives, depends on seed,
round, epoch and step only, never on the number of workers that share the batch out.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from colintern.data.columns import find, strings
from colintern.data.views import View
from colintern.errors import DatasetError
from colintern.features.store import FeatureStore
from colintern.streams import packed

_MINED_AT_A_TIME = 4_096  # queries whose negatives are looked up together

Mined = tuple[str, Sequence[str]]  # a query's id, and those of its negatives


@dataclass(frozen=True)
class Example:
    """A query, a page judged relevant to it, and the negatives drawn for it this time.

    Attributes:
        query: its index among the queries of the view.
        page: the position in the store of a page that is judged relevant.
        negatives: the positions in the store of the negatives.
    """

    query: int
    page: int
    negatives: tuple[int, ...]


@dataclass(frozen=True)
class GlobalBatch:
    """The examples of one step, before they are shared out; `step` counts from 1."""

    step: int
    epoch: int
    examples: Sequence[Example]


class TrainingSet:
    """All pairs of the training view, and each query's mined negatives (none in round 1).

    Args:
        view: the training pages and queries.
        store: their features.
        mined: each query with its negatives.

    Raises:
        DatasetError: there are fewer than two pairs, or a negative has no features.
    """

    def __init__(self, view: View, store: FeatureStore, mined: Iterable[Mined] = ()) -> None:
        self.view = view
        self.store = store
        self._mined = _Mined(view, store, mined)
        self._queries, self._pages = view.pairs()
        if len(self._queries) < 2:
            raise DatasetError(
                f"dataset {view.name}: {len(self._queries)} usable pair of a query and its page; "
                "training needs at least two"
            )

    def num_steps(self, global_batch: int, epochs: int) -> int:
        """Steps of a round; what is left of an epoch after its last full batch is left out."""
        return max(1, len(self._queries) // global_batch) * epochs

    def batches(
        self, global_batch: int, epochs: int, negatives_per_query: int, seed: str
    ) -> Iterator[GlobalBatch]:
        """Every step's examples, each epoch in an order of its own."""
        num_pairs = len(self._queries)
        size = min(global_batch, num_pairs)
        per_epoch = num_pairs // size
        for epoch in range(1, epochs + 1):
            draw = random.Random(f"{seed} {epoch}")
            order = np.array(draw.sample(range(num_pairs), num_pairs), dtype=np.int32)
            for number in range(per_epoch):
                pairs = order[number * size : (number + 1) * size]
                queries, pages = self._queries[pairs].tolist(), self._pages[pairs].tolist()
                examples = [
                    Example(query, page, self._drawn(query, negatives_per_query, draw))
                    for query, page in zip(queries, pages, strict=True)
                ]
                yield GlobalBatch((epoch - 1) * per_epoch + number + 1, epoch, examples)

    def _drawn(self, query: int, number: int, draw: random.Random) -> tuple[int, ...]:
        mined = self._mined[query]
        return tuple(draw.sample(mined, min(number, len(mined))))


class _Mined:
    """The mined negatives of each query, as positions in the store."""

    def __init__(self, view: View, store: FeatureStore, mined: Iterable[Mined]) -> None:
        self._first = np.zeros(len(view.queries), dtype=np.int64)
        self._count = np.zeros(len(view.queries), dtype=np.int32)
        pages, filled = [np.empty(0, np.int32)], 0
        for part in packed(mined, lambda _: 1, _MINED_AT_A_TIME):
            query_ids, negatives = zip(*part, strict=True)
            counts = np.array([len(page_ids) for page_ids in negatives])
            first = filled + np.cumsum(counts) - counts
            queries = find(strings(query_ids), view.query_ids)
            asked = queries >= 0
            self._first[queries[asked]], self._count[queries[asked]] = first[asked], counts[asked]
            pages.append(_found(strings(list(chain.from_iterable(negatives))), view, store))
            filled += int(counts.sum())
        self._pages = np.concatenate(pages)

    def __getitem__(self, query: int) -> list[int]:
        first = self._first[query]
        return self._pages[first : first + self._count[query]].tolist()


def _found(page_ids: pa.Array, view: View, store: FeatureStore) -> NDArray[np.int32]:
    """The positions of mined pages.

    Raises:
        DatasetError: one has no features.
    """
    positions = store.pages.find(page_ids)
    for unknown in np.flatnonzero(positions < 0):
        raise DatasetError(
            f"dataset {view.name}: the mined page {page_ids[int(unknown)]} has no features"
        )
    return positions.astype(np.int32)
