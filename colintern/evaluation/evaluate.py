"""Measuring one round on one dataset: search all its pages, judge the order."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from torch import Tensor

from colintern import storage
from colintern.config.schema import EvaluationConfig
from colintern.data.views import Judgements, View
from colintern.evaluation.chance import chance_level
from colintern.evaluation.decision import METRIC
from colintern.evaluation.metrics import PerQuery, per_query_metrics, ranking_of
from colintern.evaluation.significance import bootstrap_interval
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order, searcher
from colintern.search.shards import Shards

DEPTH = 100  # pages of every query that are kept
RERANKED = 500  # candidates by pooled vectors, when `evaluation.search` is pooled_rerank


@dataclass(frozen=True)
class Evaluation:
    """What is written: the results of every query, and the metrics."""

    results: pa.Table
    document: dict[str, Any]


def evaluate(
    view: View,
    shards: Shards,
    queries: EmbeddedQueries,
    settings: EvaluationConfig,
    *,
    round_number: int,
    seed: int,
    on_progress: Callable[[int], None],
) -> Evaluation:
    """Search the whole corpus of `view` for every judged query, and judge.

    Args:
        view: the dev or test set.
        shards: its embedded pages.
        queries: its embedded queries, in the order of `view.queries`.
        settings: how to search, further cutoffs.
        round_number: for the document.
        seed: of the bootstrap.
        on_progress: told the number of queries done.
    """
    depth = min(max((DEPTH, *settings.cutoffs)), len(view.page_ids))
    columns: dict[str, list[Any]] = {"query_id": [], "page_id": [], "score": [], "rank": []}
    done = 0
    for key_BK in _searched(shards, queries, settings, depth):
        for query, key_K in zip(view.queries[done : done + len(key_BK)], key_BK, strict=True):
            keys = key_K[key_K != order.NO_PAGE]
            columns["query_id"] += [query.query_id] * len(keys)
            columns["page_id"] += [view.page_ids[place] for place in order.to_ordinals(keys)]
            columns["score"] += order.to_scores(keys).tolist()
            columns["rank"] += range(1, len(keys) + 1)
        done += len(key_BK)
        on_progress(done)
    found = pa.table(
        {
            "query_id": pa.array(columns["query_id"], pa.string()),
            "page_id": pa.array(columns["page_id"], pa.string()),
            "score": pa.array(columns["score"], pa.float32()),
            "rank": pa.array(columns["rank"], pa.int32()),
        }
    )
    values = per_query_metrics(ranking_of(found), view.judgements, settings.cutoffs)
    kept = found.filter(pc.field("rank") <= DEPTH)
    return Evaluation(kept, _document(view, values, settings, round_number, seed))


def write_evaluation(evaluation: Evaluation, json_path: str, parquet_path: str) -> None:
    """Write the results, then the metrics."""
    buffer = io.BytesIO()
    pq.write_table(evaluation.results, buffer, compression="zstd")
    storage.write_bytes(parquet_path, buffer.getvalue())
    storage.write_json(json_path, evaluation.document)


def read_results(parquet_path: str) -> pa.Table:
    """The results of an evaluation: query_id, page_id, score, rank."""
    return pq.read_table(io.BytesIO(storage.read_bytes(parquet_path)))


def judged_again(parquet_path: str, judgements: Judgements) -> PerQuery:
    """The metrics of every query, from the results on storage."""
    return per_query_metrics(ranking_of(read_results(parquet_path)), judgements)


def _searched(
    shards: Shards, queries: EmbeddedQueries, settings: EvaluationConfig, depth: int
) -> Iterator[Tensor]:
    if settings.search == "exact":
        return searcher.exact(shards, queries, depth)
    return searcher.pooled(shards, queries, depth, RERANKED)


def _document(
    view: View, values: PerQuery, settings: EvaluationConfig, round_number: int, seed: int
) -> dict[str, Any]:
    intervals = {
        name: bootstrap_interval(np.asarray(metric), seed=seed)
        for name, metric in values.values.items()
    }
    return {
        "dataset": view.name,
        "round": round_number,
        "num_queries": len(values.query_ids),
        "num_pages": len(view.page_ids),
        "search": settings.search,
        "metrics": {name: interval.mean for name, interval in intervals.items()},
        "ci": {name: [interval.low, interval.high] for name, interval in intervals.items()},
        "chance": {METRIC: chance_level(view)},
    }
