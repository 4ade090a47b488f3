"""Reads what the report shows from a run folder; the run may be unfinished."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from colintern import storage
from colintern.config.schema import Config, evaluated_names
from colintern.records.run_folder import RunFolder
from colintern.report.examples import (
    ShownQuery,
    examples_dataset,
    found_examples,
    mined_examples,
)


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


def read_report_data(run_path: str) -> ReportData:
    """Read a run folder, and the images of a few pages from its datasets.

    Args:
        run_path: a run folder with a `run.json`; any other file may be missing.
    """
    folder = RunFolder(run_path)
    run = folder.read()
    config = run.config
    names = evaluated_names(config.data)
    evaluations = {name: found for name in names if (found := _evaluations(folder, name))}
    last = max((len(rounds) for rounds in evaluations.values()), default=1) + 1
    data = ReportData(
        name=config.run.name,
        config=config,
        versions=run.versions,
        commit=run.commit,
        evaluations=evaluations,
        losses=_losses(folder, last),
        mining={
            number: storage.read_json(folder.mining(number))
            for number in range(2, last + 1)
            if storage.exists(folder.mining(number))
        },
        loop=storage.read_json(folder.loop_json) if storage.exists(folder.loop_json) else None,
        stages=_stage_seconds(folder),
        queries_of=examples_dataset(config.data),
    )
    if data.mining:
        data.triples = mined_examples(folder, config.data, max(data.mining))
    rounds = data.evaluations.get(data.queries_of, [])
    best_round = data.loop["best_round"] if data.loop else len(rounds) - 1
    if len(rounds) > max(best_round, 1):
        data.queries = found_examples(folder, config.data, best_round)
    return data


def _evaluations(folder: RunFolder, dataset: str) -> list[dict[str, Any]]:
    found = []
    while storage.exists(path := folder.evaluation(len(found), dataset)):
        found.append(storage.read_json(path))
    return found


def _losses(folder: RunFolder, last: int) -> dict[str, list[float]]:
    losses = {}
    for number in range(1, last + 1):
        if storage.exists(path := folder.train_log(number)):
            lines = storage.read_bytes(path).decode().splitlines()
            losses[f"round {number}"] = [json.loads(line)["loss"] for line in lines]
    return losses


def _stage_seconds(folder: RunFolder) -> list[tuple[str, float]]:
    """Recorded stages with their seconds, in the order in which they began."""
    found = []
    for path in storage.list_files(folder.file("records"), ".json"):
        record = storage.read_json(path)
        began = datetime.fromisoformat(record["started_at"])
        ended = datetime.fromisoformat(record["finished_at"])
        stage = path.rsplit("/", 1)[-1].removesuffix(".json")
        found.append((began, stage, (ended - began).total_seconds()))
    return [(stage, seconds) for _, stage, seconds in sorted(found)]
