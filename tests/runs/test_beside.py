"""What was measured beside the rounds is shown only as long as it holds."""

import json
import re
import shutil
from pathlib import Path

import pytest

from colintern import storage
from colintern.config.schema import HeadsConfig
from colintern.model.heads import init_heads, save_heads
from colintern.records.lease import Held
from colintern.records.run_folder import RunFolder
from colintern.retrieval.baselines.frame import measured_run
from colintern.retrieval.baselines.pooled import measure_pooled
from colintern.retrieval.ladder.making import make_ladder
from colintern.runs import loop
from colintern.runs.status import status_document, status_lines, table_lines
from colintern.runtime.resources import Request
from colintern.runtime.work import Tell
from colintern.training.loop import RoundTask
from tests.local_run import QuickWorkers, make_config


class OtherHeads(QuickWorkers):
    """Trains to other heads than `QuickWorkers`."""

    def train(self, task: RoundTask, request: Request, held: Held, show: Tell) -> None:
        super().train(task, request, held, show)
        made = init_heads(HeadsConfig(dim=task.info.dim), task.info.features_width, seed=77)
        save_heads(made, task.heads_folder, task.info)


@pytest.fixture
def root(tmp_path) -> Path:
    """A finished run with a baseline of its heads, and a ladder, on dev and on the test set."""
    run = loop.run(make_config(tmp_path), QuickWorkers()).path
    _measure(run)
    return tmp_path


def _measure(run: str) -> None:
    with measured_run(run, 2) as measured:
        measure_pooled(measured)
    for name in ("dev", "test"):
        make_ladder(run, 2, name)


def _shown(run: str) -> tuple[list[str], list[str], bool]:
    """Datasets with a baseline, in the table and the report; with a ladder; is any left out."""
    folder = RunFolder(run)
    page = storage.read_bytes(folder.report).decode()
    lines = table_lines(run)
    rows = [line.split()[0] for line in lines if " pooled of round 2 " in line]
    assert list(status_document(run)["baselines"].get("pooled", {})) == rows
    assert page.count('<tr class="baseline">') == len(rows)
    is_left_out = "Not shown, as measured with other answers or heads" in page
    assert is_left_out == lines[-1].startswith("Not shown, as measured")
    return rows, re.findall(r"<h3>(\w+) <span [^>]+>round 2, ", page), is_left_out


def test_figures_of_other_answers_are_left_out(root):
    """A baseline that was judged otherwise, beside the rounds, as if these had won or lost."""
    run = make_config(root).run_path
    assert _shown(run) == (["dev", "test"], ["dev", "test"], False)
    said = {"dataset": "test", "query_id": "q000", "page_id": "p005", "score": 1}
    (root / "answers.jsonl").write_text(f"{json.dumps(said)}\n")
    loop.run(make_config(root, data={"judgements": str(root / "answers.jsonl")}), QuickWorkers())
    assert _shown(run) == (["dev"], ["dev"], True)
    assert table_lines(run)[-1].count("baseline pooled on test, ladder of test.") == 1
    _measure(run)
    assert _shown(run) == (["dev", "test"], ["dev", "test"], False)


def test_figures_of_heads_that_are_gone_are_left_out(root):
    """What vectors of a round lose, measured with heads that it does not have any more."""
    folder = RunFolder(make_config(root).run_path)
    shutil.rmtree(folder.file("round-2"))
    for path in Path(folder.path, "records").glob("round-2-*"):
        path.unlink()
    loop.run(make_config(root), OtherHeads())
    assert _shown(folder.path) == ([], [], True)
    assert not any("out of date" in line for line in status_lines(folder.path))
    _measure(folder.path)
    assert _shown(folder.path) == (["dev", "test"], ["dev", "test"], False)
