"""What is compared: rounds of runs, and baselines, as the command line names them."""

from collections.abc import Sequence
from dataclasses import dataclass

from colintern import storage
from colintern.config.schema import Config, evaluated_names
from colintern.errors import MissingStageError
from colintern.records import Record
from colintern.records.run_folder import RunFolder, baseline_stage
from colintern.runs.baselines import is_recorded, recorded_baselines
from colintern.runs.stages import Evaluate
from colintern.runs.status import evaluated_rounds

_MARK = "@"  # between a run and what is chosen of it


@dataclass(frozen=True)
class Chosen:
    """A round of a run, or a baseline that was measured on its pages.

    Attributes:
        folder: the run, where it stands now.
        config: what it was made with.
        round_number: 0 is before training; None for a baseline.
        baseline: its name; None for a round.
    """

    folder: RunFolder
    config: Config
    round_number: int | None
    baseline: str | None = None

    @property
    def mark(self) -> str:
        """What is written behind the `@`."""
        return self.baseline or str(self.round_number)

    @property
    def name(self) -> str:
        """The run by the name of its folder, and what of it."""
        run = storage.absolute(self.folder.path).rpartition("/")[2]
        return f"{run}{_MARK}{self.mark}"

    @property
    def place(self) -> str:
        """As `name`, by the whole path."""
        return f"{storage.absolute(self.folder.path)}{_MARK}{self.mark}"

    def is_same(self, other: "Chosen") -> bool:
        """Whether both mean one measurement, by whatever paths they are named."""
        own, theirs = (storage.real(chosen.folder.path) for chosen in (self, other))
        return own == theirs and self.mark == other.mark

    def is_measured(self, dataset: str) -> bool:
        """Whether it is recorded that it was measured on a dataset."""
        if self.baseline is not None:
            return is_recorded(self.folder, self.baseline, dataset)
        return Evaluate(self._number, dataset).is_recorded(self.folder)

    def record(self, dataset: str) -> Record | None:
        """What it was measured from, on a dataset."""
        if self.baseline is not None:
            return self.folder.record(baseline_stage(self.baseline, dataset))
        return self.folder.record(Evaluate(self._number, dataset).name)

    def evaluation(self, dataset: str) -> str:
        """The file with its metrics on a dataset."""
        if self.baseline is not None:
            return self.folder.baseline_evaluation(self.baseline, dataset)
        return self.folder.evaluation(self._number, dataset)

    def results(self, dataset: str) -> str:
        """The file with the best pages of every query."""
        if self.baseline is not None:
            return self.folder.baseline_results(self.baseline, dataset)
        return self.folder.results(self._number, dataset)

    @property
    def _number(self) -> int:
        assert self.round_number is not None, "a baseline is of no round"
        return self.round_number

    @property
    def datasets(self) -> list[str]:
        """What it was measured on: dev, then the test sets."""
        return [name for name in evaluated_names(self.config.data) if self.is_measured(name)]

    def baselines(self) -> list["Chosen"]:
        """The baselines of the same run."""
        recorded = recorded_baselines(self.folder, evaluated_names(self.config.data))
        names = dict.fromkeys(name for found in recorded.values() for name in found)
        return [Chosen(self.folder, self.config, None, name) for name in names]


def choose(argument: str) -> Chosen:
    """The round or the baseline that an argument names.

    Args:
        argument: `RUN`, `RUN@2` or `RUN@bm25`. A folder that itself has an `@` in its name is taken
            whole if it is a run; `RUN/@2` is then the round of the other one. Without a round it is
            the best one, or the last evaluated one of an unfinished run.

    Raises:
        PathError: there is no such run.
        MissingStageError: it has no such round or baseline, or nothing is evaluated yet.
    """
    path, mark = _split(argument)
    folder = RunFolder(path)
    config = folder.read().config
    if not mark:
        return Chosen(folder, config, _best_round(folder, config))
    is_round = mark.isdecimal()
    chosen = Chosen(folder, config, int(mark) if is_round else None, None if is_round else mark)
    if not chosen.datasets:
        raise MissingStageError(f"{argument}: {_told(chosen)}")
    return chosen


def named(chosen: Sequence[Chosen]) -> list[str]:
    """A name for each; those that would be called alike are told apart by their paths."""
    places: dict[str, set[str]] = {}
    for one in chosen:
        places.setdefault(one.name, set()).add(storage.real(one.folder.path))
    return [one.name if len(places[one.name]) == 1 else one.place for one in chosen]


def _split(argument: str) -> tuple[str, str]:
    """The path of a run, and what is behind the last `@`; empty when that belongs to the path."""
    path, _, mark = argument.rpartition(_MARK)
    if not path or "/" in mark or _is_run(argument) or not _is_run(path):
        return argument, ""
    return path, mark


def _is_run(path: str) -> bool:
    return storage.exists(RunFolder(path).run_json)


def _best_round(folder: RunFolder, config: Config) -> int:
    if storage.exists(folder.loop_json):
        return int(storage.read_json(folder.loop_json)["best_round"])
    names = evaluated_names(config.data)
    counts = [len(evaluated_rounds(folder.path, name)) for name in names]
    if not any(counts):
        raise MissingStageError(f"{folder.path}: no round is evaluated yet; run: colintern run")
    return (min(counts) or max(counts)) - 1


def _told(chosen: Chosen) -> str:
    """That a run does not have what was chosen, and what it has."""
    rounds = [
        len(evaluated_rounds(chosen.folder.path, name))
        for name in evaluated_names(chosen.config.data)
    ]
    has = [f"rounds 0 to {max(rounds) - 1}"] if any(rounds) else []
    has += [f"the baseline {baseline.mark}" for baseline in chosen.baselines()]
    kind = "baseline" if chosen.round_number is None else "evaluated round"
    known = f"it has {' and '.join(has)}" if has else "nothing is evaluated yet"
    return f"{chosen.folder.path} has no {kind} {chosen.mark}; {known}"
