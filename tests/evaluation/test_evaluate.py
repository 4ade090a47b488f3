"""Measuring a round: how deep is searched, and what of it is kept."""

import pytest
import torch

from colintern.config import EvaluationConfig
from colintern.data.entities import Query
from colintern.data.views import make_view
from colintern.evaluation.evaluate import evaluate
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order


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
