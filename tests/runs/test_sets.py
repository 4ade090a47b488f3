"""What dev is and what test sets share with training: noted, told once, and shown by the report."""

import logging
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern import storage
from colintern.data.canonical import CanonicalDataset
from colintern.records.run_folder import RunFolder
from colintern.runs import loop
from colintern.runs.runner import open_run
from colintern.runs.stages.report import write_report
from tests.helpers import add_queries, make_corpus
from tests.local_run import QuickWorkers, make_config


@pytest.fixture(autouse=True)
def _hear(caplog):
    caplog.set_level(logging.INFO, "colintern")


def _told(caplog) -> list[str]:
    """What is said of the sets since the last call."""
    lines = [line.removeprefix("data").strip() for line in caplog.messages]
    caplog.clear()
    return [line for line in lines if "searched" in line or "also stand in it" in line]


def _note(folder: RunFolder) -> dict:
    return storage.read_json(folder.data_json)


def test_a_dev_set_taken_out_of_training_is_named_by_its_documents(tmp_path, caplog):
    """A dev set that nobody sees: which documents decide when to stop, by how many questions."""
    config = make_config(tmp_path, loop={"max_rounds": 1})
    folder = loop.run(config, QuickWorkers())
    dev = _note(folder)["dev"]
    with open_run(config, workers=QuickWorkers()) as runner:
        view = runner.run.catalog.evaluated("dev")[0]
        train = set(runner.run.catalog.train()[0].page_ids().to_pylist())
        assert dev["num_questions"] == len(view.judgements)
    document_of = CanonicalDataset(str(tmp_path / "train")).documents()
    dealt = {page for page in document_of if page not in train}
    assert dev["num_pages"] == len(dealt) > 0
    assert dev["documents"] == sorted({str(document_of[page]) for page in dealt})
    measured = storage.read_json(folder.evaluation(1, "dev"))
    assert dev["num_questions"] == measured["num_queries"]
    assert dev["num_pages_searched"] == measured["num_pages"] == 24
    documents = f"{dev['num_documents']} document{'s' if dev['num_documents'] > 1 else ''}"
    assert _told(caplog) == [
        f"dev: {documents}: {', '.join(dev['documents'])} (of 6 in train), taken out of training; "
        f"{dev['num_questions']} questions, 24 pages searched",
        "test: 0 pages and 8 questions of training also stand in it",
    ]


def test_what_sets_of_their_own_share_with_training_is_counted(tmp_path, caplog):
    """Pages or questions of training in a test set, or in dev, that only one log line ever told."""
    make_corpus(tmp_path / "train", num_pages=24, num_queries=24)
    make_corpus(tmp_path / "test", num_pages=6, num_queries=2, first_picture=20)
    make_corpus(tmp_path / "dev", num_pages=6, num_queries=2, first_picture=500)
    add_queries(tmp_path / "test", {"other": "no question of training"})
    config = make_config(tmp_path, data={"dev": str(tmp_path / "dev")}, loop={"max_rounds": 1})
    note = _note(loop.run(config, QuickWorkers()))
    assert not note["dev"]["is_part_of_training_set"]
    assert note["dev"]["num_pages_in_training"] == 0
    assert note["dev"]["num_questions_in_training"] == 2
    test = note["tests"]["test"]
    assert test["pages_in_training"] == ["p000", "p001", "p002", "p003"]
    assert test["num_pages_in_training"] == 4
    assert (test["num_questions_in_training"], test["num_questions"]) == (2, 3)
    assert _told(caplog) == [
        "dev: 2 documents: d0, d1; 2 questions, 6 pages searched",
        "test: 4 pages and 2 questions of training also stand in it: p000, p001, p002, ...",
    ]


def test_drafted_questions_are_counted(tmp_path, caplog):
    """Figures on questions that nobody has asked, and that look like any others."""
    make_corpus(tmp_path / "train", num_pages=24, num_queries=24)
    make_corpus(tmp_path / "dev", num_pages=6, num_queries=2, first_picture=500)
    make_corpus(tmp_path / "test", num_pages=6, num_queries=2, first_picture=600)
    path = tmp_path / "train" / "queries" / "part-00000.parquet"
    table = pq.read_table(path)
    sources = pa.array([None] * 2 + ["people"] * 2 + ["drafted from sentence"] * 20)
    at = table.column_names.index("source")
    pq.write_table(table.set_column(at, "source", sources), path)
    config = make_config(tmp_path, data={"dev": str(tmp_path / "dev")}, loop={"max_rounds": 1})
    folder = loop.run(config, QuickWorkers())
    note, told = _note(folder), "20 of 24 questions are drafted"
    assert note["train"] == {"dataset": "train", "num_questions": 24, "num_drafted": 20}
    assert [note["dev"]["num_drafted"], note["tests"]["test"]["num_drafted"]] == [0, 0]
    assert f"train: {told} from the text of the pages" in caplog.text
    assert f"<strong>{told}</strong>" in Path(folder.report).read_text()


def test_it_is_noted_again_only_when_the_sets_are_others(tmp_path, caplog):
    """The same lines at each start; a note about the test sets of an earlier start."""
    config = make_config(tmp_path, loop={"max_rounds": 1})
    folder = loop.run(config, QuickWorkers())
    before = Path(folder.data_json).stat().st_mtime_ns
    assert len(_told(caplog)) == 2
    loop.run(config, QuickWorkers())
    assert Path(folder.data_json).stat().st_mtime_ns == before
    assert _told(caplog) == []
    make_corpus(tmp_path / "more", num_pages=4, num_queries=2, first_picture=300)
    tests = [str(tmp_path / "test"), str(tmp_path / "more")]
    loop.run(make_config(tmp_path, data={"eval": tests}, loop={"max_rounds": 1}), QuickWorkers())
    assert list(_note(folder)["tests"]) == ["test", "more"]
    assert len(_told(caplog)) == 3


def test_the_report_needs_no_dataset_to_tell_it(tmp_path):
    """A report that fails, or is silent about dev, once the datasets and features are gone."""
    folder = loop.run(make_config(tmp_path, loop={"max_rounds": 1}), QuickWorkers())
    config = folder.read().config
    for gone in (tmp_path / "train", tmp_path / "test", tmp_path / "runs" / "features"):
        shutil.rmtree(gone)
    storage.delete(folder.report)  # it would stay, as it has pictures
    html = Path(write_report(config, folder)).read_text()
    assert f"{_note(folder)['dev']['num_questions']} questions, 24 pages searched" in html
    storage.delete(folder.data_json)  # as in a run of an earlier version
    assert "<h2>Data</h2>" not in Path(write_report(config, folder)).read_text()
