"""What is told about a configuration before any long work starts."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern import log
from colintern.config.files import parse_config
from colintern.config.schema import Config
from colintern.data.entities import Judgement, Page, Query
from colintern.data.writing import write_dataset
from colintern.errors import ConfigError, DatasetError
from colintern.run.preflight import check_datasets, unused_settings
from tests.helpers import make_corpus, png

OVERLONG = "word " * 2_000


@pytest.fixture
def folders(tmp_path) -> dict[str, str]:
    """Three datasets with pages and questions of their own, and the same under other names."""
    for number, name in enumerate(("train", "dev", "test")):
        corpus = make_corpus(tmp_path / name, 8, 8 + number, first_picture=100 * number)
        _ask_otherwise(tmp_path / name / "queries" / "part-00000.parquet", name)
        shutil.copytree(corpus.path, f"{corpus.path}-copy")
        (tmp_path / f"{name}-link").symlink_to(corpus.path)
    return {path.name: str(path) for path in tmp_path.iterdir()}


def _ask_otherwise(path: Path, name: str) -> None:
    rows = pq.read_table(path).to_pylist()
    rows = [{**row, "query": f"{row['query']} in {name}"} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), path)


def _config(folders: dict[str, str], train: str, dev: str | None, *tests: str) -> Config:
    tests = [{"name": f"test-{number}", "path": folders[name]} for number, name in enumerate(tests)]
    train = {"name": "train", "path": folders[train]}
    return parse_config({"data": {"train": train, "dev": dev and folders[dev], "eval": tests}}, "t")


def _told(caplog, config: Config) -> list[str]:
    """What is said of a configuration that is let through."""
    log._warned.clear()
    caplog.clear()
    check_datasets(config)
    return [record.getMessage().split("warning: ")[1] for record in caplog.records]


@pytest.mark.parametrize("form", ["{}", "{}-link", "{}-copy"])
def test_a_dev_set_that_is_another_set_too_is_told(folders, caplog, form):
    """Nothing left to train on; test results that decide when to stop, reported as a test's."""
    assert _told(caplog, _config(folders, "train", "dev", "test")) == []
    check_datasets(_config(folders, "train", None, "test"))
    same = form.format("train")
    with pytest.raises(ConfigError, match=rf"data\.dev: .*/{same} is data\.train too.*dev=null"):
        check_datasets(_config(folders, "train", same, "test"))
    told = _told(caplog, _config(folders, "train", "dev", "test", form.format("dev")))
    assert len(told) == 1
    assert (
        "eval.1 (test-1): 9 of its 9 questions are asked in data.dev too, which decides" in told[0]
    )


def test_questions_that_a_test_set_shares_are_counted(folders, caplog):
    """A test set that was trained on, or by which training was stopped, without a word."""
    assert _told(caplog, _config(folders, "train", "dev", "test")) == []
    path = Path(folders["test"]) / "queries" / "part-00000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["query"] = " QUESTION 0 of many in train"
    rows[1]["query"] = "question 1 of many in dev"
    rows[2]["query"] = "question 2 of many in dev"
    pq.write_table(pa.Table.from_pylist(rows), path)
    told = _told(caplog, _config(folders, "train", "dev", "train-copy", "test"))
    assert [line.split(" too,")[0] for line in told] == [
        "data.eval.0 (test-0): 8 of its 8 questions are asked in data.train",
        "data.eval.1 (test-1): 1 of its 10 questions are asked in data.train",
        "data.eval.1 (test-1): 2 of its 10 questions are asked in data.dev",
    ]


def test_settings_without_effect_are_told(tmp_path):
    """A knob that is turned for days and moves nothing."""
    quiet = {"data": {"train": "demo", "dev": "demo"}, "mining": {"search": "exact"}}
    assert unused_settings(parse_config(quiet, "test")) == []
    data = {**quiet["data"], "dev_fraction": 0.2}
    mining = {"search": "exact", "candidates": 5, "num_negatives": 4}
    told = unused_settings(parse_config({"data": data, "mining": mining}, "test"))
    assert [line.split()[0] for line in told] == ["data.dev_fraction", "mining.candidates"]
    alone = {**quiet, "evaluation": {"search": "pooled_rerank"}}
    told = unused_settings(parse_config(alone, "test"))
    assert [line.split()[0] for line in told] == ["evaluation.search"]
    pinned = {"revision": "0" * 40, "language": "en", "split": "test"}
    chosen = {"config": "finance", "relevant_from": 0.5}
    folder, url = {"path": str(tmp_path), **pinned}, {"path": "s3://bucket/set", **pinned}
    hub = {"path": "vidore/a", **pinned}
    data = {"train": folder, "dev": hub, "eval": [{"path": "demo", **pinned, **chosen}, url]}
    told = unused_settings(parse_config({"data": data}, "test"))
    assert [line.split()[0] for line in told] == [
        "data.train.revision",
        "data.eval.0.revision",
        "data.eval.0.language",
        "data.eval.0.config",
        "data.eval.0.relevant_from",
        "data.eval.1.revision",
    ]


@pytest.mark.parametrize(
    ("role", "texts", "found"),
    [
        ("eval", [" ", ""], r"dataset bad: none of its 2 judged queries .*q0: empty query"),
        ("eval", [OVERLONG], r"dataset bad: none of its 1 judged queries .*10,000 characters"),
        ("dev", [OVERLONG, "\n"], r"dataset dev: none of its 2 judged queries can be asked"),
        ("train", ["", ""], r"dataset bad: none of its 2 judged queries can be asked"),
        ("eval", [" ", "text"], None),
        ("dev", ["", "text"], None),
    ],
)
def test_a_set_of_which_no_query_can_be_asked_is_refused(tmp_path, role, texts, found):
    """A traceback after all its pages were encoded, or a test set that is all zeros."""
    make_corpus(tmp_path / "good", num_pages=20, num_queries=40)
    asked = [*(Query(f"q{n}", text) for n, text in enumerate(texts)), Query("unjudged", "text")]
    judged = [Judgement(query.query_id, "p", 1) for query in asked[:-1]]
    write_dataset(str(tmp_path / "bad"), [Page("p", png(1))], asked, judged)
    bad = str(tmp_path / "bad")
    data = {"train": str(tmp_path / "good"), role: [bad] if role == "eval" else bad}
    config = parse_config({"data": data}, "test")
    if found is None:
        check_datasets(config)
        return
    with pytest.raises(DatasetError, match=found):
        check_datasets(config)
