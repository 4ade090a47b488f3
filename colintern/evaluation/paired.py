"""Two rankings of the same queries, judged again from storage so that they can be compared."""

import numpy as np
from numpy.typing import NDArray

from colintern.data.columns import find
from colintern.data.judgements import Judgements
from colintern.evaluation.decision import METRIC
from colintern.evaluation.evaluate import judged_again
from colintern.evaluation.results import asked_queries
from colintern.evaluation.significance import Interval, paired_interval

Values = NDArray[np.float64]


def difference(
    judgements: Judgements, after_path: str, before_path: str, *, num_queries: int, seed: int
) -> Interval:
    """The mean difference in nDCG@5 over all queries, after minus before, and its 95 % interval.

    Args:
        judgements: of the dataset, or of more of it than was evaluated.
        after_path: the results of a round: they tell which queries were asked.
        before_path: results of the same queries; one that is missing there has found nothing.
        num_queries: those that count, with the ones that could not be asked and find nothing.
        seed: of the bootstrap.
    """
    asked = asked_queries(after_path)
    judged = judgements.of_queries(np.flatnonzero(find(judgements.query_ids, asked) >= 0))
    after, before = (
        values_of(judged, path, num_queries=num_queries) for path in (after_path, before_path)
    )
    return paired_interval(after, before, seed=seed)


def values_of(judgements: Judgements, path: str, *, num_queries: int) -> Values:
    """The nDCG@5 of every query that was asked, then the zeros of those that were not.

    Args:
        judgements: of the queries that were asked.
        path: the results.
        num_queries: as in `difference`.
    """
    values = judged_again(path, judgements).values[METRIC]
    return np.append(values, np.zeros(num_queries - len(values)))
