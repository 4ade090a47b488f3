"""The training examples of a round, and the order in which steps take them.

The global batch is the truth: which examples a step takes, and their negatives, depends on seed,
round, epoch and step only, never on the number of workers that share the batch out.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from colintern.data.views import View
from colintern.errors import DatasetError
from colintern.features.store import FeatureStore


@dataclass(frozen=True)
class Example:
    """A query, a page judged relevant to it, and the negatives drawn for it this time."""

    query_id: str
    page_id: str
    negatives: tuple[str, ...]


@dataclass(frozen=True)
class GlobalBatch:
    """The examples of one step, before they are shared out; `step` counts from 1."""

    step: int
    epoch: int
    examples: Sequence[Example]


class TrainingSet:
    """All pairs of the training view, and each query's mined negatives (none in round 1).

    Raises:
        DatasetError: there are fewer than two pairs.
    """

    def __init__(self, view: View, store: FeatureStore, mined: Mapping[str, Sequence[str]]) -> None:
        self.view = view
        self.store = store
        self._mined = mined
        self._pairs = view.pairs()
        if len(self._pairs) < 2:
            raise DatasetError(
                f"dataset {view.name}: {len(self._pairs)} usable pair of a query and its page; "
                "training needs two at least"
            )

    def num_steps(self, global_batch: int, epochs: int) -> int:
        """Steps of a round; what is left of an epoch after its last full batch is left out."""
        return max(1, len(self._pairs) // global_batch) * epochs

    def batches(
        self, global_batch: int, epochs: int, negatives_per_query: int, seed: str
    ) -> Iterator[GlobalBatch]:
        """Every step's examples, each epoch in an order of its own."""
        size = min(global_batch, len(self._pairs))
        per_epoch = len(self._pairs) // size
        for epoch in range(1, epochs + 1):
            draw = random.Random(f"{seed} {epoch}")
            pairs = draw.sample(self._pairs, len(self._pairs))
            for number in range(per_epoch):
                chosen = pairs[number * size : (number + 1) * size]
                examples = [
                    Example(*pair, self._drawn(pair[0], negatives_per_query, draw))
                    for pair in chosen
                ]
                yield GlobalBatch((epoch - 1) * per_epoch + number + 1, epoch, examples)

    def _drawn(self, query_id: str, number: int, draw: random.Random) -> tuple[str, ...]:
        mined = self._mined.get(query_id, ())
        return tuple(draw.sample(mined, min(number, len(mined))))
