"""`colintern baseline` as a user meets it."""

import re
import shutil
from pathlib import Path

from colintern import storage
from colintern.records.run_folder import RunFolder
from colintern.runs import loop, status
from colintern.runs.stages import report
from tests.helpers import run_main
from tests.local_run import QuickWorkers, make_config


def test_it_prints_the_table_and_writes_the_report(run, monkeypatch, capsys):
    """Figures that nobody sees until the next run; all measured again by the second call."""
    code, out, err = run_main(monkeypatch, capsys, "baseline", run)
    assert code == 0
    assert out.splitlines() == status.table_lines(run)
    assert out.count("pooled of round") == 2
    level = storage.read_json(RunFolder(run).evaluation(1, "test"))["chance"]["ndcg_at_5"]
    assert re.search(rf"test +a random order +{level:.3f}\n", out)
    assert "bm25  test: none of its 6 pages has a text" in err
    page = storage.read_bytes(RunFolder(run).report)
    assert page.decode().count('<tr class="baseline">') == 2
    assert status.status_lines(run)[-1].startswith("report ")
    assert "done" in status.status_lines(run)[-1]
    code, again, err = run_main(monkeypatch, capsys, "baseline", run)
    assert (code, again) == (0, out)
    assert err.count("is measured already") == 2
    assert storage.read_bytes(RunFolder(run).report) == page


def test_a_dataset_that_is_gone_is_one_line(tmp_path, monkeypatch, capsys):
    """A traceback about a file; and a report without the other figures."""
    folder = loop.run(make_config(tmp_path), QuickWorkers())
    assert run_main(monkeypatch, capsys, "baseline", folder.path)[0] == 0
    shutil.rmtree(tmp_path / "test")
    code, _, err = run_main(monkeypatch, capsys, "baseline", folder.path)
    assert code == 2
    assert [line for line in err.splitlines() if str(tmp_path / "test") in line]
    assert "Traceback" not in err
    storage.delete(folder.report)  # it would stay, as it has pictures
    html = Path(report.write_report(folder.read().config, folder)).read_text()
    rows = html.split("<h3>test ")[1].split('<tr class="baseline">')[1:]
    assert len(rows) == 1
    assert rows[0].split("</tr>")[0].rstrip().endswith("<td>\N{EN DASH}</td>")
