"""Settings of evaluation that change on a finished run: what is measured again, what is told."""

import json
from pathlib import Path

import pytest

from colintern import records, storage
from colintern.config.schema import Config
from colintern.records.run_folder import RunFolder
from colintern.report import page
from colintern.report.data import Recorded
from colintern.runs import loop
from colintern.runs.stages import Evaluate
from colintern.runs.status import status_lines, table_lines
from tests.local_run import QuickWorkers, make_config

SLOPPY = {"search": "pooled_rerank"}
MORE = {"cutoffs": [1, 3, 5, 10]}
ROUNDS = range(3)
WRITE_REPORT = page.write_report


class _Run:
    """A finished run of two rounds, and what is measured of it from then on."""

    def __init__(self, root: Path) -> None:
        self._root, self.workers = root, QuickWorkers()
        self.path = root / "runs" / "run"
        self.again()
        self.measured.clear()

    def config(self, max_rounds: int = 2, **evaluation) -> Config:
        return make_config(self._root, evaluation=evaluation, loop={"max_rounds": max_rounds})

    def again(self, **settings) -> None:
        loop.run(self.config(**settings), self.workers)

    def evaluate(self, round_number: int | None = None) -> None:
        loop.run_round(self.config(**SLOPPY), Evaluate, round_number, self.workers)

    @property
    def measured(self) -> list[tuple[int, str]]:
        return self.workers.measured

    def documents(self, dataset: str) -> list[dict]:
        files = [self.path / f"round-{number}/eval/{dataset}.json" for number in ROUNDS]
        return [json.loads(file.read_text()) for file in files]

    def rewrite(self, number: int, dataset: str, changes: dict) -> None:
        """Change the metrics of a round as if they had been recorded so."""
        folder = RunFolder(str(self.path))
        path = folder.evaluation(number, dataset)
        storage.write_json(path, {**storage.read_json(path), **changes})
        record_path = folder.record_path(Evaluate(number, dataset).name)
        record = storage.read_json(record_path)
        written = folder.described([path, folder.results(number, dataset)])
        storage.write_json(record_path, {**record, "outputs": [vars(one) for one in written]})

    def searches(self, dataset: str) -> set[str]:
        return {document["search"] for document in self.documents(dataset)}

    def files(self, name: str) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.path.rglob(f"*{name}*") if path.is_file()}

    def results_in_report(self) -> str:
        return (self.path / "report.html").read_text().split('<section id="run">')[0]


def _no_report(run_path: str, _: Recorded) -> str:
    path = RunFolder(run_path).report
    storage.write_bytes(path, b"")
    return path


@pytest.fixture
def run(tmp_path, monkeypatch) -> _Run:
    monkeypatch.setattr(page, "write_report", _no_report)  # drawing it takes longest
    return _Run(tmp_path)


def test_another_search_measures_the_test_sets_of_all_rounds_again(run, monkeypatch):
    """A run that claims `pooled_rerank` with exact results, or both in one table; a moved dev."""
    monkeypatch.setattr(page, "write_report", WRITE_REPORT)
    dev, decided = run.files("dev"), run.files("loop.json")
    run.again(**SLOPPY)
    assert run.measured == [(number, "test") for number in ROUNDS]
    assert run.searches("test") == {"pooled_rerank"}
    assert (run.files("dev"), run.files("loop.json")) == (dev, decided)
    lines = table_lines(str(run.path))
    assert [line.split()[:-5] for line in lines[1::2]] == [
        ["dev", "0", "untrained"],
        ["dev", "1"],
        ["dev", "2"],
        ["test", "0", "untrained", "pooled_rerank"],
        ["test", "1", "pooled_rerank"],
        ["test", "2", "pooled_rerank"],
    ]
    assert run.results_in_report().count("<td>pooled_rerank</td>") == 3
    recorded = run.files("records/report.json")
    run.again(**SLOPPY)
    assert len(run.measured) == 3
    assert run.files("records/report.json") == recorded
    run.again()
    assert run.searches("test") == {"exact"}
    assert "pooled_rerank" not in run.results_in_report()


