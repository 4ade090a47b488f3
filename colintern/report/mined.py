"""What the report shows of mining: scores, how much is new, and pairs for people to judge."""

import heapq
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colintern import storage
from colintern.data.triples import Triple, read_triples
from colintern.records.run_folder import RunFolder
from colintern.report.examples import ShownPage
from colintern.report.pictures import Pictures

_HARDEST, _DRAWN = 25, 25  # pairs that people may judge
_BIN_WIDTH = 0.005  # of histograms over all scores that there can be
_RULES: dict[str, str] = {
    "positive": "answer the question by a judgement, of it or of an equal question",
    "same_page": "show the same picture as a right page",
    "relative_margin": "score too near the right page, or above it (mining.relative_margin)",
    "absolute_margin": "score too near the right page, or above it (mining.absolute_margin)",
    "max_score": "score above mining.max_score",
    "min_score": "score below mining.min_score",
    "near_duplicate": "nearly show what a right page shows (mining.near_duplicate)",
}


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each of the equal parts of a range."""

    low: float
    high: float
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, low: float, high: float) -> "Histogram":
        """One of a range, in which nothing is counted yet."""
        return cls(low, high, np.zeros(round((high - low) / _BIN_WIDTH), np.int64))

    def add(self, values: Sequence[float]) -> None:
        """Count further values; one outside the range counts at its end."""
        share = (np.asarray(values, np.float64) - self.low) / (self.high - self.low)
        index = np.clip((share * len(self.counts)).astype(np.int64), 0, len(self.counts) - 1)
        np.add.at(self.counts, index, 1)

    @property
    def edges(self) -> NDArray[np.float64]:
        """Of the bins, one more than there are bins."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)


@dataclass
class MinedPair:
    """A query with a right page and its hardest negative, to be judged by a person.

    Attributes:
        query_id: its id.
        query: its text.
        right: the right page with the lowest score.
        negative: the hardest mined page.
        difference: how much higher the right page scores.
        is_hardest: whether it was chosen for that; else it was drawn.
    """

    query_id: str
    query: str
    right: ShownPage
    negative: ShownPage
    difference: float
    is_hardest: bool

    @property
    def pages(self) -> list[ShownPage]:
        """Both of them."""
        return [self.right, self.negative]


@dataclass
class MinedRound:
    """What was mined before one round.

    Attributes:
        document: the content of `mining.json`.
        positives: scores of all right pages.
        negatives: scores of all mined pages.
        differences: of each mined page, the lowest right page's score minus its own.
        overlap: the share of these pairs that the mining before had too; None for the first.
        pairs: some to be judged.
    """

    document: dict[str, Any]
    positives: Histogram = field(default_factory=lambda: Histogram.empty(-1, 1))
    negatives: Histogram = field(default_factory=lambda: Histogram.empty(-1, 1))
    differences: Histogram = field(default_factory=lambda: Histogram.empty(-2, 2))
    overlap: float | None = None
    pairs: list[MinedPair] = field(default_factory=list)

    @property
    def rules(self) -> list[tuple[str, int]]:
        """Rules that took out pages, in words, with how many."""
        dropped: Iterable[tuple[str, int]] = self.document["dropped"].items()
        return [(_RULES.get(rule, rule), count) for rule, count in dropped if count]


def read_mined(folder: RunFolder, rounds: Sequence[int], seed: int) -> dict[int, MinedRound]:
    """Read triples once, a query at a time.

    Args:
        folder: of the run.
        rounds: that were mined for, in order.
        seed: of the pairs that are drawn.
    """
    found: dict[int, MinedRound] = {}
    for number in rounds:
        mined = MinedRound(storage.read_json(folder.mining(number)))
        path = folder.triples(number)
        mined.pairs = _read_pairs(mined, path, seed)
        if number - 1 in found:
            mined.overlap = _overlap(path, folder.triples(number - 1))
        found[number] = mined
    return found


def add_pictures(pairs: Sequence[MinedPair], folder: str, pictures: Pictures) -> None:
    """Give the pages of pairs their pictures; arguments as in `examples.add_pictures`."""
    pages = [page for pair in pairs for page in pair.pages]
    pictures.take(folder, [page.page_id for page in pages])
    for page in pages:
        page.picture = pictures.key(folder, page.page_id)
        page.missing = pictures.why_missing(folder, page.page_id)


def _read_pairs(mined: MinedRound, path: str, seed: int) -> list[MinedPair]:
    """Count all scores; keep the hardest pairs, and draw others."""
    hardest: list[tuple[float, int, MinedPair]] = []
    drawn: list[MinedPair] = []
    draw = random.Random(seed)
    for number, triple in enumerate(_counted(mined, path)):
        pair = _pair(triple)
        entry = (-pair.difference, -number, pair)  # of equally hard ones the first is kept
        if len(hardest) < _HARDEST:
            heapq.heappush(hardest, entry)
        else:
            heapq.heappushpop(hardest, entry)
        # So many that enough are left without the hardest ones.
        place = number if number < _HARDEST + _DRAWN else draw.randrange(number + 1)
        if place < _HARDEST + _DRAWN:
            drawn[place : place + 1] = [pair]
    chosen = [pair for *_, pair in sorted(hardest, key=lambda entry: entry[:2], reverse=True)]
    for pair in chosen:
        pair.is_hardest = True
    others = [pair for pair in drawn if not pair.is_hardest]
    return [*chosen, *draw.sample(others, min(_DRAWN, len(others)))]


def _counted(mined: MinedRound, path: str) -> Iterator[Triple]:
    """The triples that have negatives, while the scores of all are counted."""
    for triple in read_triples(path):
        mined.positives.add(triple.pos_scores)
        mined.negatives.add(triple.neg_scores)
        if triple.negs:
            low = min(triple.pos_scores)
            mined.differences.add([low - score for score in triple.neg_scores])
            yield triple


def _pair(triple: Triple) -> MinedPair:
    low = min(range(len(triple.pos)), key=lambda number: triple.pos_scores[number])
    score, negative = triple.pos_scores[low], triple.neg_scores[0]
    return MinedPair(
        triple.query_id,
        triple.query,
        ShownPage(triple.pos[low], f"score {score:.3f}", True),
        ShownPage(triple.negs[0], f"score {negative:.3f}, rank {triple.neg_ranks[0]}", False),
        score - negative,
        False,
    )


def _overlap(path: str, path_before: str) -> float | None:
    """The share of (query, negative) pairs of a file that are in another one too.

    Both are in the order of their query ids, so that one query of each is in memory.
    """
    before = read_triples(path_before)
    other = next(before, None)
    same = total = 0
    for triple in read_triples(path):
        while other is not None and other.query_id < triple.query_id:
            other = next(before, None)
        total += len(triple.negs)
        if other is not None and other.query_id == triple.query_id:
            same += len(set(triple.negs) & set(other.negs))
    return same / total if total else None
