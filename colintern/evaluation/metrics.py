"""Retrieval metrics, equal to trec_eval's (pytrec-eval-terrier, which mteb uses) for our order.

trec_eval sorts results itself, by a score kept in float32, ties by descending id. To have it judge
our order, it is given minus the rank as the score. Gains are linear, as trec_eval's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytrec_eval
from numpy.typing import NDArray

Values = NDArray[np.float64]

MRR_CUTOFF = 10
_ALWAYS = {"ndcg": (5, 10), "recall": (1, 5, 10)}


@dataclass(frozen=True)
class PerQuery:
    """Metric values of every judged query.

    Attributes:
        query_ids: sorted by code point.
        values: metric name, such as `ndcg_at_5`, to one value in [0, 1] a query.
    """

    query_ids: tuple[str, ...]
    values: Mapping[str, Values]


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
    judged = {
        query_id: dict(pages)
        for query_id, pages in sorted(judgements.items())
        if any(score >= 1 for score in pages.values())
    }
    ndcg, recall = (_measured(name, cutoffs) for name in _ALWAYS)
    measures = {f"ndcg_cut.{_listed(ndcg)}", f"recall.{_listed(recall)}"}
    found = pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(_as_scores(ranking))
    cut = {query_id: pages[:MRR_CUTOFF] for query_id, pages in ranking.items()}
    first = pytrec_eval.RelevanceEvaluator(judged, {"recip_rank"}).evaluate(_as_scores(cut))

    def values(results: Mapping[str, Mapping[str, float]], measure: str) -> Values:
        return np.array([results.get(query_id, {}).get(measure, 0.0) for query_id in judged])

    return PerQuery(
        tuple(judged),
        {
            **{f"ndcg_at_{k}": values(found, f"ndcg_cut_{k}") for k in ndcg},
            **{f"recall_at_{k}": values(found, f"recall_{k}") for k in recall},
            f"mrr_at_{MRR_CUTOFF}": values(first, "recip_rank"),
        },
    )


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


def _as_scores(ranking: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Minus the rank as the score of every page; queries without results are left out."""
    return {
        query_id: {page_id: -float(rank) for rank, page_id in enumerate(pages, start=1)}
        for query_id, pages in ranking.items()
        if pages
    }


def _listed(cutoffs: Sequence[int]) -> str:
    return ",".join(str(cutoff) for cutoff in cutoffs)
