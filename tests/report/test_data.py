"""What the report reads: only what is recorded."""

import shutil
from pathlib import Path

import pytest

from colintern.records.run_folder import RunFolder
from colintern.report.data import Recorded, read_report_data
from colintern.report.stores import stores_of
from tests.report.helpers import EVIL, RECORDED, write_json, write_results


def test_only_what_is_recorded_is_read(run):
    """Figures of a stage that was killed before its end, which the next start replaces."""
    whole = read_report_data(str(run), RECORDED)
    assert {name: len(rounds) for name, rounds in whole.evaluations.items()} == {"dev": 2}
    assert whole.losses == {"round 1": [1 / step for step in range(1, 9)]}
    assert list(whole.mined) == [2]
    assert [pair.right.is_right for pair in whole.mined[2].pairs] == [True]
    half = read_report_data(str(run), Recorded(evaluated={"dev": 1, "test": 0}))
    assert {name: len(rounds) for name, rounds in half.evaluations.items()} == {"dev": 1}
    assert (half.losses, half.mined, half.examples) == ({}, {}, [])


def test_stages_are_in_the_order_in_which_they_began(run):
    """Seconds under another stage; a stage with a record that is not of this run's stages."""
    for name, began, ended in (
        ("round-1-train", "10:05:00", "10:07:30.500"),
        ("encode-train", "10:00:00", "10:04:00"),
        ("report", "10:08:00", "10:09:00"),
    ):
        record = {
            "fingerprint": "f",
            "started_at": f"2026-01-01T{began}+00:00",
            "finished_at": f"2026-01-01T{ended}+00:00",
            "outputs": [],
            "inputs": {},
        }
        write_json(run / f"records/{name}.json", record)
    stages = ["round-0-heads", "round-1-train", "encode-train"]  # the first is without a record
    costs = read_report_data(str(run), Recorded(stages)).costs
    assert [(cost.stage, cost.seconds) for cost in costs] == [
        ("encode-train", 240.0),
        ("round-1-train", 150.5),
    ]


@pytest.mark.parametrize(("best_round", "asked"), [(None, ["round 1"]), (1, ["round 1"]), (2, [])])
def test_ranks_are_those_of_the_best_round(run, best_round, asked, monkeypatch):
    """Questions judged by a round that is not measured; none while the loop has not decided yet."""
    found = []
    monkeypatch.setattr(
        "colintern.report.data.read_ranks",
        lambda data, name, rankings, before, after: found.append(rankings[after].title),
    )
    for number in (0, 1):
        write_json(run / f"round-{number}/eval/test.json", {"round": number})
    if best_round is not None:
        write_json(run / "loop.json", {"rounds": [], "best_round": best_round})
    data = read_report_data(str(run), Recorded(evaluated={"test": 2}))
    assert not data.ranks
    assert found == asked


def test_a_run_that_was_killed_shows_the_questions_of_dev(run):
    """No question and no example, as the last round is not measured on the test set yet."""
    for number in (0, 1):
        write_results(run / f"round-{number}/eval/dev.run.parquet", {"q": [f"{EVIL}1"]})
    write_json(run / "round-0/eval/test.json", {"round": 0})
    data = read_report_data(str(run), Recorded(evaluated={"dev": 2, "test": 1}))
    assert (data.best_round, data.queries_of, list(data.ranks)) == (1, "dev", ["dev"])
    assert data.examples


def test_a_dataset_that_is_gone_costs_its_questions_only(run):
    """No report because the test set was deleted; a report that does not know that it lacks it."""
    for number in (0, 1):
        write_json(run / f"round-{number}/eval/test.json", {"round": number})
        write_results(run / f"round-{number}/eval/test.run.parquet", {"q": ["a"]})
    (run.parent / "data").rename(run.parent / "away")
    data = read_report_data(str(run), Recorded(evaluated={"test": 2}, trained=[1]))
    assert (data.ranks, data.examples, list(data.losses)) == ({}, [], ["round 1"])
    assert "/data" in str(data.unread)


def test_stores_of_a_root_that_was_moved_are_those_beside_it(finished, tmp_path):
    """No heat maps and no sizes in the report of a copied run, or those of the other run."""
    root = finished.parent.parent
    shutil.copytree(root, tmp_path / "moved")
    folder = RunFolder(str(tmp_path / "moved" / "runs" / "run"))
    stores = stores_of(folder, folder.read().config, 2)
    assert set(stores) == {"train", "test"}
    assert all(path.startswith(str(tmp_path / "moved")) for path in stores.values())
    assert all((Path(path) / "record.json").is_file() for path in stores.values())
    assert stores_of(folder, folder.read().config, 7) == {}
