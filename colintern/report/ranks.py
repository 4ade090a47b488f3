"""Where the right page of every query stands: after each round, and by each baseline."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from colintern import storage
from colintern.config.schema import DataConfig, dataset_of
from colintern.data.added_judgements import added_judgements
from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import find
from colintern.data.compute import pc
from colintern.data.judgements import Judgements
from colintern.evaluation.results import DEPTH, found_pages, ranked_queries

NOT_FOUND = DEPTH + 1  # stands for the rank of a page that is not in the stored results
MOST_ROWS = 5_000  # of one dataset in the report's table; more are sampled
MOST_CHARACTERS = 500  # of a question in the report; a few may be as long as a document
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
                    shortened(self.texts[row]),
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


def shortened(text: str) -> str:
    """A question as it is shown: of a long one the beginning."""
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def read_ranks(
    data: DataConfig, dataset: str, rankings: Sequence[Ranking], before: int, after: int
) -> QueryRanks | None:
    """Judge results again, query by query; None where they have no query of the dataset.

    Args:
        data: the run's datasets.
        dataset: the name of an evaluated set.
        rankings: its results; those that are gone are left out, which must not be the best round's.
        before: as in `QueryRanks`, of the rankings that are given.
        after: likewise.

    Raises:
        ColInternError: the dataset is gone, or damaged.
    """
    there = [number for number, own in enumerate(rankings) if storage.exists(own.path)]
    if after not in there:
        return None
    before = before if before in there else after
    entry = dataset_of(data, dataset)
    folder = entry.path
    read = CanonicalDataset(folder, added=added_judgements(data, entry.name))
    relevant, asked = read.judgements(), read.asked
    ranks = {number: _read(rankings[number].path, relevant) for number in there}
    asked_N = find(relevant.query_ids, asked.ids)
    # The dataset may have changed since: only what was measured and is still there is shown.
    known_N = np.flatnonzero((asked_N >= 0) & ranks[after].is_asked_N)
    if not len(known_N):
        return None
    return QueryRanks(
        dataset=dataset,
        folder=folder,
        rankings=[rankings[number] for number in there],
        before=there.index(before),
        after=there.index(after),
        query_ids=relevant.query_ids.take(pa.array(known_N)).to_pylist(),
        texts=asked.texts.take(pa.array(asked_N[known_N])).to_pylist(),
        rank_RN=np.stack([ranks[number].rank_N[known_N] for number in there]),
        found=[ranks[after].best[row] for row in known_N.tolist()],
        relevant=relevant,
    )


def best_pages(path: str, query_ids: Sequence[str], depth: int) -> dict[str, list[str]]:
    """The best pages of a few queries, from results on storage; nothing else is kept."""
    wanted = set(query_ids)
    return {query: pages for query, pages in ranked_queries(path, depth) if query in wanted}


@dataclass(frozen=True)
class _Ranks:
    """What one file of results says of each judged query: N of them.

    Attributes:
        rank_N: of the first right page, from 1; `NOT_FOUND` if there is none.
        is_asked_N: whether anything was found for it.
        best: the first page of those queries, by their index.
    """

    rank_N: NDArray[np.int16]
    is_asked_N: NDArray[np.bool_]
    best: dict[int, str]


def _read(path: str, relevant: Judgements) -> _Ranks:
    """Judge results, a part of the file in memory at a time."""
    num_queries, num_pages = len(relevant), len(relevant.page_ids)
    right = np.sort(relevant.queries * num_pages + relevant.pages)
    rank_N = np.full(num_queries, NOT_FOUND, np.int16)
    best: dict[int, str] = {}
    for batch in found_pages(path):
        batch = batch.filter(pc.field("rank") <= DEPTH)
        query = find(batch["query_id"], relevant.query_ids)
        page = find(batch["page_id"], relevant.page_ids)
        rank = batch["rank"].to_numpy().astype(np.int16)
        is_known = (query >= 0) & (page >= 0)
        is_right = is_known & np.isin(query * num_pages + page, right)
        np.minimum.at(rank_N, query[is_right], rank[is_right])
        is_first = (rank == 1) & (query >= 0)
        first = batch["page_id"].filter(pa.array(is_first)).to_pylist()
        best.update(zip(query[is_first].tolist(), first, strict=True))
    is_asked_N = np.zeros(num_queries, bool)
    is_asked_N[list(best)] = True
    return _Ranks(rank_N, is_asked_N, best)
