"""Which near misses are kept, rule by rule (property 4)."""

import pytest

from colintern.config.schema import MiningConfig
from colintern.mining.rules import Ranked, select_negatives

SCORES = [0.9, 0.8, 0.76, 0.75, 0.7, 0.5, 0.4, 0.3]


def _select(low: float = 0.8, scores=SCORES, **settings):
    ranked = [Ranked(page, score, page + 1) for page, score in enumerate(scores)]
    return select_negatives(
        ranked,
        positives={1},
        positive_pictures={11, 13},
        pictures=range(10, 10 + len(scores)),  # page 3 is a copy of another positive
        lowest_positive=low,
        settings=MiningConfig(**{"relative_margin": 0.05, **settings}),
        seed="0",
    )


def test_positives_and_their_copies_are_never_negatives():
    """The same page under another id comes back as a negative (property 3)."""
    selection = _select(relative_margin=0.0, num_negatives=20)
    kept = [page.page for page in selection.negatives]
    assert 1 not in kept
    assert 3 not in kept
    assert selection.dropped["positive"] == 1
    assert selection.dropped["same_page"] == 1


def test_relative_margin_is_measured_from_the_lowest_positive():
    """0.76 = 0.8 * 0.95 is kept: the rule says <=."""
    kept = [page.page for page in _select(low=0.8).negatives]
    assert kept == [2, 4, 5, 6, 7]
    assert _select(low=0.8).dropped["relative_margin"] == 1


def test_absolute_margin_applies_too_when_set():
    """An absolute margin that is ignored when the lowest positive is above 0."""
    selection = _select(low=0.8, absolute_margin=0.25)
    assert [page.page for page in selection.negatives] == [5, 6, 7]
    assert selection.dropped["absolute_margin"] == 2


@pytest.mark.parametrize(("absolute", "kept"), [(None, [2, 4]), (0.2, [4])])
def test_a_lowest_positive_below_zero_uses_the_absolute_margin(absolute, kept):
    """Low * (1 - margin) lies above a negative low: the relative rule would let everything in."""
    scores = [-0.05, -0.1, -0.1, 0.0, -0.4]
    selection = _select(low=-0.1, scores=scores, absolute_margin=absolute)
    assert [page.page for page in selection.negatives] == kept


def test_the_range_counts_after_positives_are_taken_out():
    """range_min that is spent on the positive itself; a half-open end."""
    selection = _select(low=2.0, range_min=1, range_max=3)
    assert [page.page for page in selection.negatives] == [2, 4]
    assert [page.rank for page in selection.negatives] == [3, 5]


def test_what_follows_the_range_changes_nothing():
    """Counts of refused pages that grow with how deep another query had to be searched."""
    selection = _select(low=2.0, range_max=2)
    assert [page.page for page in selection.negatives] == [0, 2]
    assert selection.dropped == {"positive": 1}  # its copy p3 comes behind the range


def test_limits_and_short_lists():
    """Limits ignored, or a short list filled up with pages that were not near misses."""
    selection = _select(low=2.0, max_score=0.8, min_score=0.45, num_negatives=10)
    assert [page.page for page in selection.negatives] == [2, 4, 5]
    assert selection.dropped["max_score"] == 1
    assert selection.dropped["min_score"] == 2


def test_random_sampling_is_seeded_and_keeps_the_order():
    """Sampling that differs from run to run, or is not hardest first."""
    first = _select(low=2.0, sampling="random", num_negatives=3).negatives
    assert first == _select(low=2.0, sampling="random", num_negatives=3).negatives
    assert [page.rank for page in first] == sorted(page.rank for page in first)
    assert len(first) == 3
