"""What pooled candidates lose: measured against an exact search, on a sample."""

import pytest
import torch

from colintern.data.entities import Query
from colintern.evaluation.loss import SAMPLED_QUERIES, loss_of_pooled
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from tests.helpers import view_of


class _Misleading:
    """Shards whose pooled vectors never see page 0, which is the exact best one of all queries."""

    def __init__(self, num_pages: int) -> None:
        self._scores = torch.linspace(1, 0, num_pages)

    def rescore(self, queries, ordinal_BC):
        return lambda: [order.to_keys(self._scores[ordinal_BC], ordinal_BC)]

    def exact_best(self, queries, depth):
        return lambda: [self._best(queries, depth, first=0)]

    def pooled_best(self, queries, depth):
        return lambda: [self._best(queries, depth, first=1)]

    def _best(self, queries, depth, first):
        scores = self._scores[first:].repeat(len(queries), 1)
        return order.best(order.to_keys(scores, torch.arange(first, len(self._scores))), depth)


def _measured(num_queries: int, seed: int = 0):
    queries = [Query(f"q{number:03d}", f"text {number}") for number in range(num_queries)]
    judgements = {query.query_id: {"p000": 1} for query in queries}
    view = view_of([f"p{number:03d}" for number in range(50)], queries, judgements)
    embedded = EmbeddedQueries(torch.ones(num_queries, 1), (1,) * num_queries)
    return loss_of_pooled(view, _Misleading(50), embedded, 20, seed)


def test_pages_that_are_no_candidates_are_told():
    """A search that misses every relevant page, and a certificate that knows nothing of it."""
    loss = _measured(3)
    assert loss is not None
    assert loss.recall_at_5 == pytest.approx(4 / 5)
    assert loss.recall_at_100 == pytest.approx(49 / 50)
    assert (loss.ndcg_at_5_exact, loss.ndcg_at_5_found) == (1.0, 0.0)


def test_no_more_queries_are_searched_exactly_than_are_needed():
    """An exact search of a large test set, which is what pooled candidates were to save."""
    loss = _measured(SAMPLED_QUERIES + 50, seed=3)
    assert loss is not None
    assert (loss.num_queries, loss.seed) == (SAMPLED_QUERIES, 3)
    assert _measured(0) is None
