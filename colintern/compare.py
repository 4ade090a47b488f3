"""One run against another on the same queries: is the difference real?"""

from colintern import storage
from colintern.config import Config, parse_config
from colintern.data.canonical import CanonicalDataset
from colintern.errors import MissingStageError, UserError
from colintern.evaluation.decision import METRIC
from colintern.evaluation.evaluate import judged_again, read_results
from colintern.evaluation.significance import paired_interval
from colintern.features.catalog import datasets, evaluated_names
from colintern.run_folder import RunFolder, evaluate_stage
from colintern.status import read_run


class NotComparableError(UserError):
    """Two runs were not evaluated on the same queries."""


def compare_lines(run_path: str, other_path: str) -> list[str]:
    """The last round of `run_path` minus that of `other_path`, on every dataset both evaluated.

    Returns:
        A line for each dataset: nDCG@5 of both, the mean difference over the queries, and its
        paired 95 % bootstrap interval.

    Raises:
        NotComparableError: they share no dataset, or its queries differ.
    """
    config = parse_config(read_run(run_path)["config"], RunFolder(run_path).run_json)
    others = parse_config(read_run(other_path)["config"], RunFolder(other_path).run_json)
    shared = [
        name for name in evaluated_names(config.data) if _path(config, name) == _path(others, name)
    ]
    if not shared:
        raise NotComparableError(f"{run_path} and {other_path}: evaluated on no common dataset")
    lines = [f"{'dataset':<16}{'nDCG@5':>8}{'other':>8}{'minus':>9}   95 % interval"]
    return lines + [_line(config, name, run_path, other_path) for name in shared]


def _line(config: Config, name: str, run_path: str, other_path: str) -> str:
    results, other_results = _last_results(run_path, name), _last_results(other_path, name)
    judgements = CanonicalDataset(_path(config, name)).judgements()
    asked = set(read_results(results)["query_id"].to_pylist())
    if asked != set(read_results(other_results)["query_id"].to_pylist()):
        raise NotComparableError(f"{run_path} and {other_path}: other queries in {name}")
    judged = {query: pages for query, pages in judgements.items() if query in asked}
    after = judged_again(results, judged).values[METRIC]
    before = judged_again(other_results, judged).values[METRIC]
    gain = paired_interval(after, before, seed=config.run.seed)
    return (
        f"{name:<16}{after.mean():>8.3f}{before.mean():>8.3f}{gain.mean:>+9.4f}"
        f"   {gain.low:+.4f} to {gain.high:+.4f}"
    )


def _path(config: Config, name: str) -> str:
    """The folder that a dataset is read from; '' when the run does not have it."""
    paths = {dataset.name: dataset.path for dataset in datasets(config.data)}
    split = config.data.train.path if name == "dev" else ""  # dev may be a part of train
    return paths.get(name, split)


def _last_results(run_path: str, name: str) -> str:
    folder = RunFolder(run_path)
    number = 0
    while folder.record(evaluate_stage(number, name)):
        number += 1
    if number == 0 or not storage.exists(path := folder.results(number - 1, name)):
        raise MissingStageError(f"{run_path}: {name} is not evaluated; run: colintern evaluate")
    return path
