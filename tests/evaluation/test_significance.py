"""Bootstrap intervals: seeded, of the right width, paired by query."""

import numpy as np
import pytest

from colintern.evaluation.significance import bootstrap_interval, paired_interval


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
    monkeypatch.setattr("colintern.evaluation.significance._CHUNK_NUMBERS", 700)
    assert bootstrap_interval(values) == expected


def test_a_paired_interval_sees_small_but_steady_gains():
    """Two unpaired intervals that overlap hide a gain on every query."""
    before = np.random.default_rng(3).random(300)
    gain = paired_interval(before + 0.01, before)
    assert gain.low == pytest.approx(0.01)
    assert bootstrap_interval(before + 0.01).low < before.mean()
    with pytest.raises(ValueError, match="299 and 300"):
        paired_interval(before[:-1], before)
