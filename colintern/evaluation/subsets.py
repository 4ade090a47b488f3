"""The metrics of each language of a test set, where its queries have several.

ViDoRe v2 and v3 ask the same questions in four and six languages. A figure over all of them hides
which ones a model reads.
"""

from typing import Any

import numpy as np

from colintern.data.columns import find
from colintern.data.queries import Queries
from colintern.evaluation.metrics import PerQuery
from colintern.evaluation.significance import bootstrap_interval


def summary(values: PerQuery, seed: int) -> dict[str, Any]:
    """The mean of every metric over the queries, and its interval: `metrics` and `ci` of a file."""
    intervals = {
        name: bootstrap_interval(np.asarray(metric), seed=seed)
        for name, metric in values.values.items()
    }
    return {
        "metrics": {name: interval.mean for name, interval in intervals.items()},
        "ci": {name: [interval.low, interval.high] for name, interval in intervals.items()},
    }


def by_language(values: PerQuery, queries: Queries, seed: int) -> dict[str, dict[str, Any]]:
    """Language to `num_queries`, `metrics` and `ci`; empty where there are not two at least.

    A query whose language is not known belongs to none. So does one that cannot be read as a
    question (blank, overlong): it counts, as 0, in the figures over all queries only.

    Args:
        values: the metrics of every judged query.
        queries: with their languages; some may not be judged.
        seed: of the bootstrap.
    """
    row = find(values.query_ids, queries.ids)
    languages = np.array([*queries.languages.to_pylist(), None], dtype=object)[row]
    names = sorted({name for name in languages.tolist() if name is not None})
    if len(names) < 2:
        return {}
    return {name: _one(values, languages == name, seed) for name in names}


def _one(values: PerQuery, is_own: np.ndarray, seed: int) -> dict[str, Any]:
    own = values.where(is_own)
    return {"num_queries": len(own.query_ids), **summary(own, seed)}
