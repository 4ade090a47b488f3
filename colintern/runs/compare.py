"""One run against another on the same queries: is the difference real?"""

import numpy as np

from colintern import storage
from colintern.config.schema import Config, dataset_of, evaluated_names
from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import find, strings
from colintern.errors import MissingStageError, UserError
from colintern.evaluation.decision import METRIC
from colintern.evaluation.evaluate import judged_again
from colintern.evaluation.results import read_results
from colintern.evaluation.significance import paired_interval
from colintern.records.run_folder import RunFolder
from colintern.runs.status import HEADER, evaluated_rounds, metric_lines


class NotComparableError(UserError):
    """Two runs were not evaluated on the same queries."""


def compare_lines(run_path: str, other_path: str) -> list[str]:
    """The rounds of `run_path` beside the last round of `other_path`, on what both evaluated.

    Returns:
        A table with the metrics of every round of the first run and of the last round of the
        other; then for each dataset the mean difference of the last rounds in nDCG@5 over the
        queries, and its paired 95 % bootstrap interval.

    Raises:
        NotComparableError: they share no dataset, or its queries differ.
    """
    config, others = (RunFolder(path).read().config for path in (run_path, other_path))
    shared = [
        name for name in evaluated_names(config.data) if _path(config, name) == _path(others, name)
    ]
    if not shared:
        raise NotComparableError(f"{run_path} and {other_path}: no dataset is evaluated in both")
    gains = [_gain_line(config, name, run_path, other_path) for name in shared]
    table = [
        line
        for name in shared
        for line in (
            *_rows(run_path, name, config.run.name, evaluated_rounds(run_path, name)),
            *_rows(other_path, name, others.run.name, evaluated_rounds(other_path, name)[-1:]),
        )
    ]
    return [HEADER, *table, "", *gains]


def _rows(run_path: str, dataset: str, name: str, rounds: range) -> list[str]:
    return [
        line
        for number in rounds
        for line in metric_lines(run_path, dataset, number, f"{number} {name}")
    ]


def _gain_line(config: Config, name: str, run_path: str, other_path: str) -> str:
    results, other_results = _last_results(run_path, name), _last_results(other_path, name)
    judgements = CanonicalDataset(_path(config, name)).judgements()
    asked = set(read_results(results)["query_id"].to_pylist())
    if asked != set(read_results(other_results)["query_id"].to_pylist()):
        raise NotComparableError(
            f"{run_path} and {other_path}: evaluated on different queries of {name}"
        )
    is_asked = find(judgements.query_ids, strings(sorted(asked))) >= 0
    judged = judgements.of_queries(np.flatnonzero(is_asked))
    num_queries = max(_num_queries(path, name) for path in (run_path, other_path))
    not_asked = np.zeros(num_queries - len(judged))  # they find nothing, and count in every mean
    after = np.append(judged_again(results, judged).values[METRIC], not_asked)
    before = np.append(judged_again(other_results, judged).values[METRIC], not_asked)
    gain = paired_interval(after, before, seed=config.run.seed)
    return (
        f"{name}: nDCG@5 {after.mean():.3f}, other {before.mean():.3f}; "
        f"difference {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
    )


def _path(config: Config, name: str) -> str:
    """The folder that a measured dataset is read from; '' when the run does not have it."""
    return dataset_of(config.data, name).path if name in evaluated_names(config.data) else ""


def _last_results(run_path: str, name: str) -> str:
    return RunFolder(run_path).results(_last_round(run_path, name), name)


def _num_queries(run_path: str, name: str) -> int:
    document = RunFolder(run_path).evaluation(_last_round(run_path, name), name)
    return int(storage.read_json(document)["num_queries"])


def _last_round(run_path: str, name: str) -> int:
    rounds = evaluated_rounds(run_path, name)
    if not rounds:
        raise MissingStageError(f"{run_path}: {name} is not evaluated; run: colintern evaluate")
    return rounds[-1]
