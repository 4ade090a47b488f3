"""What `colintern status`, the table and the report say of a run: all go by what is recorded."""

import re
from pathlib import Path

import pytest
import torch

from colintern import storage
from colintern.records import lease
from colintern.records.run_folder import RunFolder
from colintern.retrieval.baselines.frame import Baseline, measured_run
from colintern.retrieval.baselines.pooled import measure_pooled
from colintern.runs import loop
from colintern.runs.stages.report import write_report
from colintern.runs.status import status_lines, table_lines
from colintern.search import order
from tests.local_run import QuickWorkers, make_config


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    """A finished run of two rounds."""
    return loop.run(make_config(tmp_path), QuickWorkers())


def _states(folder: RunFolder) -> dict[str, str]:
    lines = (line.split(maxsplit=1) for line in status_lines(folder.path))
    return {name: state.split("  ")[0] for name, state in lines}


def test_files_of_a_stage_that_is_not_recorded_are_not_shown(folder):
    """Figures of a stage that was killed before its end, in the report and not in the table."""
    storage.delete(folder.record_path("round-2-evaluate-test"))
    assert storage.exists(folder.evaluation(2, "test"))
    tested = [line.split()[1] for line in table_lines(folder.path)[1::2] if line.startswith("test")]
    assert tested == ["0", "1"]
    html = Path(write_report(folder.read().config, folder)).read_text()
    results = html.split("<h2>Results</h2>")[1].split("<h2>")[0]
    assert len(re.findall("<tr[ >]", results.split("<h3>test ")[1])) == 1 + 2
    assert len(re.findall("<tr[ >]", results.split("<h3>dev ")[1].split("<h3>")[0])) == 1 + 3
    assert '<th scope="row">round-1-evaluate-test</th>' in html
    assert "round-2-evaluate-test" not in html


def test_a_report_about_something_else_is_not_done(folder):
    """`report done` although the stages have changed since, so that a reader trusts old figures."""
    assert set(_states(folder).values()) == {"done"}
    page = storage.read_bytes(folder.report)
    storage.write_bytes(folder.report, b"written over")
    assert _states(folder)["report"] == "missing"
    storage.write_bytes(folder.report, page)
    assert _states(folder)["report"] == "done"
    record = storage.read_bytes(folder.record_path("round-2-evaluate-test"))
    storage.delete(folder.record_path("round-2-evaluate-test"))
    assert {name for name, state in _states(folder).items() if state != "done"} == {
        "round-2-evaluate-test",
        "report",
    }
    assert status_lines(folder.path)[-1].split() == ["report", "missing", "(out", "of", "date)"]
    storage.write_bytes(folder.record_path("round-2-evaluate-test"), record)
    storage.delete(folder.loop_json)
    assert _states(folder)["report"] == "missing"


def test_the_report_command_leaves_a_finished_run_as_it_is(folder):
    """A page that lists its own record: it is another one each time, and so never done."""
    page = storage.read_bytes(folder.report)
    write_report(folder.read().config, folder)
    assert storage.read_bytes(folder.report) == page
    assert _states(folder)["report"] == "done"


def test_the_first_stage_that_is_missing_runs_while_a_driver_holds_the_run(folder):
    """Every missing stage called running, or none."""
    storage.delete(folder.record_path("round-2-evaluate-test"))
    with lease.held(folder.path, wait=False):
        states = _states(folder)
    assert states["round-2-evaluate-test"] == "running"
    assert states["report"] == "missing"


def test_a_measurement_at_chance_level_is_called_that(folder):
    """A table of figures that mean nothing, which look like any others."""
    for number, low in ((0, 0.3), (1, 0.0)):
        path = folder.evaluation(number, "test")
        document = storage.read_json(path)
        document |= {"chance": {"ndcg_at_5": 0.004}}
        document["ci"]["ndcg_at_5"] = [low, 0.9]
        storage.write_json(path, document)
    lines = table_lines(folder.path)
    first = next(number for number, line in enumerate(lines) if line.startswith("test"))
    assert "chance" not in lines[first + 1]
    assert lines[first + 3][:42].strip() == "at chance level (0.004)"
    assert len({len(line) for line in lines}) == 1  # columns
    told = {line.split()[0]: line for line in status_lines(folder.path)}
    assert told["round-1-evaluate-test"].endswith("UTC   at chance level (0.004)")
    assert told["round-0-evaluate-test"].endswith("UTC")
    assert told["round-1-train"].endswith("UTC")


def test_baselines_stand_below_the_rounds_of_their_dataset(folder):
    """Figures of a baseline that nobody sees, or that was killed before it was recorded."""
    before = storage.read_bytes(folder.report)
    rows = len(table_lines(folder.path))
    with measured_run(folder.path) as measured:
        for name in ("zeta", "a-model-with-quite-a-long-name"):
            for dataset in ("dev", "test"):
                measured.record(Baseline(name, "model"), dataset, _found_nothing)
        measure_pooled(measured)
    assert _states(folder)["report"] == "missing"
    with measured_run(folder.path) as measured:
        measured.write_report()
    assert set(_states(folder).values()) == {"done"}
    storage.delete(folder.record_path("baseline-zeta-test"))
    is_chance = [" a random order " in line for line in table_lines(folder.path)]
    assert sum(is_chance) == 2
    assert is_chance[-1]  # below the baselines of each dataset
    lines = [line for line in table_lines(folder.path) if " a random order " not in line]
    assert len(lines) == rows + 2 * 5
    assert len({len(line) for line in lines}) == 1  # columns
    best = storage.read_json(folder.loop_json)["best_round"]
    own = [f"pooled of round {best}", "a-model-with-quite-a-l...", "zeta"]
    for dataset, wanted in (("dev", own), ("test", own[:2])):
        names = [line[16:42].strip() for line in lines[1::2] if line.startswith(dataset)]
        assert names[3:] == wanted
    html = storage.read_bytes(folder.report)
    assert html != before
    assert html.decode().count('<tr class="baseline">') == 2 * 3


def _found_nothing(view, depth):
    yield torch.full((len(view.queries), depth), order.NO_PAGE)
