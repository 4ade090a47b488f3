"""Retrieval metrics, equal to trec_eval's (pytrec-eval-terrier, which mteb uses) for our order.

trec_eval sorts results itself, by a score kept in float32, ties by descending id. To have it judge
our order, it is given minus the rank as the score. Gains are linear, as trec_eval's.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
import pytrec_eval
from numpy.typing import NDArray

from colintern.data.columns import joined, strings
from colintern.data.judgements import Judgements

Values = NDArray[np.float64]

MRR_CUTOFF = 10
_JUDGED_AT_A_TIME = 1_024  # queries
_NO_QUERY: tuple[None, Sequence[str]] = (None, ())
_ALWAYS = {"ndcg": (5, 10), "recall": (1, 5, 10)}


@dataclass(frozen=True)
class PerQuery:
    """Metric values of every judged query.

    Attributes:
        query_ids: a column of their ids, sorted by code point.
        values: metric name, such as `ndcg_at_5`, to one value in [0, 1] a query.
    """

    query_ids: pa.Array
    values: Mapping[str, Values]

    def where(self, is_kept: NDArray[np.bool_]) -> "PerQuery":
        """The values of some of the queries, by one value for each."""
        kept = {name: values[is_kept] for name, values in self.values.items()}
        return PerQuery(self.query_ids.filter(pa.array(is_kept)), kept)


def per_query_metrics(
    ranking: Mapping[str, Sequence[str]],
    judgements: Mapping[str, Mapping[str, int]],
    cutoffs: Sequence[int] = (),
) -> PerQuery:
    """Judge every query that has a relevant page (score >= 1).

    Args:
        ranking: query id to page ids, best first; a query that is missing found nothing.
        judgements: query id to page id to score.
        cutoffs: further K for `recall_at_K` and `ndcg_at_K`.

    Returns:
        `ndcg_at_5`, `ndcg_at_10`, `recall_at_1`, `recall_at_5`, `recall_at_10`, `mrr_at_10` (the
        reciprocal rank in the results cut at 10), and those of `cutoffs`.
    """
    columns = Judgements.from_mapping(judgements)
    return judged(columns, ((query, ranking.get(query, ())) for query in columns), cutoffs)


def judged(
    judgements: Judgements,
    ranked: Iterable[tuple[str, Sequence[str]]],
    cutoffs: Sequence[int] = (),
) -> PerQuery:
    """The same where results come query by query; of each only its values are kept.

    Args:
        judgements: what is judged.
        ranked: query ids, sorted, each with its page ids, best first; a query that is missing
            found nothing, one that is not judged is passed over.
        cutoffs: further K for `recall_at_K` and `ndcg_at_K`.
    """
    judge = _Judge(cutoffs)
    results = iter(ranked)
    query_id, found = next(results, _NO_QUERY)
    for row, judged_id in enumerate(judgements):
        while query_id is not None and query_id < judged_id:
            query_id, found = next(results, _NO_QUERY)
        judge.add(judged_id, judgements.row(row), found if query_id == judged_id else ())
    deque(results, maxlen=0)  # to its end, whatever is done there
    return judge.values()


class _Judge:
    """Has trec_eval judge some queries at a time."""

    def __init__(self, cutoffs: Sequence[int] = ()) -> None:
        self._ndcg, self._recall = (_measured(name, cutoffs) for name in _ALWAYS)
        self._measures = {f"ndcg_cut.{_listed(self._ndcg)}", f"recall.{_listed(self._recall)}"}
        self._depth = depth_of(cutoffs)
        self._names = metric_names(cutoffs)
        self._judged: dict[str, dict[str, int]] = {}
        self._run: dict[str, dict[str, float]] = {}
        self._query_ids: list[pa.Array] = []
        self._values: list[Values] = []

    def add(self, query_id: str, pages: Mapping[str, int], found: Sequence[str]) -> None:
        """Take in a query and what it found; one without a relevant page is not judged."""
        if not any(score >= 1 for score in pages.values()):
            return
        self._judged[query_id] = dict(pages)
        if found:
            ranked = enumerate(found[: self._depth], start=1)
            self._run[query_id] = {page_id: -float(rank) for rank, page_id in ranked}
        if len(self._judged) == _JUDGED_AT_A_TIME:
            self._judge()

    def values(self) -> PerQuery:
        """The values of all queries, in the order in which they were added."""
        self._judge()
        values = np.concatenate([*self._values, np.empty((0, len(self._names)))])
        return PerQuery(
            joined(self._query_ids), dict(zip(self._names, values.T.copy(), strict=True))
        )

    def _judge(self) -> None:
        judged, run = self._judged, self._run
        found = pytrec_eval.RelevanceEvaluator(judged, self._measures).evaluate(run)
        cut = {query: dict(islice(pages.items(), MRR_CUTOFF)) for query, pages in run.items()}
        first = pytrec_eval.RelevanceEvaluator(judged, {"recip_rank"}).evaluate(cut)
        measures = [f"ndcg_cut_{k}" for k in self._ndcg] + [f"recall_{k}" for k in self._recall]
        rows = [
            [
                *(found.get(query_id, {}).get(measure, 0.0) for measure in measures),
                first.get(query_id, {}).get("recip_rank", 0.0),
            ]
            for query_id in judged
        ]
        if rows:
            self._query_ids.append(strings(list(judged)))
            self._values.append(np.array(rows))
        self._judged, self._run = {}, {}


def depth_of(cutoffs: Sequence[int]) -> int:
    """How many pages of a query decide on its values, at most."""
    return max(*_measured("ndcg", cutoffs), *_measured("recall", cutoffs), MRR_CUTOFF)


def metric_names(cutoffs: Sequence[int] = ()) -> list[str]:
    """The names of the values that `per_query_metrics` gives with `cutoffs`."""
    names = [f"{name}_at_{k}" for name in _ALWAYS for k in _measured(name, cutoffs)]
    return [*names, f"mrr_at_{MRR_CUTOFF}"]


def ranking_of(results: pa.Table) -> dict[str, list[str]]:
    """Query id to page ids, best first, from a table with query_id, page_id, rank."""
    ranking: dict[str, list[str]] = {}
    ordered = results.sort_by([("query_id", "ascending"), ("rank", "ascending")])
    rows = zip(
        ordered.column("query_id").to_pylist(), ordered.column("page_id").to_pylist(), strict=True
    )
    for query_id, page_id in rows:
        ranking.setdefault(query_id, []).append(page_id)
    return ranking


def _measured(name: str, cutoffs: Sequence[int]) -> list[int]:
    """The cutoffs of a metric, those that it always has and those that are asked for."""
    return sorted({*_ALWAYS[name], *cutoffs})


def _listed(cutoffs: Sequence[int]) -> str:
    return ",".join(str(cutoff) for cutoff in cutoffs)
