"""How certain a mean or a gain is: seeded percentile bootstrap, and the number of queries needed.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; for retrieval metrics,
Sakai, Evaluating evaluation metrics based on the bootstrap (SIGIR 2006). The number of queries:
Webber, Moffat and Zobel, Statistical power in retrieval experimentation (CIKM 2008).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
_POWER = 0.8  # the probability to find a gain that exists
_SMALLEST_GAIN = 0.01  # smaller gains count as this one: for a gain of 0 no number is enough
_CHUNK_VALUES = 4_000_000  # resampled values in memory at one time


@dataclass(frozen=True)
class Interval:
    """A mean over queries and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: NDArray[np.float64], *, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """The mean of `values` and its percentile interval.

    The same seed draws the same queries for all arrays of one length, so all metrics of an
    evaluation use the same resamples.

    Args:
        values: one per query, at least one.
        confidence: of the interval, in (0, 1).
        seed: of the resamples.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("no queries to resample")
    draw = np.random.default_rng(seed)
    rows = max(1, _CHUNK_VALUES // len(values))
    means = np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        chosen = draw.integers(0, len(values), (size, len(values)))
        means[start : start + size] = values[chosen].mean(axis=1)
    outside = (1 - confidence) / 2
    low, high = np.quantile(means, [outside, 1 - outside])
    return Interval(float(values.mean()), float(low), float(high))


def paired_interval(
    after: NDArray[np.float64],
    before: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean of `after - before` and its interval.

    Args:
        after: one value per query.
        before: values of the same queries, in the same order.
        confidence: of the interval, in (0, 1).
        seed: of the resamples.

    Raises:
        ValueError: the two do not have the same number of queries.
    """
    if after.shape != before.shape:
        raise ValueError(f"paired values of {len(after)} and {len(before)} queries")
    return bootstrap_interval(after - before, confidence=confidence, seed=seed)


def queries_needed(changes: NDArray[np.float64], *, confidence: float = 0.95) -> int:
    """The number of queries that would show a gain like this, approximately.

    `((z_confidence + z_power) * spread / gain) ** 2` for a power of 0.8, rounded up to tens.

    Args:
        changes: of each query, after minus before.
        confidence: of the interval that must be above 0, in (0, 1).

    Returns:
        The number of queries; 0 for fewer than two changes, whose spread is unknown.
    """
    if len(changes) < 2:
        return 0
    normal = NormalDist()
    certainty = normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(_POWER)
    gain = max(abs(float(changes.mean())), _SMALLEST_GAIN)
    return 10 * math.ceil((certainty * float(changes.std(ddof=1)) / gain) ** 2 / 10)
