"""What mining did, counted while it happens: the content of `mining.json`."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from colintern.config.schema import MiningConfig
from colintern.data.triples import Triple
from colintern.mining.rules import NEAR_DUPLICATE, Selection

RULES = ("positive", "same_page", "relative_margin", "absolute_margin", "max_score", "min_score")
_NEVER_NEGATIVES = ("positive", "same_page")  # by no setting, but because they answer the query
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass
class Evidence:
    """Counts over all queries, by settings that say which rules there are."""

    settings: MiningConfig
    dropped: Counter[str] = field(default_factory=Counter)
    underfilled: int = 0
    without_negatives: int = 0
    num_triples: int = 0
    # Scores are float32 numbers; 4 bytes each, as there may be many millions.
    _positive_scores: "array[float]" = field(default_factory=partial(array, "f"))
    _negative_scores: "array[float]" = field(default_factory=partial(array, "f"))
    _negative_ranks: "array[int]" = field(default_factory=partial(array, "I"))

    def add(self, triple: Triple, selection: Selection) -> None:
        """Count one query."""
        self.num_triples += 1
        self.dropped += selection.dropped
        self.underfilled += 0 < len(triple.negs) < self.settings.num_negatives
        self.without_negatives += not triple.negs
        self._positive_scores.extend(triple.pos_scores)
        self._negative_scores.extend(triple.neg_scores)
        self._negative_ranks.extend(triple.neg_ranks)

    def summary(self) -> dict[str, Any]:
        """The part of `mining.json` that is about the negatives."""
        rules = RULES if self.settings.near_duplicate is None else (*RULES, NEAR_DUPLICATE)
        return {
            "queries": self.num_triples,
            "negatives": len(self._negative_scores),
            "dropped": {rule: self.dropped[rule] for rule in rules},
            "underfilled": self.underfilled,
            "without_negatives": self.without_negatives,
            "quantiles": {
                "pos_scores": _quantiles(self._positive_scores),
                "neg_scores": _quantiles(self._negative_scores),
                "neg_ranks": _quantiles(self._negative_ranks),
            },
        }


def shortage(document: Mapping[str, Any]) -> str | None:
    """Why a mining found less than half of the negatives it was to find; None when it found more.

    Args:
        document: the content of `mining.json`.

    Returns:
        How many are missing, and the setting that refused most pages, with the remedy.
    """
    settings, queries = document["settings"], document["queries"]
    wanted = queries * settings["num_negatives"]
    if 2 * document["negatives"] >= wanted:
        return None
    return (
        f"{document['negatives']:,} of {wanted:,} negatives found, none for "
        f"{document['without_negatives']:,} of {queries:,} queries: {_cause(document)}"
    )


def _cause(document: Mapping[str, Any]) -> str:
    """The setting that refused most pages, and how to loosen it."""
    settings, dropped = document["settings"], document["dropped"]
    by_setting = {rule: count for rule, count in dropped.items() if rule not in _NEVER_NEGATIVES}
    rule = max(by_setting, key=lambda rule: by_setting[rule])
    if not by_setting[rule]:
        return (
            f"mining.range_min={settings['range_min']} and range_max={settings['range_max']} leave "
            "too few pages, or the training set has few that answer other queries"
        )
    pages = f"{by_setting[rule]:,} pages"
    if settings.get(rule) is None:  # refused all the same where a positive's score is 0 or below
        return f"{pages} score above a positive that is at 0 or below: the heads know little yet"
    change = "raise" if rule == "max_score" else "lower"
    return f"mining.{rule}={settings[rule]} refused {pages}; {change} it"


def _quantiles(values: "array[float] | array[int]") -> dict[str, float]:
    """Those of numpy's `quantile` over float64, of which no second copy is made."""
    if not values:
        return {}
    ordered = np.sort(np.frombuffer(values, dtype=values.typecode))
    found = {}
    for share in _QUANTILES:
        exact = (len(ordered) - 1) * share
        below = int(exact)
        low, high = (float(ordered[min(row, len(ordered) - 1)]) for row in (below, below + 1))
        part, step = exact - below, high - low
        found[str(share)] = low + step * part if part < 0.5 else high - step * (1 - part)
    return found
