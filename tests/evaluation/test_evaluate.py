"""Measuring a round: how deep is searched, and what of it is kept."""

import pytest
import torch

from colintern.config.schema import EvaluationConfig, HeadsConfig
from colintern.data.entities import Query
from colintern.data.views import make_view, view_asking
from colintern.evaluation.evaluate import evaluate
from colintern.features.store import FeatureStore
from colintern.model.heads import init_heads
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard, shard_bounds
from colintern.search.shards import LocalShards
from tests.helpers import WIDTH


class _InOrder:
    """A shard that finds every query's pages in the order of their ids."""

    def __init__(self, num_pages: int) -> None:
        self._scores = torch.linspace(1, 0, num_pages)

    def start(self, method, *arguments):
        queries, argument = arguments
        if method == "rescore":
            return lambda: [order.to_keys(self._scores[argument], argument)]
        scores = self._scores.repeat(len(queries), 1)
        keys = order.to_keys(scores, torch.arange(len(self._scores)))
        return lambda: [order.best(keys, argument)]


@pytest.mark.parametrize("search", ["exact", "pooled_rerank"])
@pytest.mark.parametrize(("num_pages", "asked"), [(40, []), (0, ["q000"]), (0, [])])
def test_a_set_that_finds_nothing_is_measured_as_that(corpus, search, num_pages, asked):
    """A traceback after a night of encoding, when no query, or no page, has given features."""
    store, heads = FeatureStore(corpus.store), init_heads(HeadsConfig(dim=16), WIDTH, seed=0)
    page_ids = store.pages.ids.to_pylist()[:num_pages]
    judgements = {"blank": {"p000": 1}, "q000": {"p000": 1}}
    view = make_view("test", page_ids, [Query("q000", "text")], judgements)
    bounds = shard_bounds([4] * num_pages, 2)
    found = evaluate(
        view_asking(view, asked),
        LocalShards([CorpusShard(store.pages, heads, page_ids, a, b) for a, b in bounds]),
        embed_queries(heads, store.queries, asked),
        EvaluationConfig(search=search),
        round_number=0,
        seed=0,
        on_progress=lambda _: None,
    )
    assert found.document["num_queries"] == 2
    assert set(found.document["metrics"].values()) == {0.0}


@pytest.mark.parametrize("search", ["exact", "pooled_rerank"])
def test_cutoffs_beyond_what_is_kept_are_searched_that_deep(search):
    """Recall@600 of a list of 100 pages, or of 500 candidates; more than 100 results kept."""
    page_ids = [f"p{number:03d}" for number in range(700)]
    judgements = {"q": {"p000": 1, "p150": 1, "p550": 1, "p650": 1}}
    found = evaluate(
        make_view("test", page_ids, [Query("q", "text")], judgements),
        _InOrder(len(page_ids)),
        EmbeddedQueries(torch.ones(1, 1), (1,)),
        EvaluationConfig(search=search, cutoffs=(200, 600)),
        round_number=0,
        seed=0,
        on_progress=lambda _: None,
    )
    metrics = found.document["metrics"]
    assert (metrics["recall_at_10"], metrics["recall_at_200"]) == (0.25, 0.5)
    assert metrics["recall_at_600"] == 0.75
    assert found.results["rank"].to_pylist() == list(range(1, 101))
    assert found.results["page_id"].to_pylist() == page_ids[:100]
