"""What a random order of the pages would reach, and whether a result is any better."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from colintern.data.columns import find
from colintern.data.views import View
from colintern.evaluation.decision import CUTOFF, METRIC

_MARGIN = 0.02  # at most, of nDCG: in a corpus of a few pages twice chance is more than can be had


def chance_level(view: View) -> float:
    """The expected nDCG@5 of a random order of the searched pages, mean over judged queries.

    Every page is as likely at each rank, so the expected gain at a rank is the mean gain over all
    pages, and the expected DCG that times the sum of the discounts. Gains are linear, as in
    `metrics`. A query that is not asked finds nothing in any order.
    """
    judgements, num_pages = view.judgements, max(1, len(view.pages))
    is_found = view.is_searched[view.judged_pages[judgements.pages]]
    scores, offsets = judgements.scores, judgements.offsets
    of_any_order = _dcg([1] * min(CUTOFF, len(view.pages)))

    def expected(row: int) -> float:
        own = slice(offsets[row], offsets[row + 1])
        gain = int(scores[own][is_found[own]].sum())
        return gain / num_pages * of_any_order / _dcg(np.sort(scores[own])[::-1].tolist())

    asked = find(view.query_ids, judgements.query_ids).tolist()
    return math.fsum(map(expected, asked)) / max(1, len(judgements))


def is_at_chance(document: Mapping[str, Any]) -> bool:
    """Whether an evaluation is hardly better than a random order.

    It is when its interval does not lie above twice the level of chance; in a corpus of few pages,
    above that level and 0.02. An evaluation of an earlier version does not know the level.
    """
    if "chance" not in document:
        return False
    level = document["chance"][METRIC]
    return document["ci"][METRIC][0] <= level + min(level, _MARGIN)


def beside_chance(document: Mapping[str, Any]) -> str:
    """`at chance level (0.004)` for an evaluation that is; empty for any other."""
    return f"at chance level ({document['chance'][METRIC]:.3f})" if is_at_chance(document) else ""


def _dcg(gains: list[int]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains[:CUTOFF], 1))
