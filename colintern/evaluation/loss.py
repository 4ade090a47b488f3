"""What a search of pooled candidates loses against an exact one, measured on a sample of queries.

Figures of an approximate search are too low by an amount that nobody can see in them. So some
queries are searched exactly as well, as mining does for its certificate.
"""

import random
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colintern.data.columns import find
from colintern.data.views import View
from colintern.evaluation.decision import CUTOFF, METRIC
from colintern.evaluation.metrics import judged
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order, searcher
from colintern.search.shards import Shards

SAMPLED_QUERIES = 200  # at most; all of them where a test set is smaller
_DEEP = 100  # what is kept of every query


@dataclass(frozen=True)
class Loss:
    """The results of a sample of queries by pooled candidates, against those by exact search.

    Attributes:
        num_queries: in the sample.
        seed: that drew it.
        recall_at_5: the share of the exact five best pages that were found, mean over queries.
        recall_at_100: the same of the hundred best.
        ndcg_at_5_exact: of the sample, by exact search.
        ndcg_at_5_found: of the sample, by pooled candidates.
    """

    num_queries: int
    seed: int
    recall_at_5: float
    recall_at_100: float
    ndcg_at_5_exact: float
    ndcg_at_5_found: float

    def document(self) -> dict[str, Any]:
        """As it stands in a metrics file."""
        return asdict(self)


def loss_of_pooled(
    view: View, shards: Shards, queries: EmbeddedQueries, candidates: int, seed: int
) -> Loss | None:
    """Search a seeded sample of the queries in both ways.

    Args:
        view: the searched pages and the queries.
        shards: its embedded pages.
        queries: its embedded queries, in the order of `view.queries`.
        candidates: pages per query that are scored exactly after the pooled search.
        seed: of the sample.

    Returns:
        What is lost; None where nothing can be searched.
    """
    depth = min(_DEEP, len(view.pages))
    rows = _sample(len(queries), seed)
    if not len(rows) or not depth:
        return None
    asked = queries.take(rows.tolist())
    exact_BK = torch.cat(list(searcher.exact(shards, asked, depth)))
    found_BK = torch.cat(list(searcher.pooled(shards, asked, depth, candidates)))
    exact, found = (_mean_ndcg(view, rows, key_BK) for key_BK in (exact_BK, found_BK))
    return Loss(
        num_queries=len(rows),
        seed=seed,
        recall_at_5=searcher.recall(found_BK[:, :CUTOFF], exact_BK[:, :CUTOFF]),
        recall_at_100=searcher.recall(found_BK, exact_BK),
        ndcg_at_5_exact=exact,
        ndcg_at_5_found=found,
    )


def _sample(num_queries: int, seed: int) -> np.ndarray:
    """The indices of some queries, ascending."""
    size = min(SAMPLED_QUERIES, num_queries)
    return np.array(sorted(random.Random(seed).sample(range(num_queries), size)), np.int64)


def _mean_ndcg(view: View, rows: np.ndarray, key_BK: Tensor) -> float:
    """The mean nDCG@5 of the queries at `rows`, by the best pages in `key_BK`."""
    query_ids = view.asked_at(rows).ids
    sampled = view.judgements.of_queries(find(query_ids, view.judgements.query_ids))
    pages = (_page_ids(view, key_K) for key_K in key_BK[:, :CUTOFF])
    values = judged(sampled, zip(query_ids.to_pylist(), pages, strict=True))
    return float(values.values[METRIC].mean())


def _page_ids(view: View, key_K: Tensor) -> list[str]:
    ordinals = order.to_ordinals(key_K[key_K != order.NO_PAGE])
    return view.page_ids(ordinals.numpy()).to_pylist()
