"""Where the right page of every query stands: after each round, and by each baseline."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colintern import storage
from colintern.config.schema import DataConfig, dataset_of
from colintern.data.canonical import CanonicalDataset
from colintern.data.judgements import Judgements
from colintern.errors import ColInternError
from colintern.evaluation.results import DEPTH, ranked_queries

NOT_FOUND = DEPTH + 1  # stands for the rank of a page that is not in the stored results
MOST_ROWS = 5_000  # of one dataset in the report's table; more are sampled
_SHOWN_IDS = 3  # right pages of a query that are named in the table
OUTCOMES = ("won", "lost", "right", "wrong")


@dataclass(frozen=True)
class Ranking:
    """Results that are looked at: what they are called, and where they stand."""

    title: str
    path: str


@dataclass(frozen=True)
class QueryRanks:
    """The queries of one dataset; N queries, R rankings.

    Attributes:
        dataset: its name.
        folder: where it is read from.
        rankings: R of them, rounds first.
        before: the index of the ranking that the best round is compared with.
        after: the index of the best round's.
        query_ids: N, sorted.
        texts: of each.
        rank_RN: of the first right page, from 1; `NOT_FOUND` below the stored results.
        found: the best page of each after the best round.
        relevant: the judgements.
    """

    dataset: str
    folder: str
    rankings: Sequence[Ranking]
    before: int
    after: int
    query_ids: list[str]
    texts: list[str]
    rank_RN: NDArray[np.int16]
    found: list[str]
    relevant: Judgements

    @property
    def outcomes(self) -> NDArray[np.int8]:
        """Of each query the index in `OUTCOMES`, by whether a right page is the first one.

        `won`: only after the best round; `lost`: only before; `right`: both; `wrong`: neither.
        """
        was_N, is_N = self.rank_RN[self.before] == 1, self.rank_RN[self.after] == 1
        outcome_N = np.where(is_N, np.where(was_N, 2, 0), np.where(was_N, 1, 3))
        return outcome_N.astype(np.int8)

    @property
    def counts(self) -> dict[str, int]:
        """How many queries have each outcome."""
        counts = np.bincount(self.outcomes, minlength=len(OUTCOMES)).tolist()
        return dict(zip(OUTCOMES, counts, strict=True))

    def table(self, seed: int) -> dict[str, Any]:
        """What the table of the report shows, as it is written into the page.

        Args:
            seed: of the sample, where there are more than `MOST_ROWS` queries.
        """
        chosen: Sequence[int] = range(len(self.query_ids))
        if len(chosen) > MOST_ROWS:
            chosen = sorted(random.Random(seed).sample(chosen, MOST_ROWS))
        outcomes = self.outcomes
        return {
            "dataset": self.dataset,
            "columns": [ranking.title for ranking in self.rankings],
            "before": self.before,
            "after": self.after,
            "not_found": NOT_FOUND,
            "rows": [
                [
                    self.query_ids[row],
                    self.texts[row],
                    int(outcomes[row]),
                    self.rank_RN[:, row].tolist(),
                    self._right_pages(row),
                    self.found[row],
                ]
                for row in chosen
            ],
        }

    def _right_pages(self, row: int) -> list[str]:
        ids = list(self.relevant[self.query_ids[row]])
        more = [f"and {len(ids) - _SHOWN_IDS} more"] if len(ids) > _SHOWN_IDS else []
        return [*ids[:_SHOWN_IDS], *more]


def read_ranks(
    data: DataConfig, dataset: str, rankings: Sequence[Ranking], before: int, after: int
) -> QueryRanks | None:
    """Judge results again, query by query; None where the dataset is gone or has nothing in common.

    Args:
        data: the run's datasets.
        dataset: the name of an evaluated set.
        rankings: its results; those that are gone are left out, which must not be the best round's.
        before: as in `QueryRanks`, of the rankings that are given.
        after: likewise.
    """
    there = [number for number, own in enumerate(rankings) if storage.exists(own.path)]
    if after not in there:
        return None
    before = before if before in there else after
    folder = dataset_of(data, dataset).path
    try:
        read = CanonicalDataset(folder)
        relevant, asked = read.judgements(), read.asked
    except ColInternError:
        return None  # a report without queries is better than none
    texts = dict(zip(asked.ids.to_pylist(), asked.texts.to_pylist(), strict=True))
    best = _ranks(rankings[after].path, relevant, texts)  # the dataset may have changed since
    if not best:
        return None
    ranks = {
        number: best if number == after else _ranks(rankings[number].path, relevant, best)
        for number in there
    }
    nothing = (NOT_FOUND, "")
    rows = [[ranks[number].get(own, nothing)[0] for own in best] for number in there]
    return QueryRanks(
        dataset=dataset,
        folder=folder,
        rankings=[rankings[number] for number in there],
        before=there.index(before),
        after=there.index(after),
        query_ids=list(best),
        texts=[texts[query_id] for query_id in best],
        rank_RN=np.array(rows, np.int16),
        found=[page_id for _, page_id in best.values()],
        relevant=relevant,
    )


def best_pages(path: str, query_ids: Sequence[str], depth: int) -> dict[str, list[str]]:
    """The best pages of a few queries, from results on storage; nothing else is kept."""
    wanted = set(query_ids)
    return {query: pages for query, pages in ranked_queries(path, depth) if query in wanted}


def first_right(page_ids: Sequence[str], relevant: Any) -> int:
    """The rank of the first right page, from 1; `NOT_FOUND` if there is none."""
    ranks = (rank for rank, page_id in enumerate(page_ids, 1) if page_id in relevant)
    return next(ranks, NOT_FOUND)


def _ranks(path: str, relevant: Judgements, known: Any) -> dict[str, tuple[int, str]]:
    """Query id to the rank of its first right page, and to its best page, of known queries."""
    return {
        query_id: (first_right(page_ids, own), page_ids[0])
        for query_id, page_ids, own in _judged(path, relevant)
        if query_id in known and page_ids
    }


def _judged(path: str, relevant: Judgements) -> Iterator[tuple[str, list[str], dict[str, int]]]:
    for query_id, page_ids in ranked_queries(path, DEPTH):
        if own := relevant.get(query_id):
            yield query_id, page_ids, dict(own)
