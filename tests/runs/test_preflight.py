"""What is told about a configuration before any long work starts."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern import log, storage
from colintern.config.files import parse_config
from colintern.config.schema import Config
from colintern.data.canonical import CanonicalDataset
from colintern.data.entities import Judgement, Page, Query
from colintern.data.writing import write_dataset
from colintern.errors import CheckpointError, ConfigError, DatasetError
from colintern.records.run_folder import RunFolder
from colintern.runs import loop, preflight
from colintern.runs.preflight import check, check_datasets, unused_settings
from tests.helpers import make_corpus, png
from tests.local_run import QuickWorkers, make_config

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
    log.lines._warned.clear()
    caplog.clear()
    check_datasets(config)
    return [record.getMessage().split("warning: ")[1] for record in caplog.records]


@pytest.mark.parametrize("form", ["{}", "{}-link", "{}-copy"])
def test_a_dev_set_that_is_another_set_too_is_told(folders, caplog, form):
    """Nothing left to train on; test results that decide when to stop, reported as a test's."""
    assert _told(caplog, _config(folders, "train", "dev", "test")) == []
    check_datasets(_config(folders, "train", None, "test"))
    same = form.format("train")
    with pytest.raises(ConfigError, match=rf"data\.dev: .*/{same} is also data\.train.*dev=null"):
        check_datasets(_config(folders, "train", same, "test"))
    told = _told(caplog, _config(folders, "train", "dev", "test", form.format("dev")))
    assert len(told) == 1
    assert "eval.1 (test-1): 9 of its 9 questions are also in data.dev, which decides" in told[0]


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
    assert [line.split(", which")[0] for line in told] == [
        "data.eval.0 (test-0): 8 of its 8 questions are also in data.train",
        "data.eval.1 (test-1): 1 of its 10 questions are also in data.train",
        "data.eval.1 (test-1): 2 of its 10 questions are also in data.dev",
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
    early = {**quiet, "backbone": {"layer": "projector", "attention": "bidirectional"}}
    told = unused_settings(parse_config(early, "test"))
    assert [line.split()[0] for line in told] == ["backbone.attention"]
    (tmp_path / "answers.jsonl").write_bytes(b"\n")
    data = {**quiet["data"], "judgements": str(tmp_path / "answers.jsonl")}
    told = unused_settings(parse_config({**quiet, "data": data}, "test"))
    assert [line.split()[0] for line in told] == ["data.judgements"]
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
        ("dev", [OVERLONG, "\n"], r"dataset dev: none of its 2 judged queries can be used"),
        ("train", ["", ""], r"dataset bad: none of its 2 judged queries can be used"),
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


def test_a_training_set_without_a_dev_set_is_refused_before_it_is_encoded(tmp_path):
    """A corpus of one document, which cannot be on both sides, told after its encoding."""
    pages = [Page(f"p{number}", png(number), "one") for number in range(6)]
    queries = [Query(f"q{number}", f"question {number}") for number in range(6)]
    judged = [Judgement(f"q{number}", f"p{number}", 1) for number in range(6)]
    write_dataset(str(tmp_path / "train"), pages, queries, judged)
    make_corpus(tmp_path / "test", num_pages=4, num_queries=4)
    with pytest.raises(DatasetError, match="all questions hang together, by one document"):
        loop.run(make_config(tmp_path), QuickWorkers())
    assert not (tmp_path / "runs").exists()


def test_a_missing_extra_is_told_before_any_work(tmp_path, monkeypatch):
    """ModuleNotFoundError in a worker, an hour later."""
    config = make_config(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"faiss is not installed; pip install .*\[cpu\]"):
        check(config)


def test_init_heads_of_another_shape_are_refused_before_any_work(tmp_path):
    """Heads of one size written down as of another, or found out after the encoding."""
    whole = loop.run(make_config(tmp_path), QuickWorkers())
    other = make_config(
        tmp_path,
        run={"name": "other"},
        heads={"dim": 64},
        training={"init_heads": whole.heads(1)},
    )
    with pytest.raises(CheckpointError, match=r"heads\.dim=16, not 64"):
        loop.run(other, QuickWorkers())
    for sections, words in (
        ({"backbone": {"attention": "bidirectional"}}, r"attention=causal, not bidirectional"),
        ({"backbone": {"layer": [-1, 0]}}, r"layer=-1, not \(-1, 0\)"),
        (
            {"backbone": {"layer": [-1, 0]}, "heads": {"layer_mix": True}},
            r"heads\.layer_mix=False, not True",
        ),
    ):
        training = {"init_heads": whole.heads(1)}
        other = make_config(tmp_path, run={"name": "other"}, training=training, **sections)
        with pytest.raises(CheckpointError, match=words):
            loop.run(other, QuickWorkers())
    assert not list((tmp_path / "runs" / "other").rglob("*.json"))


def test_every_file_of_questions_is_opened_a_few_times_only(folders, monkeypatch):
    """A dataset that is read from storage once for every check that there is."""
    opened = []

    class Counted(CanonicalDataset):
        def __init__(self, path, *arguments, **keys) -> None:
            opened.append(path)
            super().__init__(path, *arguments, **keys)

    monkeypatch.setattr(preflight, "CanonicalDataset", Counted)
    check_datasets(_config(folders, "train", "dev", "test"))
    assert sorted(opened) == sorted(folders[name] for name in ("train", "dev", "test"))


@pytest.mark.parametrize("is_standing", [True, False])
def test_datasets_are_checked_before_the_run_is_held(tmp_path, monkeypatch, is_standing):
    """A judgement of a page that is not there, found when everything is encoded."""
    config = make_config(tmp_path)
    path = tmp_path / "test" / "qrels" / "part-00000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["corpus-id"] = "nowhere"
    pq.write_table(pa.Table.from_pylist(rows), path)
    if not is_standing:  # then another folder is made of it first, and checked afterwards
        config = make_config(tmp_path, data={**config.data.model_dump(), "dev": "demo-small"})
    with pytest.raises(DatasetError, match="'corpus-id' nowhere is not in"):
        loop.run(config, QuickWorkers())
    assert not storage.exists(RunFolder(config.run_path).run_json)
