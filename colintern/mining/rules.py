"""The rules that turn one query's ranked pages into its hard negatives.

Names follow sentence-transformers' `mine_hard_negatives`; the margin relative to the positive is
the `perc-pos` rule of NV-Retriever (https://arxiv.org/abs/2407.15831), measured from the lowest
positive. Margins compare exact scores.
"""

import random
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from colintern.config.schema import MiningConfig

NEAR_DUPLICATE = "near_duplicate"


class Ranked(NamedTuple):
    """A page in a query's results.

    Attributes:
        page: its ordinal.
        score: its exact score.
        rank: from 1; counts the whole searched corpus.
    """

    page: int
    score: float
    rank: int


@dataclass(frozen=True)
class Selection:
    """The hard negatives of one query, hardest first, and how many pages each rule took out."""

    negatives: list[Ranked]
    dropped: Counter[str]


def select_negatives(
    ranked: Sequence[Ranked],
    *,
    positives: Container[int],
    positive_pictures: Container[int],
    pictures: Sequence[int],
    lowest_positive: float,
    settings: MiningConfig,
    seed: str,
    near_duplicates: Container[int] = frozenset(),
) -> Selection:
    """Apply the rules to one query.

    Args:
        ranked: the best pages of the searched corpus, best first; those behind the range are
            neither taken nor counted.
        positives: all pages judged for this query or an equal query text.
        positive_pictures: what `positives` show; equal numbers are the same picture.
        pictures: what each page of `ranked` shows.
        lowest_positive: the lowest exact score of the query's positives.
        settings: range, margins, limits, sampling, number.
        seed: what `sampling: random` draws from.
        near_duplicates: pages that were found to show what a positive shows; they keep their
            positions in the range, as those do that a margin takes out.

    Returns:
        At most `num_negatives` pages; a short list is never filled up.
    """
    dropped: Counter[str] = Counter()
    others = []
    for page, picture in zip(ranked, pictures, strict=True):
        if len(others) == settings.range_max:  # what follows may be there for another query
            break
        if page.page in positives:
            dropped["positive"] += 1
        elif picture in positive_pictures:
            dropped["same_page"] += 1
        else:
            others.append(page)
    kept = []
    for page in others[settings.range_min :]:
        rule = _refused_by(page.score, lowest_positive, settings)
        if rule is None and page.page in near_duplicates:
            rule = NEAR_DUPLICATE
        if rule is None:
            kept.append(page)
        else:
            dropped[rule] += 1
    return Selection(_sampled(kept, settings, seed), dropped)


def _refused_by(score: float, low: float, settings: MiningConfig) -> str | None:
    """The first rule that refuses a page with `score`, or None."""
    absolute = settings.absolute_margin
    if low > 0 and score > low * (1 - settings.relative_margin):
        return "relative_margin"
    if (low <= 0 or absolute is not None) and score > low - (absolute or 0.0):
        return "absolute_margin"
    if settings.max_score is not None and score > settings.max_score:
        return "max_score"
    if settings.min_score is not None and score < settings.min_score:
        return "min_score"
    return None


def _sampled(kept: list[Ranked], settings: MiningConfig, seed: str) -> list[Ranked]:
    if settings.sampling == "top" or len(kept) <= settings.num_negatives:
        return kept[: settings.num_negatives]
    drawn = random.Random(seed).sample(kept, settings.num_negatives)
    return sorted(drawn, key=lambda page: page.rank)
