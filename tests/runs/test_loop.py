"""The whole loop on a real local Ray: killed anywhere, started again, the same bytes."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from colintern import records
from colintern.config.files import parse_config
from colintern.config.schema import Config
from colintern.data.canonical import CanonicalDataset
from colintern.errors import BackboneError
from colintern.model.random_checkpoint import write_random_checkpoint
from colintern.retrieval.retriever import Retriever
from colintern.runs import loop
from colintern.runs.local import LocalWorkers
from colintern.runs.runner import Runner, open_run
from colintern.runs.stages import Train, stages_before_rounds
from colintern.runs.status import status_lines, table_lines
from tests.helpers import make_corpus
from tests.local_run import search

pytestmark = pytest.mark.ray

COMPARED = (
    "round-1/heads/heads.safetensors",
    "round-2/heads/heads.safetensors",
    "round-2/triples.jsonl",
    "round-2/mining.json",
    "round-2/eval/dev.json",
    "round-2/eval/test.json",
    "round-2/eval/test.run.parquet",
    "loop.json",
)


RUNS = ("killed", "run")


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the product catches it."""


def _config(root: Path, **sections) -> Config:
    train, test = str(root / "train"), str(root / "test")
    document = {
        "run": {"name": "run", "root": str(root / "runs")},
        "backbone": {"path": "random"},
        "data": {"train": train, "eval": [test], "dev_fraction": 0.3},
        "features": {"shard_bytes": 300_000},
        "training": {"epochs": 2, "global_batch": 8, "num_workers": 0, "negatives_per_query": 2},
        "mining": {"relative_margin": 0.0, "num_negatives": 4},
        "loop": {"max_rounds": 2, "patience": 5},
        "cluster": {"encode_workers": 1, "mining_workers": 2},
    }
    for section, values in sections.items():
        document[section] = {**document.get(section, {}), **values}
    return parse_config(document, "test")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, ray_cluster) -> Path:
    """A root with datasets and one undisturbed run."""
    root = tmp_path_factory.mktemp("finished")
    make_corpus(root / "train", num_pages=40, num_queries=60)
    make_corpus(root / "test", num_pages=12, num_queries=15)
    loop.run(_config(root))
    return root


def test_the_run_folder_is_complete(finished):
    """A file that other people's scripts rely on is missing or has other keys."""
    run = finished / "runs" / "run"
    for name in ("run.json", "round-0/eval/test.json", "round-1/train_log.jsonl", *COMPARED):
        assert (run / name).is_file(), name
    assert (run / "report.html").is_file()
    config = json.loads((run / "run.json").read_text())["config"]
    assert config["data"]["train"]["path"] == str(finished / "train")
    info = json.loads((run / "round-1/heads/colintern.json").read_text())
    assert info["format"] == 1
    assert set(info["stores"]) == {"train", "test"}
    document = json.loads((run / "round-2/eval/test.json").read_text())
    assert document["num_queries"] == 15
    assert document["num_pages"] == 12
    assert document["metrics"].keys() == document["ci"].keys()
    triple = json.loads((run / "round-2/triples.jsonl").read_text().splitlines()[0])
    assert list(triple) == [
        "query_id",
        "query",
        "pos",
        "negs",
        "pos_scores",
        "neg_scores",
        "neg_ranks",
    ]
    decided = json.loads((run / "loop.json").read_text())
    assert [entry["round"] for entry in decided["rounds"]] == [1, 2]
    stages = {path.stem for path in (run / "records").iterdir()}
    assert stages == {
        "encode-train",
        "encode-test",
        "round-0-heads",
        "round-0-evaluate-dev",
        "round-0-evaluate-test",
        "round-1-train",
        "round-1-evaluate-dev",
        "round-1-evaluate-test",
        "round-2-mine",
        "round-2-train",
        "round-2-evaluate-dev",
        "round-2-evaluate-test",
        "report",
    }


def test_in_this_process_the_bytes_are_the_same(finished):
    """Another corpus, order or seed without Ray: tests and benchmarks of another program."""
    loop.run(_config(finished, run={"name": "local"}), LocalWorkers())
    runs = finished / "runs"
    for name in COMPARED:
        assert (runs / "local" / name).read_bytes() == (runs / "run" / name).read_bytes(), name


def test_test_sets_and_dev_pages_never_steer_training(finished):
    """A test page or a page judged for dev among the mined pages (property 11)."""
    run = finished / "runs" / "run"
    triples = [
        json.loads(line) for line in (run / "round-2/triples.jsonl").read_text().splitlines()
    ]
    judgements = CanonicalDataset(str(finished / "train")).judgements()
    trained = {triple["query_id"] for triple in triples}
    dev_pages = {
        page for query, pages in judgements.items() if query not in trained for page in pages
    }
    mined = {page for triple in triples for page in (*triple["pos"], *triple["negs"])}
    assert trained
    assert dev_pages
    assert not mined & dev_pages


def test_other_test_sets_change_nothing_that_is_trained(finished):
    """A test set that decides on heads, negatives or the number of rounds (property 11)."""
    loop.run(_config(finished, run={"name": "untested"}, data={"eval": []}), LocalWorkers())
    runs = finished / "runs"
    for name in ("round-2/heads/heads.safetensors", "round-2/triples.jsonl", "loop.json"):
        assert (runs / "untested" / name).read_bytes() == (runs / "run" / name).read_bytes(), name


