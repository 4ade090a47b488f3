"""What is said of a mining that found too little."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colintern.config.schema import MiningConfig
from colintern.data.triples import Triple
from colintern.mining.evidence import RULES, Evidence, shortage
from colintern.mining.rules import Selection


def _document(negatives: int, dropped: dict[str, int], **settings) -> dict:
    return {
        "settings": MiningConfig(**settings).model_dump(),
        "queries": 324,
        "negatives": negatives,
        "without_negatives": 268,
        "dropped": {**dict.fromkeys(RULES, 0), **dropped},
    }


@pytest.mark.parametrize(
    ("dropped", "settings", "words"),
    [
        (
            {"relative_margin": 12_345, "positive": 99_999},
            {},
            "mining.relative_margin=0.05 refused 12,345 pages; lower it",
        ),
        (
            {"absolute_margin": 9, "max_score": 8},
            {"absolute_margin": 0.1},
            "mining.absolute_margin=0.1 refused 9 pages; lower it",
        ),
        ({"absolute_margin": 9}, {}, "9 pages score above a positive that is at 0 or below"),
        ({"max_score": 7}, {"max_score": 0.2}, "mining.max_score=0.2 refused 7 pages; raise it"),
        ({"min_score": 7}, {"min_score": 0.9}, "mining.min_score=0.9 refused 7 pages; lower it"),
        ({"same_page": 7}, {"range_min": 40}, "mining.range_min=40 and range_max=50 leave too few"),
    ],
)
def test_the_setting_that_refused_most_is_named(dropped, settings, words):
    """268 of 324 queries without negatives, and not a word on which knob to turn."""
    told = shortage(_document(400, dropped, **settings))
    assert told is not None
    assert told.startswith("400 of 2,592 negatives found, none for 268 of 324 queries: ")
    assert words in told


def test_half_of_the_negatives_is_enough():
    """A warning at every corpus that is smaller than its range."""
    assert shortage(_document(1_296, {"relative_margin": 12_345})) is None
    assert shortage(_document(1_295, {"relative_margin": 12_345})) is not None


@given(st.lists(st.floats(-1, 1, width=32), max_size=40), st.lists(st.integers(1, 10**6)))
def test_quantiles_are_those_of_numpy(scores, ranks):
    """A mining.json that differs in its last digits from the one of an earlier version."""
    evidence = Evidence(MiningConfig())
    triple = Triple("q", "text", [], [], scores, scores[::-1], ranks)
    evidence.add(triple, Selection([], Counter()))
    found = evidence.summary()["quantiles"]
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    for name, values in (("pos_scores", scores), ("neg_scores", scores), ("neg_ranks", ranks)):
        expected = np.quantile(np.array(values, np.float64), shares).tolist() if values else []
        assert list(found[name].values()) == expected
