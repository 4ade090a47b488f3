"""How sure a mean or a gain is: seeded percentile bootstrap over queries.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; for retrieval metrics,
Sakai, Evaluating evaluation metrics based on the bootstrap (SIGIR 2006).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
_CHUNK_NUMBERS = 4_000_000  # resampled values in memory at one time


@dataclass(frozen=True)
class Interval:
    """A mean over queries and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: NDArray[np.float64], *, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """The mean of `values`, one a query, and its percentile interval.

    The same seed draws the same queries for every array of the same length, so all metrics of an
    evaluation share their resamples.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("no queries to resample")
    draw = np.random.default_rng(seed)
    rows = max(1, _CHUNK_NUMBERS // len(values))
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
    """The mean of `after - before` on the same queries, in the same order, and its interval.

    Raises:
        ValueError: the two do not have the same number of queries.
    """
    if after.shape != before.shape:
        raise ValueError(f"paired values of {len(after)} and {len(before)} queries")
    return bootstrap_interval(after - before, confidence=confidence, seed=seed)
