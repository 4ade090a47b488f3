"""Figures of each language of a test set."""

import numpy as np

from colintern.data.columns import strings
from colintern.data.entities import Query
from colintern.data.queries import Queries
from colintern.evaluation.metrics import PerQuery
from colintern.evaluation.subsets import by_language, summary

_VALUES = PerQuery(strings(["a", "b", "bad", "c", "d"]), {"ndcg_at_5": np.array([1, 0, 0, 1, 0.5])})


def _queries(**languages: str | None) -> Queries:
    return Queries.of(Query(name, "text", language) for name, language in languages.items())


def test_every_language_has_its_own_figures():
    """One mean over six languages, of which the model reads one."""
    found = by_language(_VALUES, _queries(a="english", b="french", c="english", d=None), seed=0)
    assert {name: own["num_queries"] for name, own in found.items()} == {"english": 2, "french": 1}
    assert found["english"]["metrics"] == {"ndcg_at_5": 1.0}
    assert found["french"]["ci"] == {"ndcg_at_5": [0.0, 0.0]}


def test_a_set_of_one_language_has_no_subsets():
    """Every figure of an English test set, twice."""
    assert by_language(_VALUES, _queries(a="english", b="english", c="english"), seed=0) == {}


def test_figures_over_all_queries_are_those_of_before():
    """A metrics file that changes because its languages are told."""
    assert summary(_VALUES, seed=0)["metrics"] == {"ndcg_at_5": 0.5}
