"""What a run has done so far, as lines for the terminal and as a document for programs."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from colintern import storage
from colintern.config.schema import evaluated_names
from colintern.evaluation.titles import METRIC_TITLES, title_of_baseline, title_of_start
from colintern.records import lease
from colintern.records.run_folder import RunFolder

if TYPE_CHECKING:
    from colintern.runs.stages import Stage

_NAME = 26  # columns for the name of a row


@dataclass(frozen=True)
class StageStatus:
    """How far a stage is.

    Attributes:
        name: what its record is called.
        state: one that `colintern run` would make again is out of date: a measurement with other
            settings, or a report about something else than what is recorded now.
        finished_at: in UTC; None if it is not done, or an earlier version has not recorded it.
        remark: that a measurement is at chance level; else empty.
    """

    name: str
    state: Literal["done", "running", "missing", "out of date"]
    finished_at: str | None = None
    remark: str = ""


def stage_states(run_path: str) -> Iterator[StageStatus]:
    """Every stage of a run, in order, up to the round at which it stopped."""
    # Half a second that `--help` goes without.
    from colintern.evaluation.chance import beside_chance
    from colintern.runs.stages import last_round, stages_of

    folder = RunFolder(run_path)
    config = folder.read().config
    is_held = lease.is_held(run_path)
    for stage in stages_of(config, last_round(config, folder)):
        is_recorded = stage.is_recorded(folder)
        if is_recorded and stage.is_as_asked(config, folder):
            record = folder.record(stage.name)
            finished_at = record.finished_at if record else None
            remark = beside_chance(_measured(folder, stage))
            yield StageStatus(stage.name, "done", finished_at, remark)
        elif is_held:
            is_held = False  # a driver does one stage at a time
            yield StageStatus(stage.name, "running")
        else:
            yield StageStatus(stage.name, "out of date" if is_recorded else "missing")


def status_lines(run_path: str) -> list[str]:
    """Every stage of a run up to the round it stopped at: done and when, running, or missing."""
    lines = []
    for stage in stage_states(run_path):
        state = f"{stage.state:<10}"
        if stage.state == "out of date":
            state = "missing    (out of date)"
        elif stage.finished_at:
            state += f" {stage.finished_at[:19].replace('T', ' ')} UTC"
        if stage.remark:
            state += f"   {stage.remark}"
        lines.append(f"{stage.name:<40} {state}".rstrip())
    return lines


def _measured(folder: RunFolder, stage: "Stage") -> Mapping[str, Any]:
    """The metrics that a finished stage has written; empty for a stage of another kind."""
    from colintern.runs.stages import Evaluate

    if not isinstance(stage, Evaluate):
        return {}
    return storage.read_json(folder.evaluation(stage.round_number, stage.dataset))


def status_document(run_path: str) -> dict[str, Any]:
    """What is known of a run, as JSON values.

    `stages` is a list of `name`, `state` and `finished_at`, see `StageStatus`. `rounds` is a list
    of `round` and `datasets`: by the name of each dev or test set, `metrics` and `ci` as they stand
    in the files of the evaluation. `baselines` has the same by the name of each baseline.
    `best_round` is null until a round is judged, and `report` until there is one.
    """
    from colintern.runs.stages.beside import beside_rounds

    folder = RunFolder(run_path)
    config = folder.read().config
    rounds: dict[int, dict[str, Any]] = {}
    baselines: dict[str, dict[str, Any]] = {}
    for dataset, found in beside_rounds(config, folder).baselines.items():
        for number in evaluated_rounds(run_path, dataset):
            path = folder.evaluation(number, dataset)
            rounds.setdefault(number, {})[dataset] = _figures(path)
        for name in found:
            path = folder.baseline_evaluation(name, dataset)
            baselines.setdefault(name, {})[dataset] = _figures(path)
    is_judged = storage.exists(folder.loop_json)
    return {
        "run": run_path,
        "stages": [asdict(stage) for stage in stage_states(run_path)],
        "rounds": [{"round": number, "datasets": rounds[number]} for number in sorted(rounds)],
        "baselines": baselines,
        "best_round": storage.read_json(folder.loop_json)["best_round"] if is_judged else None,
        "report": folder.report if storage.exists(folder.report) else None,
    }


def _figures(path: str) -> dict[str, Any]:
    document = storage.read_json(path)
    return {key: document[key] for key in ("metrics", "ci")}


def table_lines(run_path: str) -> list[str]:
    """The metrics of all rounds on all datasets, each with its 95 % interval below it.

    The baselines that are measured on a dataset stand below its rounds, and below them what a
    random order reaches. Those that were measured with other answers or heads than the rounds are
    left out, and named at the end.
    """
    from colintern.evaluation.decision import METRIC
    from colintern.runs.stages.beside import beside_rounds

    folder = RunFolder(run_path)
    config = folder.read().config
    start = title_of_start(config.training.init_heads)
    start = start if len(start) < _NAME - 2 else "start"
    lines = [header_line()]
    beside = beside_rounds(config, folder)
    for dataset in evaluated_names(config.data):
        for round_number in evaluated_rounds(run_path, dataset):
            name = f"0 {start}" if round_number == 0 else str(round_number)
            lines += metric_lines(run_path, dataset, round_number, name)
        found = [
            storage.read_json(folder.baseline_evaluation(name, dataset))
            for name in beside.baselines[dataset]
        ]
        for document in found:
            lines += document_lines(document, _fitting(title_of_baseline(document)))
        if found and "chance" in found[0]:
            level = found[0]["chance"][METRIC]
            lines.append(f"{dataset:<16}{'a random order':<{_NAME}}{level:>14.3f}")
    return [*lines, beside.remark] if beside.remark else lines


def _fitting(name: str) -> str:
    """A name that may be that of any model, cut so that the columns stay columns."""
    return name if len(name) < _NAME else f"{name[: _NAME - 4]}..."


def evaluated_rounds(run_path: str, dataset: str) -> range:
    """The rounds that are evaluated on a dataset."""
    from colintern.runs.stages import Evaluate

    folder = RunFolder(run_path)
    return range(next(n for n in count() if not Evaluate(n, dataset).is_recorded(folder)))


def metric_lines(run_path: str, dataset: str, round_number: int, name: str) -> list[str]:
    """The row of a round in the table of metrics; see `document_lines`."""
    document = storage.read_json(RunFolder(run_path).evaluation(round_number, dataset))
    return document_lines(document, name)


def header_line(width: int = _NAME) -> str:
    """The titles of the table of metrics, with so many columns for the name of a row."""
    titles = "".join(f"{title:>14}" for title in METRIC_TITLES.values())
    return f"{'dataset':<16}{'round':<{width}}{titles}"


def document_lines(document: Mapping[str, Any], name: str, width: int = _NAME) -> list[str]:
    """A row of the table of metrics under `name`, and the intervals below it.

    A search that is not exact is named: what it misses lowers every metric. So is the level of
    chance, below the name, where the metrics are no better.
    """
    from colintern.evaluation.chance import beside_chance

    if document["search"] != "exact":
        name = f"{name} {document['search']}"
    values = "".join(f"{document['metrics'][key]:>14.3f}" for key in METRIC_TITLES)
    intervals = (document["ci"][key] for key in METRIC_TITLES)
    below = "".join(f"{f'{low:.3f}-{high:.3f}':>14}" for low, high in intervals)
    chance = f"{beside_chance(document):>{16 + width}}"
    return [f"{document['dataset']:<16}{name:<{width}}{values}", chance + below]
