"""Measuring a round: how deep is searched, and what of it is kept."""

import numpy as np
import pytest
import torch

from colintern.config.schema import EvaluationConfig, HeadsConfig
from colintern.data.entities import Query
from colintern.data.views import View
from colintern.evaluation.evaluate import evaluate
from colintern.features.store import FeatureStore
from colintern.model.heads import init_heads
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard, shard_bounds
from colintern.search.shards import LocalShards
from tests.helpers import WIDTH, measured, view_of


class _InOrder:
    """A shard that finds every query's pages in the order of their ids."""

    def __init__(self, num_pages: int) -> None:
        self._scores = torch.linspace(1, 0, num_pages)

    def rescore(self, queries, ordinal_BC):
        return lambda: [order.to_keys(self._scores[ordinal_BC], ordinal_BC)]

    def exact_best(self, queries, depth):
        scores = self._scores.repeat(len(queries), 1)
        keys = order.to_keys(scores, torch.arange(len(self._scores)))
        return lambda: [order.best(keys, depth)]

    pooled_best = exact_best


@pytest.mark.parametrize("search", ["exact", "pooled_rerank"])
@pytest.mark.parametrize(("num_pages", "asked"), [(40, []), (0, ["q000"]), (0, [])])
def test_a_set_that_finds_nothing_is_measured_as_that(corpus, search, num_pages, asked):
    """A traceback after a night of encoding, when no query, or no page, has given features."""
    store, heads = FeatureStore(corpus.store), init_heads(HeadsConfig(dim=16), WIDTH, seed=0)
    page_ids = store.pages.ids.to_pylist()[:num_pages]
    judgements = {"blank": {"p000": 1}, "q000": {"p000": 1}}
    view = view_of(page_ids, [Query("q000", "text")], judgements, encoded=asked)
    bounds = shard_bounds(np.full(num_pages, 4), 2)
    shards = [CorpusShard(store.pages, heads, np.arange(a, b), a) for a, b in bounds]
    queries = embed_queries(heads, store.queries, view.queries)
    _, document = measured(view, LocalShards(shards), queries, EvaluationConfig(search=search))
    assert document["num_queries"] == 2
    assert set(document["metrics"].values()) == {0.0}


@pytest.mark.parametrize("search", ["exact", "pooled_rerank"])
def test_cutoffs_beyond_what_is_kept_are_searched_that_deep(search):
    """Recall@600 of a list of 100 pages, or of 500 candidates; more than 100 results kept."""
    page_ids = [f"p{number:03d}" for number in range(700)]
    judgements = {"q": {"p000": 1, "p150": 1, "p550": 1, "p650": 1}}
    results, document = measured(
        view_of(page_ids, [Query("q", "text")], judgements),
        _InOrder(len(page_ids)),
        EmbeddedQueries(torch.ones(1, 1), (1,)),
        EvaluationConfig(search=search, cutoffs=(200, 600)),
    )
    metrics = document["metrics"]
    assert (metrics["recall_at_10"], metrics["recall_at_200"]) == (0.25, 0.5)
    assert metrics["recall_at_600"] == 0.75
    assert results["rank"].to_pylist() == list(range(1, 601))
    assert results["page_id"].to_pylist() == page_ids[:600]


def test_progress_is_told_and_results_are_let_go_block_by_block(monkeypatch):
    """An evaluation of an hour without a word, or with all of its results in memory."""
    monkeypatch.setattr("colintern.search.searcher.QUERY_BLOCK", 2)
    queries = [Query(f"q{number}", f"text {number}") for number in range(5)]
    view = view_of(["p0", "p1"], queries, {query.query_id: {"p0": 1} for query in queries})
    events: list = []
    evaluate(
        view,
        _InOrder(2),
        EmbeddedQueries(torch.ones(5, 1), (1,) * 5),
        EvaluationConfig(),
        round_number=0,
        seed=0,
        write=lambda table: events.append(sorted(set(table["query_id"].to_pylist()))),
        on_progress=events.append,
    )
    assert events == [["q0", "q1"], 2, ["q2", "q3"], 4, ["q4"], 5]


def test_a_block_copies_the_ids_of_its_own_queries_only(monkeypatch):
    """All ids copied for each block where one query has no features: hours for a large set."""
    copied = []
    column = View.query_ids.fget
    monkeypatch.setattr(View, "query_ids", property(lambda view: copied.append(1) or column(view)))
    monkeypatch.setattr("colintern.search.searcher.QUERY_BLOCK", 2)
    queries = [Query(f"q{number}", f"text {number}") for number in range(9)]
    asked = [query.query_id for query in queries if query.query_id != "q3"]
    view = view_of(["p0"], queries, {q.query_id: {"p0": 1} for q in queries}, encoded=asked)
    embedded = EmbeddedQueries(torch.ones(8, 1), (1,) * 8)
    results, _ = measured(view, _InOrder(1), embedded, EvaluationConfig())
    assert results["query_id"].to_pylist() == asked
    assert len(copied) <= 1  # four blocks
