"""Reads what the report shows from a run folder; the run may be unfinished."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from colintern import storage
from colintern.config.schema import Config
from colintern.records.run_folder import RunFolder
from colintern.report.baselines import ShownBaseline, shown_baselines
from colintern.report.examples import (
    ShownQuery,
    examples_dataset,
    found_examples,
    mined_examples,
)
from colintern.report.ladder import ShownLadder, shown_ladders


@dataclass(frozen=True)
class Recorded:
    """What a run has recorded: only this is shown, whatever other files stand in the run folder.

    Attributes:
        stages: the names of all recorded stages.
        evaluated: for each dataset how many rounds are evaluated: 0, 1, ... without a gap.
        trained: the rounds that are trained, in order.
        mined: the rounds that were mined for, in order.
        baselines: for each dataset the names of its baselines, in the order in which they are
            shown.
        ladders: the datasets that have one, quality against size.
    """

    stages: Sequence[str] = ()
    evaluated: Mapping[str, int] = field(default_factory=dict)
    trained: Sequence[int] = ()
    mined: Sequence[int] = ()
    baselines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ladders: Sequence[str] = ()


@dataclass
class ReportData:
    """Everything that the report shows.

    Attributes:
        name: of the run.
        config: its settings, as in `run.json`.
        versions: of Python and of packages.
        commit: of ColIntern, if known.
        evaluations: for each dataset the documents of rounds 0, 1, ...
        losses: for each round, by its title, the loss of every step.
        mining: for each round that was mined for, its document.
        loop: the decisions, if there are any yet.
        stages: names and seconds, in the order in which they began.
        queries_of: the dataset of `queries`.
        triples: queries with their mined negatives.
        queries: queries with the pages found for them.
        unread: why pictures of their pages are missing; None where none are.
        baselines: for each dataset what else was measured on it.
        ladders: for each dataset that has one, quality against size.
        sets: what dev and the test sets are, see `runs.sets`; None in runs of earlier versions.
    """

    name: str
    config: Config
    versions: dict[str, str]
    commit: str | None
    evaluations: dict[str, list[dict[str, Any]]]
    losses: dict[str, list[float]]
    mining: dict[int, dict[str, Any]]
    loop: dict[str, Any] | None
    stages: list[tuple[str, float]]
    queries_of: str
    triples: list[ShownQuery] = field(default_factory=list)
    queries: list[ShownQuery] = field(default_factory=list)
    unread: str | None = None
    baselines: dict[str, list[ShownBaseline]] = field(default_factory=dict)
    ladders: list[ShownLadder] = field(default_factory=list)
    sets: dict[str, Any] | None = None

    @property
    def best_round(self) -> int:
        """The best round; the last evaluated one, until the loop has decided."""
        if self.loop:
            return self.loop["best_round"]
        return len(self.evaluations.get(self.queries_of, [])) - 1

    def best_round_of(self, dataset: str) -> int | None:
        """The best round, if it is evaluated on that dataset."""
        number = self.best_round
        return number if 0 <= number < len(self.evaluations[dataset]) else None


def read_report_data(run_path: str, recorded: Recorded) -> ReportData:
    """Read a run folder, and the images of a few pages from its datasets.

    Args:
        run_path: a run folder with a `run.json`.
        recorded: what is recorded in it.
    """
    folder = RunFolder(run_path)
    run = folder.read()
    config = run.config
    data = ReportData(
        name=config.run.name,
        config=config,
        versions=run.versions,
        commit=run.commit,
        evaluations={
            name: [storage.read_json(folder.evaluation(number, name)) for number in range(rounds)]
            for name, rounds in recorded.evaluated.items()
            if rounds
        },
        losses={f"round {number}": _losses(folder, number) for number in recorded.trained},
        mining={number: storage.read_json(folder.mining(number)) for number in recorded.mined},
        loop=storage.read_json(folder.loop_json) if storage.exists(folder.loop_json) else None,
        stages=_stage_seconds(folder, recorded.stages),
        queries_of=examples_dataset(config.data),
        sets=storage.read_json(folder.data_json) if storage.exists(folder.data_json) else None,
    )
    if data.mining:
        examples = mined_examples(folder, config.data, max(data.mining))
        data.triples, data.unread = examples.queries, examples.unread
    best_round = data.best_round
    if len(data.evaluations.get(data.queries_of, [])) > max(best_round, 1):
        examples = found_examples(folder, config.data, best_round)
        data.queries, data.unread = examples.queries, examples.unread or data.unread
    data.baselines = {
        name: shown_baselines(folder, config, name, data.best_round_of(name), names)
        for name, names in recorded.baselines.items()
        if names and name in data.evaluations
    }
    data.ladders = shown_ladders(folder, recorded.ladders)
    return data


def _losses(folder: RunFolder, round_number: int) -> list[float]:
    lines = storage.read_bytes(folder.train_log(round_number)).decode().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def _stage_seconds(folder: RunFolder, stages: Sequence[str]) -> list[tuple[str, float]]:
    """The seconds of stages, in the order in which they began.

    A stage that earlier versions did not write a record of has none.
    """
    found = []
    for stage in stages:
        if record := folder.record(stage):
            began = datetime.fromisoformat(record.started_at)
            seconds = (datetime.fromisoformat(record.finished_at) - began).total_seconds()
            found.append((began, stage, seconds))
    return [(stage, seconds) for _, stage, seconds in sorted(found)]
