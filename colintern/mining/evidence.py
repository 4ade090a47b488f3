"""What mining did, counted while it happens: the content of `mining.json`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from colintern.config import MiningConfig
from colintern.data.triples import Triple
from colintern.mining.rules import NEAR_DUPLICATE, Selection

RULES = ("positive", "same_page", "relative_margin", "absolute_margin", "max_score", "min_score")
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass
class Evidence:
    """Counts over all queries, by settings that say which rules there are."""

    settings: MiningConfig
    dropped: Counter[str] = field(default_factory=Counter)
    underfilled: int = 0
    without_negatives: int = 0
    num_triples: int = 0
    _positive_scores: list[float] = field(default_factory=list)
    _negative_scores: list[float] = field(default_factory=list)
    _negative_ranks: list[int] = field(default_factory=list)

    def add(self, triple: Triple, selection: Selection) -> None:
        """Count one query."""
        self.num_triples += 1
        self.dropped += selection.dropped
        self.underfilled += 0 < len(triple.negs) < self.settings.num_negatives
        self.without_negatives += not triple.negs
        self._positive_scores += triple.pos_scores
        self._negative_scores += triple.neg_scores
        self._negative_ranks += triple.neg_ranks

    def summary(self) -> dict[str, Any]:
        """The part of `mining.json` that is about the negatives."""
        rules = RULES if self.settings.near_duplicate is None else (*RULES, NEAR_DUPLICATE)
        return {
            "dropped": {rule: self.dropped[rule] for rule in rules},
            "underfilled": self.underfilled,
            "without_negatives": self.without_negatives,
            "quantiles": {
                "pos_scores": _quantiles(self._positive_scores),
                "neg_scores": _quantiles(self._negative_scores),
                "neg_ranks": _quantiles(self._negative_ranks),
            },
        }


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    found = np.quantile(np.asarray(values, dtype=np.float64), _QUANTILES)
    return {str(share): float(value) for share, value in zip(_QUANTILES, found, strict=True)}
