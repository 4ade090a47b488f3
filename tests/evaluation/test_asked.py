"""Whether a recorded evaluation is the one that the settings ask for."""

import pytest

from colintern.config.schema import EvaluationConfig
from colintern.evaluation.asked import asked_of, is_as_asked
from colintern.evaluation.metrics import metric_names

EXACT = EvaluationConfig(search="exact", cutoffs=())
POOLED = EvaluationConfig(search="pooled_rerank", cutoffs=())


def _document(dataset: str, search: str, cutoffs: tuple[int, ...] = ()) -> dict:
    return {
        "dataset": dataset,
        "search": search,
        "metrics": dict.fromkeys(metric_names(cutoffs), 0.5),
    }


def test_dev_is_searched_exactly_whatever_the_settings_say():
    """A round that is stopped for what an approximate search has missed."""
    assert asked_of("dev", POOLED, None).search == "exact"
    assert asked_of("test", POOLED, None).search == "pooled_rerank"


def test_what_an_earlier_version_has_measured_on_dev_stays():
    """A finished run whose decisions are made again, because dev was searched as it said then."""
    before = _document("dev", "pooled_rerank")
    assert asked_of("dev", EXACT, before).search == "pooled_rerank"
    assert is_as_asked(before, EXACT)


@pytest.mark.parametrize(
    ("document", "settings", "is_asked"),
    [
        (_document("test", "exact"), EXACT, True),
        (_document("test", "exact"), POOLED, False),
        (_document("test", "pooled_rerank"), EXACT, False),
        (_document("test", "exact"), EvaluationConfig(cutoffs=(20,)), False),
        (_document("test", "exact", (20,)), EvaluationConfig(cutoffs=(20,)), True),
        (_document("test", "exact", (20,)), EXACT, False),
    ],
)
def test_another_search_or_other_metrics_are_measured_again(document, settings, is_asked):
    """A table with rows that were searched in two ways, or columns that a row lacks."""
    assert is_as_asked(document, settings) == is_asked
