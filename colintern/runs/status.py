"""What a run has done so far, as lines for the terminal."""

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from colintern import storage
from colintern.config.schema import evaluated_names
from colintern.evaluation.titles import METRIC_TITLES, title_of_baseline, title_of_start
from colintern.records import lease
from colintern.records.run_folder import RunFolder
from colintern.runs.baselines import recorded_baselines

if TYPE_CHECKING:
    from colintern.runs.stages import Stage

_NAME = 26  # columns for the name of a row


def status_lines(run_path: str) -> list[str]:
    """Every stage of a run up to the round it stopped at: done and when, running, or missing.

    A stage that `colintern run` would make again is missing too: a measurement with other settings,
    or a report about something else than what is recorded now.
    """
    # Half a second that `--help` goes without.
    from colintern.evaluation.chance import beside_chance
    from colintern.runs.stages import last_round, stages_of

    folder = RunFolder(run_path)
    config = folder.read().config
    is_held = lease.is_held(run_path)
    lines, running_shown = [], False
    for stage in stages_of(config, last_round(config, folder)):
        is_recorded = stage.is_recorded(folder)
        if is_recorded and stage.is_as_asked(config, folder):
            chance = beside_chance(_measured(folder, stage))
            state = f"done       {_finished_at(folder, stage.name)}   {chance}"
        elif is_held and not running_shown:
            state, running_shown = "running", True
        else:
            state = "missing    (out of date)" if is_recorded else "missing"
        lines.append(f"{stage.name:<40} {state}".rstrip())
    return lines


def _measured(folder: RunFolder, stage: "Stage") -> Mapping[str, Any]:
    """The metrics that a finished stage has written; empty for a stage of another kind."""
    from colintern.runs.stages import Evaluate

    if not isinstance(stage, Evaluate):
        return {}
    return storage.read_json(folder.evaluation(stage.round_number, stage.dataset))


def _finished_at(folder: RunFolder, stage: str) -> str:
    """When a stage was finished; empty for one that an earlier version has not recorded."""
    record = folder.record(stage)
    return f"{record.finished_at[:19].replace('T', ' ')} UTC" if record else ""


def table_lines(run_path: str) -> list[str]:
    """The metrics of all rounds on all datasets, each with its 95 % interval below it.

    The baselines that are measured on a dataset stand below its rounds.
    """
    folder = RunFolder(run_path)
    config = folder.read().config
    start = title_of_start(config.training.init_heads)
    start = start if len(start) < _NAME - 2 else "start"
    lines = [header_line()]
    datasets = evaluated_names(config.data)
    baselines = recorded_baselines(folder, datasets)
    for dataset in datasets:
        for round_number in evaluated_rounds(run_path, dataset):
            name = f"0 {start}" if round_number == 0 else str(round_number)
            lines += metric_lines(run_path, dataset, round_number, name)
        for name in baselines[dataset]:
            document = storage.read_json(folder.baseline_evaluation(name, dataset))
            lines += document_lines(document, _fitting(title_of_baseline(document)))
    return lines


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