def test_a_run_is_asked_from_any_working_directory(finished, tmp_path, monkeypatch):
    """Paths that mean something else elsewhere, so that the whole corpus is encoded again."""
    monkeypatch.chdir(finished)
    document = {
        **_config(finished).model_dump(mode="json"),
        "run": {"name": "relative", "root": "runs"},
        "features": {"root": "runs/features", "shard_bytes": 300_000},
    }
    with open_run(parse_config(document, "test")) as runner:
        for stage in (*stages_before_rounds(runner.run.config), Train(1)):
            runner.do(stage)
    monkeypatch.chdir(tmp_path)
    stores = {path.name for path in (finished / "runs" / "features").iterdir()}
    assert search(str(finished / "runs" / "relative"), "question", 3, "test")
    assert {path.name for path in (finished / "runs" / "features").iterdir()} == stores
    assert not list(tmp_path.iterdir())


def test_a_search_in_a_corpus_that_was_never_trained_on(finished, tmp_path, monkeypatch):
    """A run that can only be asked where its GPUs are, or only about its own pages."""
    make_corpus(tmp_path / "unseen", num_pages=7, num_queries=1)
    run = shutil.copytree(finished / "runs" / "run", tmp_path / "runs" / "run")
    document = json.loads((run / "run.json").read_text())
    document["config"]["cluster"].update(use_gpu=True, encode_workers=8)
    (run / "run.json").write_text(json.dumps(document))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (hits,) = Retriever.open(str(run), dataset=str(tmp_path / "unseen")).search(["question"])
    assert sorted(hit.page_id for hit in hits) == [f"p{number:03d}" for number in range(7)]


def test_status_and_table_show_every_stage_and_round(finished):
    """A stage that is done and called missing, or a round without its line."""
    run = str(finished / "runs" / "run")
    lines = status_lines(run)
    assert len(lines) == 13
    assert all(" done " in line for line in lines)
    assert [line.split()[:2] for line in table_lines(run)[1::2]] == [
        [dataset, number] for dataset in ("dev", "test") for number in "012"
    ]


def test_a_second_run_repeats_nothing(finished, monkeypatch):
    """A finished stage done again, or Ray started for nothing."""
    run = finished / "runs" / "run"
    before = {path: path.stat().st_mtime_ns for path in (run / "records").iterdir()}

    def never(*_):
        raise AssertionError("Ray is not needed")

    monkeypatch.setattr("colintern.runtime.cluster.Cluster.ensure", never)
    loop.run(_config(finished))
    assert {path: path.stat().st_mtime_ns for path in (run / "records").iterdir()} == before


@pytest.mark.slow
def test_killed_before_every_record_and_started_again(finished, tmp_path, monkeypatch):
    """Work lost or mixed up by a kill between a stage's work and its record (property 8).

    The run is killed before the work of every round's stage, at the end of every stage before its
    record is written, and inside encoding and the decision; each time it is started again with the
    same configuration. In the end it has the same records and the same bytes as the undisturbed run
    on the same worker count.
    """
    for part in ("train", "test"):
        (tmp_path / part).symlink_to(finished / part)
    config = _config(
        finished, run={"name": "killed"}, features={"root": str(tmp_path / "features")}
    )
    killed: set[str] = set()
    do, record_outputs = Runner.do, records.record_outputs

    def die_or_do(self, stage):
        if f"before {stage.name}" not in killed:
            killed.add(f"before {stage.name}")
            raise Killed
        return do(self, stage)

    def record_or_die(path, *arguments):
        if path not in killed:
            killed.add(path)
            raise Killed
        return record_outputs(path, *arguments)

    monkeypatch.setattr(Runner, "do", die_or_do)
    monkeypatch.setattr(records, "record_outputs", record_or_die)
    _die_once(monkeypatch, killed, "colintern.runtime.encode.finish_store", "inside encode")
    _die_once(monkeypatch, killed, "colintern.evaluation.decision.decide", "inside the decision")
    starts = 0
    while True:
        starts += 1
        try:
            loop.run(config)
            break
        except Killed:
            assert starts < 40
    assert len(killed) >= 28
    assert starts == len(killed) + 1
    runs = finished / "runs"
    found = [{path.name for path in (runs / name / "records").iterdir()} for name in RUNS]
    assert found[0] == found[1]
    for name in COMPARED:
        disturbed = (finished / "runs" / "killed" / name).read_bytes()
        assert disturbed == (finished / "runs" / "run" / name).read_bytes(), name


def _die_once(monkeypatch, killed: set[str], target: str, name: str) -> None:
    module, function = target.rsplit(".", 1)
    import importlib

    real = getattr(importlib.import_module(module), function)

    def die_first(*arguments, **named):
        if name not in killed:
            killed.add(name)
            raise Killed
        return real(*arguments, **named)

    monkeypatch.setattr(target, die_first)


def test_weights_that_do_not_fit_are_one_line(ray_cluster, tmp_path):
    """A traceback of Ray Data's, and exit code 1, for what a worker says about the backbone."""
    make_corpus(tmp_path / "train", num_pages=8, num_queries=8)
    make_corpus(tmp_path / "test", num_pages=2, num_queries=2)
    folder = tmp_path / "backbone"
    write_random_checkpoint(folder, seed=1)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("mlp.down_proj.weight"))
    weights[name] = weights[name][:, :-1].contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match=r"mismatched keys: .*down_proj") as raised:
        loop.run(_config(tmp_path, backbone={"path": str(folder)}))
    assert type(raised.value) is BackboneError
    assert "\n" not in str(raised.value)
