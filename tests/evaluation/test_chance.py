"""The level of chance: what a random order of the pages would reach."""

from collections.abc import Sequence
from itertools import permutations
from statistics import fmean

import numpy as np
import pytest

from colintern.data.entities import Query
from colintern.data.views import View
from colintern.evaluation.chance import chance_level, is_at_chance
from colintern.evaluation.metrics import per_query_metrics
from tests.helpers import view_of

# Of graded judgements, some name a page without features ("gone"); one query cannot be asked.
JUDGED = {"a": {"p0": 1}, "b": {"p1": 2, "p2": 1, "gone": 3}, "c": {"gone": 1}, "blank": {"p0": 1}}


def _view(num_pages: int, asked: Sequence[str] | None = None) -> View:
    queries = [Query(query_id, query_id) for query_id in "abc"]
    return view_of([f"p{number}" for number in range(num_pages)], queries, JUDGED, "dev", asked)


def _ndcg(view: View, pages: list[str]) -> float:
    ranking = dict.fromkeys(view.query_ids.to_pylist(), pages)
    return float(per_query_metrics(ranking, view.judgements).values["ndcg_at_5"].mean())


@pytest.mark.parametrize("num_pages", [3, 4, 6])
def test_it_is_the_mean_over_all_orders(num_pages):
    """Chance that is not this metric's: other discounts, binary gains, the wrong ideal."""
    view = _view(num_pages)
    orders = [_ndcg(view, list(pages)) for pages in permutations(view.page_ids().to_pylist())]
    assert chance_level(view) == pytest.approx(fmean(orders), rel=1e-9)
    assert fmean(orders) > 0.1


def test_it_is_the_mean_over_random_orders_of_many_pages():
    """Chance that ignores the size of the corpus, or that pages behind rank 5 count nothing."""
    view, draw = _view(200), np.random.default_rng(0)
    orders = [
        _ndcg(view, draw.permutation(view.page_ids().to_pylist()).tolist()) for _ in range(1_000)
    ]
    error = np.std(orders) / len(orders) ** 0.5
    assert abs(chance_level(view) - fmean(orders)) < 4 * error
    assert error < 0.2 * chance_level(view)


def test_nothing_that_can_be_found_is_no_chance():
    """A division by zero in a set without pages, or without a query that is asked."""
    assert chance_level(_view(0)) == 0.0
    assert chance_level(_view(5, asked=())) == 0.0


@pytest.mark.parametrize(
    ("chance", "interval", "expected"),
    [
        (0.0095, [0.003, 0.019], True),  # a reader of printed English over 311 real scans
        (0.0095, [0.015, 0.03], True),
        (0.0095, [0.04, 0.09], False),
        (3e-6, [0.01, 0.02], False),  # one in a hundred queries, among a million pages
        (0.64, [1.0, 1.0], False),  # four pages: twice chance is more than can be reached
        (0.64, [0.6, 0.9], True),
        (0.0, [0.0, 0.0], True),
    ],
)
def test_at_chance(chance, interval, expected):
    """A result of nothing told as a result, or a good one called chance."""
    document = {"chance": {"ndcg_at_5": chance}, "ci": {"ndcg_at_5": interval}}
    assert is_at_chance(document) == expected
    assert not is_at_chance({"ci": document["ci"]})  # of an earlier version
