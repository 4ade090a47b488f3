"""What is said of a mining that found too little."""

import pytest

from colintern.config.schema import MiningConfig
from colintern.mining.evidence import RULES, shortage


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