def test_other_cutoffs_are_measured_for_all_rounds(run):
    """Recall@3 of the rounds to come beside none of those before; a decision that changes."""
    decided = run.files("loop.json")
    before = {name: run.documents(name) for name in ("dev", "test")}
    run.again(**MORE)
    assert run.measured == [(number, name) for number in ROUNDS for name in before]
    for name, documents in before.items():
        for document, earlier in zip(run.documents(name), documents, strict=True):
            added = document["metrics"].keys() - earlier["metrics"].keys()
            assert added == {"ndcg_at_3", "recall_at_3"}
            assert earlier["metrics"].items() <= document["metrics"].items()
    assert run.files("loop.json") == decided
    run.again(cutoffs=[10, 5, 3, 1, 1])
    assert len(run.measured) == 6


def test_dev_of_an_earlier_version_keeps_its_search(run):
    """Decisions that were made on a pooled dev, made anew because dev is exact by now."""
    for number in ROUNDS:
        run.rewrite(number, "dev", SLOPPY)
    run.again()
    run.again(**SLOPPY)
    run.again()
    assert "dev" not in dict(run.measured).values()
    run.again(**MORE)
    assert run.searches("dev") == {"pooled_rerank"}


def test_a_driver_killed_while_measuring_again_leaves_nothing_half_done(run, monkeypatch):
    """A record of the old files beside new ones, or rounds of two kinds for ever."""
    record = records.record_outputs

    def die(path: str, *arguments) -> None:
        if path.endswith("round-1-evaluate-test.json"):
            raise KeyboardInterrupt
        record(path, *arguments)

    monkeypatch.setattr(records, "record_outputs", die)
    with pytest.raises(KeyboardInterrupt):
        run.again(**SLOPPY)
    states = dict(line.split()[:2] for line in status_lines(str(run.path)))
    assert [states[f"round-{number}-evaluate-test"] for number in ROUNDS] == [
        "done",
        "missing",
        "missing",
    ]
    assert states["round-2-evaluate-dev"] == "done"
    monkeypatch.setattr(records, "record_outputs", record)
    run.again(**SLOPPY)
    assert run.measured == [(number, "test") for number in (0, 1, 1, 2)]
    for record in run.files("evaluate-test.json").values():
        for output in json.loads(record)["outputs"]:
            assert storage.sha256_of_file(str(run.path / output["path"])) == output["sha256"]


def test_a_measurement_that_cannot_start_leaves_the_one_there_is(run, monkeypatch):
    """A record deleted for a search that then fails: the round counts as never measured."""
    before = {name: run.files(name) for name in ("evaluate-test.json", "test.json")}

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run.workers, "search", fail)
    with pytest.raises(KeyboardInterrupt):
        run.again(**SLOPPY)
    assert len(before["evaluate-test.json"]) == len(ROUNDS)
    assert {name: run.files(name) for name in before} == before


def test_rounds_behind_the_last_are_measured_too(run):
    """A table whose last row is of other settings, because the loop now ends before it."""
    run.again(max_rounds=1, **SLOPPY)
    assert run.searches("test") == {"pooled_rerank"}


def test_evaluate_takes_the_first_round_that_is_not_as_asked(run):
    """`colintern evaluate` that calls a round done that was measured with other settings."""
    for number in (0, 1):
        run.rewrite(number, "test", SLOPPY)
    run.evaluate()
    assert run.measured == [(2, "test")]


@pytest.mark.parametrize(("asked", "first"), [(None, 0), (2, 2)])
def test_evaluate_measures_all_recorded_rounds_again(run, asked, first):
    """A command that leaves one round with new settings beside others with the old ones."""
    run.evaluate(asked)
    assert run.measured[0] == (first, "test")
    assert sorted(run.measured) == [(number, "test") for number in ROUNDS]
    assert run.searches("test") == {"pooled_rerank"}
    run.evaluate()
    assert len(run.measured) == len(ROUNDS)
