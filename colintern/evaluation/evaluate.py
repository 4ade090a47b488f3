"""Measuring one round on one dataset: search all its pages, judge the order."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from colintern.config.schema import EvaluationConfig
from colintern.data.judgements import Judgements
from colintern.data.views import View
from colintern.evaluation.chance import chance_level
from colintern.evaluation.decision import METRIC
from colintern.evaluation.metrics import PerQuery, depth_of, judged
from colintern.evaluation.results import DEPTH, SCHEMA, ranked_queries
from colintern.evaluation.significance import bootstrap_interval
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order, searcher
from colintern.search.shards import Shards

RERANKED = 500  # candidates by pooled vectors, when `evaluation.search` is pooled_rerank


def evaluate(
    view: View,
    shards: Shards,
    queries: EmbeddedQueries,
    settings: EvaluationConfig,
    *,
    round_number: int,
    seed: int,
    write: Callable[[pa.Table], None],
    on_progress: Callable[[int], None],
) -> dict[str, Any]:
    """Search the whole corpus of `view` for every judged query, and judge.

    Args:
        view: the dev or test set.
        shards: its embedded pages.
        queries: its embedded queries, in the order of `view.queries`.
        settings: how to search, further cutoffs.
        round_number: for the document.
        seed: of the bootstrap.
        write: given the results of some queries at a time, in order (`results.SCHEMA`); ranks
            beyond `DEPTH` come only where the cutoffs ask for them. None is kept.
        on_progress: told the number of queries done.

    Returns:
        The metrics, as they are written.
    """
    depth = min(max((DEPTH, *settings.cutoffs)), len(view.pages))
    blocks = _searched(shards, queries, settings, depth)
    ranked = _ranked(view, blocks, depth_of(settings.cutoffs), write, on_progress)
    values = judged(view.judgements, ranked, settings.cutoffs)
    return _document(view, values, settings, round_number, seed)


def judged_again(parquet_path: str, judgements: Judgements) -> PerQuery:
    """The metrics of every query, from the results on storage."""
    return judged(judgements, ranked_queries(parquet_path, depth_of(())))


def _ranked(
    view: View,
    blocks: Iterator[Tensor],
    depth: int,
    write: Callable[[pa.Table], None],
    on_progress: Callable[[int], None],
) -> Iterator[tuple[str, list[str]]]:
    """Every query with the ids of its best `depth` pages, as the blocks of its results are written.

    Args:
        view: the searched pages and the queries.
        blocks: key_BK of some queries after the others.
        depth: how many pages of a query are given.
        write: given all results of a block.
        on_progress: told the number of queries done.
    """
    done = 0
    for key_BK in blocks:
        is_page_BK = key_BK != order.NO_PAGE
        key_N, query_N = key_BK[is_page_BK], is_page_BK.nonzero()[:, 0].numpy()
        query_ids = view.asked_at(np.arange(done, done + len(key_BK))).ids
        rank_N = is_page_BK.cumsum(dim=1)[is_page_BK].numpy()
        page_ids = view.page_ids(order.to_ordinals(key_N).numpy())
        columns = [
            query_ids.take(pa.array(query_N)),
            page_ids,
            pa.array(order.to_scores(key_N).numpy()),
            pa.array(rank_N.astype(np.int32)),
        ]
        write(pa.table(columns, SCHEMA.names).cast(SCHEMA))
        is_judged = rank_N <= depth
        best = page_ids.filter(pa.array(is_judged)).to_pylist()
        ends = np.cumsum(np.bincount(query_N[is_judged], minlength=len(key_BK))).tolist()
        for query_id, start, end in zip(query_ids.to_pylist(), [0, *ends], ends, strict=False):
            yield query_id, best[start:end]
        done += len(key_BK)
        on_progress(done)


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
        "num_pages": len(view.pages),
        "search": settings.search,
        "metrics": {name: interval.mean for name, interval in intervals.items()},
        "ci": {name: [interval.low, interval.high] for name, interval in intervals.items()},
        "chance": {METRIC: chance_level(view)},
    }
