"""Reads what the report shows from a run folder; the run may be unfinished."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from colintern import storage
from colintern.config.schema import Config
from colintern.errors import ColInternError, one_line
from colintern.evaluation.titles import title_of_start
from colintern.records.run_folder import RunFolder
from colintern.report import examples, mined
from colintern.report.baselines import ShownBaseline, shown_baselines
from colintern.report.costs import StageCost, stage_costs
from colintern.report.encoded import Encoded, read_encoded
from colintern.report.examples import Example, examples_dataset, found_examples
from colintern.report.heat import open_heat_maps
from colintern.report.ladder import ShownLadder, shown_ladders
from colintern.report.mined import MinedRound, read_mined
from colintern.report.pictures import Pictures
from colintern.report.ranks import QueryRanks, Ranking, read_ranks
from colintern.report.stores import stores_of


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
        not_shown: what was measured beside the rounds and does not hold any more, in a sentence;
            empty where all holds.
    """

    stages: Sequence[str] = ()
    evaluated: Mapping[str, int] = field(default_factory=dict)
    trained: Sequence[int] = ()
    mined: Sequence[int] = ()
    baselines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ladders: Sequence[str] = ()
    not_shown: str = ""


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
        speeds: for each round that is trained, pairs a second, in the middle of its steps.
        mined: for each round that was mined for, what was found.
        loop: the decisions, if there are any yet.
        costs: of the stages, in the order in which they began.
        queries_of: the dataset of `examples`: the first test set, or dev where there is none, or
            it is not measured as far as the best round.
        ranks: for each dataset where the right pages of its queries stand.
        examples: queries with their right pages and the pages found for them.
        baselines: for each dataset what else was measured on it.
        ladders: for each dataset that has one, quality against size.
        not_shown: as in `Recorded`.
        pictures: of all pages that are shown.
        unread: why a dataset could not be read; None where all could be.
        no_heat: why there are no heat maps, in a sentence; empty where there are.
        sets: what dev and the test sets are, see `runs.sets`; None in runs of earlier versions.
        encoded: for each dataset what its store holds; None where that is gone.
    """

    name: str
    config: Config
    versions: dict[str, str]
    commit: str | None
    evaluations: dict[str, list[dict[str, Any]]]
    losses: dict[str, list[float]]
    speeds: dict[int, float]
    mined: dict[int, MinedRound]
    loop: dict[str, Any] | None
    queries_of: str
    costs: list[StageCost] = field(default_factory=list)
    ranks: dict[str, QueryRanks] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    baselines: dict[str, list[ShownBaseline]] = field(default_factory=dict)
    ladders: list[ShownLadder] = field(default_factory=list)
    not_shown: str = ""
    pictures: Pictures = field(default_factory=Pictures)
    unread: str | None = None
    no_heat: str = ""
    sets: dict[str, Any] | None = None
    encoded: dict[str, Encoded | None] = field(default_factory=dict)

    @property
    def best_round(self) -> int:
        """The best round; the last evaluated one, until the loop has decided."""
        if self.loop:
            return self.loop["best_round"]
        return max(map(len, self.evaluations.values()), default=0) - 1

    def best_round_of(self, dataset: str) -> int | None:
        """The best round, if it is evaluated on that dataset."""
        number = self.best_round
        return number if 0 <= number < len(self.evaluations[dataset]) else None

    @property
    def best(self) -> dict[str, dict[str, Any]]:
        """The figures of the best round on each dataset that it is measured on."""
        found = ((name, self.best_round_of(name)) for name in self.evaluations)
        return {name: self.evaluations[name][best] for name, best in found if best is not None}


def read_report_data(run_path: str, recorded: Recorded) -> ReportData:
    """Read a run folder, and the images of some pages from its datasets.

    Args:
        run_path: a run folder with a `run.json`.
        recorded: what is recorded in it.
    """
    folder = RunFolder(run_path)
    run = folder.read()
    config = run.config
    logs = {number: _training(folder, number) for number in recorded.trained}
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
        losses={f"round {number}": [line["loss"] for line in log] for number, log in logs.items()},
        speeds={number: _speed(log) for number, log in logs.items()},
        mined=read_mined(folder, recorded.mined, config.run.seed),
        loop=storage.read_json(folder.loop_json) if storage.exists(folder.loop_json) else None,
        queries_of=examples_dataset(config.data),
        sets=storage.read_json(folder.data_json) if storage.exists(folder.data_json) else None,
    )
    data.baselines = {
        name: shown_baselines(folder, config, name, data.best_round_of(name), names)
        for name, names in recorded.baselines.items()
        if names and name in data.evaluations
    }
    data.ladders = shown_ladders(folder, recorded.ladders)
    data.not_shown = recorded.not_shown
    data.ranks = _all_ranks(folder, data)
    if data.ranks and data.queries_of not in data.ranks:
        data.queries_of = next(iter(data.ranks))
    _add_examples(folder, data)
    data.unread = data.unread or data.pictures.unread
    stores = stores_of(folder, config, max(recorded.trained, default=0))
    data.encoded = {name: read_encoded(path) for name, path in stores.items()}
    data.costs = stage_costs(folder, recorded.stages, stores, _speeds(data))
    return data


def _all_ranks(folder: RunFolder, data: ReportData) -> dict[str, QueryRanks]:
    """The ranks of right pages in each dataset that the best round, from 1 on, is measured on."""
    start, found = title_of_start(data.config.training.init_heads), {}
    for name in data.evaluations:
        best = data.best_round_of(name)
        if not best:
            continue
        rounds = sorted({0, 1, best})
        rankings = [
            Ranking(f"round {number}" if number else start, folder.results(number, name))
            for number in rounds
        ]
        for row in data.baselines.get(name, []):
            path = folder.baseline_results(row.document["baseline"]["name"], name)
            rankings.append(Ranking(row.title, path))
        before = rounds.index(1 if best > 1 else 0)
        try:
            ranks = read_ranks(data.config.data, name, rankings, before, rounds.index(best))
        except ColInternError as error:  # a report without questions is better than none
            data.unread = data.unread or one_line(error)
            continue
        if ranks:
            found[name] = ranks
    return found


def _add_examples(folder: RunFolder, data: ReportData) -> None:
    """Examples with heat maps, then the last round's mined pairs; pictures in that order."""
    ranks = data.ranks.get(data.queries_of)
    if ranks:
        data.examples = found_examples(ranks)
        examples.add_pictures(data.examples, ranks.folder, data.pictures)
        _add_heat(folder, data)
    if data.mined:
        pairs = data.mined[max(data.mined)].pairs
        mined.add_pictures(pairs, data.config.data.train.path, data.pictures)


def _add_heat(folder: RunFolder, data: ReportData) -> None:
    maps = open_heat_maps(folder, data.config, data.best_round, data.queries_of)
    if isinstance(maps, str):
        data.no_heat = maps
        return
    for example in data.examples:
        words = maps.words(example.query_id, example.query)
        example.words = [word for word, _ in words]
        for page in example.explained:
            page.heat = maps.heat(example.query_id, words, page.page_id)


def _speeds(data: ReportData) -> dict[str, str]:
    """What is known of the speed of stages, in words."""
    return {
        f"round-{number}-train": f"{speed:,.0f} pairs a second"
        for number, speed in data.speeds.items()
        if speed
    }


def _training(folder: RunFolder, round_number: int) -> list[dict[str, Any]]:
    lines = storage.read_bytes(folder.train_log(round_number)).decode().splitlines()
    return [json.loads(line) for line in lines]


def _speed(log: Sequence[Mapping[str, Any]]) -> float:
    """Pairs a second in the middle of the steps; 0 of logs that do not tell."""
    found = [line["pairs_per_second"] for line in log if "pairs_per_second" in line]
    return median(found) if found else 0.0
