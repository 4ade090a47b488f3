"""Measuring one round on one dataset: search all its pages, judge the order.

Judging stands apart from searching, so that whatever ranks pages is measured by the same code.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from colintern.config.schema import EvaluationConfig
from colintern.data.judgements import Judgements
from colintern.data.views import View
from colintern.evaluation.chance import chance_level
from colintern.evaluation.decision import METRIC
from colintern.evaluation.loss import loss_of_pooled
from colintern.evaluation.metrics import PerQuery, depth_of, judged
from colintern.evaluation.protocol import Protocol
from colintern.evaluation.results import DEPTH, SCHEMA, ranked_queries
from colintern.evaluation.subsets import by_language, summary
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
    protocol: Protocol | None = None,
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
        protocol: how it is measured, for the document.

    Returns:
        The metrics, as they are written; of a search that is not exact, also what it loses.
    """
    candidates = candidates_of(settings, view)
    loss = candidates and loss_of_pooled(view, shards, queries, candidates, seed)
    return judge(
        view,
        _searched(shards, queries, settings, search_depth(view, settings.cutoffs)),
        settings.cutoffs,
        round_number=round_number,
        search=settings.search,
        seed=seed,
        write=write,
        on_progress=on_progress,
        about={"loss": loss.document()} if loss else None,
        protocol=protocol,
    )


def candidates_of(settings: EvaluationConfig, view: View) -> int | None:
    """Pages that are scored exactly for every query; None when all of them are."""
    if settings.search == "exact":
        return None
    return min(max(RERANKED, search_depth(view, settings.cutoffs)), len(view.pages))


def search_depth(view: View, cutoffs: Sequence[int]) -> int:
    """How many pages a search of `view` has to find for every query, so that they can be judged."""
    return min(max((DEPTH, *cutoffs)), len(view.pages))


def judge(
    view: View,
    blocks: Iterator[Tensor],
    cutoffs: Sequence[int],
    *,
    round_number: int | None,
    search: str,
    seed: int,
    write: Callable[[pa.Table], None],
    on_progress: Callable[[int], None],
    about: Mapping[str, Any] | None = None,
    protocol: Protocol | None = None,
) -> dict[str, Any]:
    """Judge the pages that were found for every query, whatever found them.

    Args:
        view: the dev or test set.
        blocks: key_BK of `search.order`, best first, for some queries after the others, in the
            order of `view.queries`; a page's ordinal is its index in `view.pages`, and `NO_PAGE`
            stands behind the last page of a query that has found fewer.
        cutoffs: as in `metrics.per_query_metrics`.
        round_number: for the document; None where no round was measured.
        search: for the document: how pages were found.
        seed: of the bootstrap.
        write: as in `evaluate`.
        on_progress: as in `evaluate`.
        about: what else the document tells of whatever was measured.
        protocol: how it was measured, for the document.

    Returns:
        The metrics, as they are written.
    """
    found = ranked(view, blocks, depth_of(cutoffs), write, on_progress)
    values = judged(view.judgements, found, cutoffs)
    measured = {"round": round_number, **(about or {})}
    document = _document(view, values, measured, search, seed)
    return {**document, **({"protocol": protocol.document()} if protocol else {})}


def judged_again(parquet_path: str, judgements: Judgements) -> PerQuery:
    """The metrics of every query, from the results on storage."""
    return judged(judgements, ranked_queries(parquet_path, depth_of(())))


def ranked(
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
    view: View, values: PerQuery, measured: Mapping[str, Any], search: str, seed: int
) -> dict[str, Any]:
    languages = by_language(values, view.judged, seed)
    return {
        "dataset": view.name,
        **measured,
        "num_queries": len(values.query_ids),
        "num_pages": len(view.pages),
        "search": search,
        **summary(values, seed),
        "chance": {METRIC: chance_level(view)},
        **({"subsets": languages} if languages else {}),
    }
