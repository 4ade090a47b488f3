"""Metrics equal trec_eval's for our order (property 7)."""

import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from colintern.evaluation.metrics import per_query_metrics

JUDGED = {"q1": {"a": 1, "b": 2}, "q2": {"c": 1}, "q3": {"d": 0}, "q4": {"e": 1}}


def test_hand_computed_values():
    """Exponential gain, a cutoff off by one, or a missing query left out of the mean."""
    found = per_query_metrics({"q1": ["x", "b", "a"], "q2": ["c"], "q4": []}, JUDGED)
    assert found.query_ids.to_pylist() == ["q1", "q2", "q4"]  # q3 has no relevant page
    ideal = 2 + 1 / math.log2(3)
    expected = (2 / math.log2(3) + 1 / math.log2(4)) / ideal
    assert found.values["ndcg_at_5"].tolist() == pytest.approx([expected, 1.0, 0.0])
    assert found.values["recall_at_1"].tolist() == [0.0, 1.0, 0.0]
    assert found.values["recall_at_5"].tolist() == [1.0, 1.0, 0.0]
    assert found.values["mrr_at_10"].tolist() == [0.5, 1.0, 0.0]


def test_mrr_is_cut_at_ten():
    """A first hit at rank 11 that still counts."""
    pages = [f"x{number}" for number in range(10)]
    found = per_query_metrics({"q2": [*pages, "c"]}, {"q2": {"c": 1}})
    assert found.values["mrr_at_10"].tolist() == [0.0]
    found = per_query_metrics({"q2": [*pages[:9], "c"]}, {"q2": {"c": 1}})
    assert found.values["mrr_at_10"].tolist() == [0.1]


def test_further_cutoffs_are_added():
    """A cutoff from the configuration that nobody computes."""
    found = per_query_metrics({"q2": ["x", "c"]}, {"q2": {"c": 1}}, (1, 3))
    assert found.values["recall_at_3"].tolist() == [1.0]
    assert found.values["ndcg_at_1"].tolist() == [0.0]


@given(
    st.dictionaries(
        st.sampled_from(["q1", "q2", "q3"]),
        st.lists(st.sampled_from([f"p{n}" for n in range(15)]), unique=True, max_size=15),
    ),
    st.dictionaries(
        st.sampled_from(["q1", "q2", "q3"]),
        st.dictionaries(
            st.sampled_from([f"p{n}" for n in range(15)]), st.integers(0, 2), min_size=1
        ),
        min_size=1,
    ),
)
def test_equal_to_trec_eval_given_minus_the_rank(ranking, judgements):
    """Our order judged in another order: by id, or by scores that float32 made equal."""
    found = per_query_metrics(ranking, judgements)
    run = {
        query: {page: float(-rank) for rank, page in enumerate(pages)}
        for query, pages in ranking.items()
        if pages
    }
    measures = {"ndcg_cut.5", "recall.10"}
    expected = pytrec_eval.RelevanceEvaluator(judgements, measures).evaluate(run)
    for row, query in enumerate(found.query_ids.to_pylist()):
        theirs = expected.get(query, {"ndcg_cut_5": 0.0, "recall_10": 0.0})
        assert found.values["ndcg_at_5"][row] == pytest.approx(theirs["ndcg_cut_5"])
        assert found.values["recall_at_10"][row] == pytest.approx(theirs["recall_10"])
    assert all(np.isfinite(values).all() for values in found.values.values())
