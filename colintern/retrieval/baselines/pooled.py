"""A single vector for each page, by the run's own heads: what late interaction is worth.

The vector is the L2-normalised mean of a page's or query's token embeddings, the score their dot
product. All pages are searched.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from colintern.data.views import View
from colintern.evaluation.protocol import encoding_of
from colintern.features.store import FeatureStore
from colintern.model.heads import Heads
from colintern.retrieval.baselines.frame import Baseline, MeasuredRun
from colintern.runs.baselines import POOLED
from colintern.search.embedding import embed_queries, embedded
from colintern.search.flat import best_by_vectors
from colintern.search.pooled_index import pool

_SCORE = "dot product of normalised mean token embeddings"


def measure_pooled(measured: MeasuredRun) -> list[dict[str, Any]]:
    """Measure the pooled vectors of the best round's heads on every dataset; the metrics."""
    return [_measure(measured, dataset) for dataset in measured.datasets]


def _measure(measured: MeasuredRun, dataset: str) -> dict[str, Any]:
    run, (_, store) = measured.run, measured.view(dataset)
    baseline = Baseline(
        POOLED,
        "pooled",
        about={"round": run.round_number},
        inputs={"heads_sha256": measured.heads_sha256},
        protocol={"score": _SCORE, "encoding": encoding_of(run.config, store.path)},
    )
    return measured.record(
        baseline, dataset, lambda view, depth: nearest(view, store, run.heads, depth)
    )


def nearest(view: View, store: FeatureStore, heads: Heads, depth: int) -> Iterator[Tensor]:
    """The best pages of every query of a view by pooled vectors: key_BK of `search.order`."""
    if not len(view.queries):
        return
    page_DE = torch.empty(len(view.pages), heads.dim)
    for first, token_TE, lengths in embedded(store.pages, view.pages, heads.exact_pages, "cpu"):
        page_DE[first : first + len(lengths)] = pool(token_TE, lengths)
    queries = embed_queries(heads, store.queries, view.queries)
    corpus = [(torch.arange(len(page_DE)), page_DE)]
    yield from best_by_vectors(corpus, pool(queries.token_TE, list(queries.lengths)), depth)
