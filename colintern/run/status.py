"""What a run has done so far, as lines for the terminal."""

from collections.abc import Iterator, Sequence
from typing import Any

from colintern import storage
from colintern.config.schema import DEV, EvaluationConfig
from colintern.errors import PathError
from colintern.records import lease
from colintern.records.run_folder import (
    REPORT_STAGE,
    RunFolder,
    encode_stage,
    evaluate_stage,
    mine_stage,
    train_stage,
)

_COLUMNS = ("ndcg_at_5", "mrr_at_10", "recall_at_1", "recall_at_5", "recall_at_10")
_TITLES = ("nDCG@5", "MRR@10", "Recall@1", "Recall@5", "Recall@10")
_NAME = 26  # columns for the name of a row
HEADER = f"{'dataset':<16}{'round':<{_NAME}}" + "".join(f"{title:>14}" for title in _TITLES)


def read_run(run_path: str) -> dict[str, Any]:
    """The content of `run.json`.

    Raises:
        PathError: `run_path` is no run folder.
    """
    path = RunFolder(run_path).run_json
    if not storage.exists(path):
        raise PathError(f"{run_path}: is no run folder (it has no run.json)")
    document = storage.read_json(path)
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict) or not config.keys() >= {"data", "training", "loop"}:
        raise PathError(f"{run_path}: is no run folder (its run.json holds no run's configuration)")
    return document


def status_lines(run_path: str) -> list[str]:
    """Every stage of a run up to the round it stopped at: done and when, running, or missing."""
    folder = RunFolder(run_path)
    config = read_run(run_path)["config"]
    is_held = lease.is_held(run_path)
    last_round = _last_round(folder, config)
    outdated = set(_outdated(folder, config, last_round))
    lines, running_shown = [], False
    for stage in _stages(config, last_round):
        record = folder.record(stage)
        if record is not None and stage not in outdated:
            state = f"done       {record.finished_at[:19].replace('T', ' ')} UTC"
        elif is_held and not running_shown:
            state, running_shown = "running", True
        else:
            state = "missing    (measured with other settings)" if record else "missing"
        lines.append(f"{stage:<40} {state}")
    return lines


def table_lines(run_path: str) -> list[str]:
    """The metrics of all rounds on all datasets, each with its 95 % interval below it."""
    lines = [HEADER]
    for dataset in _evaluated(read_run(run_path)["config"]):
        for round_number in evaluated_rounds(run_path, dataset):
            name = "0 untrained" if round_number == 0 else str(round_number)
            lines += metric_lines(run_path, dataset, round_number, name)
    return lines


def evaluated_rounds(run_path: str, dataset: str) -> range:
    """The rounds that are evaluated on a dataset."""
    number = 0
    while RunFolder(run_path).record(evaluate_stage(number, dataset)):
        number += 1
    return range(number)


def metric_lines(run_path: str, dataset: str, round_number: int, name: str) -> list[str]:
    """A row of the table of metrics under `name`, and the intervals below it.

    A search that is not exact is named: what it misses lowers every metric.
    """
    document = storage.read_json(RunFolder(run_path).evaluation(round_number, dataset))
    if document["search"] != "exact":
        name = f"{name} {document['search']}"
    values = "".join(f"{document['metrics'][key]:>14.3f}" for key in _COLUMNS)
    intervals = (document["ci"][key] for key in _COLUMNS)
    below = "".join(f"{f'{low:.3f}-{high:.3f}':>14}" for low, high in intervals)
    return [f"{dataset:<16}{name:<{_NAME}}{values}", " " * (16 + _NAME) + below]


def _outdated(folder: RunFolder, config: dict[str, Any], last_round: int) -> Iterator[str]:
    """The stages of evaluations that are not what the settings ask for now."""
    from colintern.evaluation.asked import is_as_asked  # half a second that `--help` goes without

    settings = EvaluationConfig.model_validate(config.get("evaluation", {}))
    for number in range(last_round + 1):
        for dataset in _evaluated(config):
            path = folder.evaluation(number, dataset)
            if not storage.exists(path) or not is_as_asked(storage.read_json(path), settings):
                yield evaluate_stage(number, dataset)


def _last_round(folder: RunFolder, config: dict[str, Any]) -> int:
    """The round at which the loop has stopped, or may at the latest."""
    if storage.exists(folder.loop_json):
        last = storage.read_json(folder.loop_json)["rounds"][-1]
        if last["decision"] == "stop":
            return last["round"]
    return config["loop"]["max_rounds"]


def _stages(config: dict[str, Any], last_round: int) -> Sequence[str]:
    data = config["data"]
    names = [data["train"]["name"], *([DEV] if data["dev"] else [])]
    stages = [encode_stage(name) for name in (*names, *(entry["name"] for entry in data["eval"]))]
    for number in range(last_round + 1):
        if number > 1 and config["training"]["negatives_per_query"]:
            stages.append(mine_stage(number))
        if number:
            stages.append(train_stage(number))
        stages += [evaluate_stage(number, name) for name in _evaluated(config)]
    return [*stages, REPORT_STAGE]


def _evaluated(config: dict[str, Any]) -> list[str]:
    return [DEV, *(entry["name"] for entry in config["data"]["eval"])]
