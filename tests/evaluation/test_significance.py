"""Bootstrap intervals: seeded, of the right width, paired by query."""

import numpy as np
import pytest

from colintern.evaluation.significance import (
    bootstrap_interval,
    paired_interval,
    queries_needed,
)


def test_the_interval_has_the_width_of_theory():
    """Quantiles of the wrong share, or resamples of the wrong size."""
    values = np.random.default_rng(1).normal(0.5, 0.2, 2_000)
    interval = bootstrap_interval(values)
    error = values.std() / np.sqrt(len(values))
    assert interval.mean == pytest.approx(values.mean())
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    narrow = bootstrap_interval(values, confidence=0.5)
    assert narrow.high - narrow.low == pytest.approx(2 * 0.674 * error, rel=0.15)


def test_the_seed_decides():
    """Intervals that change from run to run."""
    values = np.arange(50.0)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


def test_chunks_do_not_change_the_result(monkeypatch):
    """A memory bound that changes which queries are drawn."""
    values = np.random.default_rng(2).random(100)
    expected = bootstrap_interval(values)
    monkeypatch.setattr("colintern.evaluation.significance._CHUNK_VALUES", 700)
    assert bootstrap_interval(values) == expected


def test_a_paired_interval_sees_small_but_steady_gains():
    """Two unpaired intervals that overlap hide a gain on every query."""
    before = np.random.default_rng(3).random(300)
    gain = paired_interval(before + 0.01, before)
    assert gain.low == pytest.approx(0.01)
    assert bootstrap_interval(before + 0.01).low < before.mean()
    with pytest.raises(ValueError, match="299 and 300"):
        paired_interval(before[:-1], before)


def test_the_queries_that_would_do_find_a_gain_four_times_in_five():
    """`about m would do` of a formula without power, or of the variance for the spread."""
    draw = np.random.default_rng(0)
    few = draw.normal(0.05, 0.3, 40)
    few += 0.05 - few.mean()
    few = 0.05 + (few - 0.05) * 0.3 / few.std(ddof=1)
    needed = queries_needed(few)
    assert needed == 290  # (2.80 * 0.3 / 0.05) ** 2
    intervals = [
        paired_interval(draw.normal(0.05, 0.3, needed), np.zeros(needed)) for _ in range(300)
    ]
    assert np.mean([interval.low > 0 for interval in intervals]) == pytest.approx(0.8, abs=0.07)


@pytest.mark.parametrize(
    ("changes", "needed"), [([0.2], 0), ([0.1, 0.1], 0), ([0.0, 0.0], 0), ([-0.3, 0.3], 14_130)]
)
def test_no_gain_asks_for_no_endless_number_of_queries(changes, needed):
    """A division by zero, or `about 10 ** 30 would do`."""
    assert queries_needed(np.array(changes)) == pytest.approx(needed, rel=0.01)
