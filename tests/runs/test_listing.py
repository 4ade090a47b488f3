"""`colintern ls` shows what stands under a root, in one listing."""

import json
import shutil
from pathlib import Path

import pytest

from colintern.evaluation.decision import METRIC
from colintern.records import lease
from colintern.records.run_folder import RunFolder
from colintern.runs import loop
from colintern.runs.listing import listing, listing_lines
from tests.local_run import QuickWorkers, make_config

RECORDED = Path(__file__).parents[1] / "data" / "recorded-3bf57ee"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("listed")
    for name in ("one", "two"):
        loop.run(make_config(root, run={"name": name}), QuickWorkers())
    return root / "runs"


def test_runs_and_stores_are_listed_with_what_they_hold(root):
    """A store whose runs are not told, figures of another round, or sizes that do not add up."""
    document = listing(str(root))
    assert json.loads(json.dumps(document)) == document
    one, two = document["runs"]
    decided = json.loads(Path(RunFolder(one["path"]).loop_json).read_text())
    dev = {entry["round"]: entry["dev"] for entry in decided["rounds"]}
    assert decided["metric"] == METRIC == "ndcg_at_5"
    assert (one["rounds"], one["best_round"]) == (2, decided["best_round"])
    assert one["best_dev"] == dev[one["best_round"]]
    assert one["stores"] == two["stores"]
    stores = {store["dataset"]: store for store in document["stores"]}
    assert {name: Path(store["path"]).name for name, store in stores.items()} == one["stores"]
    train = stores["train"]
    assert (train["pages"], train["queries"], train["dtype"]) == (24, 40, "bfloat16")
    assert train["runs"] == ["one", "two"]
    assert train["page_tokens"] > 24
    files = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    entries = (*document["runs"], *document["stores"], *document["datasets"])
    assert sum(entry["bytes"] for entry in entries) == files
    assert document["other_files"]["files"] == 0


def test_the_table_says_what_the_document_says(root):
    """A column under the wrong head."""
    (root / "notes.txt").write_text("mine")
    basis = root / "features" / "basis-0123abcd" / "basis.safetensors"
    basis.parent.mkdir()
    basis.write_bytes(b"12345")
    with lease.held(str(root / "two"), wait=False):
        document = listing(str(root))
        lines = listing_lines(document)
    (root / "notes.txt").unlink()
    shutil.rmtree(basis.parent)
    heads, one, two = lines[:3]
    assert heads.split() == "run rounds best dev nDCG@5 last change (UTC) size".split()
    best = document["runs"][0]
    assert one.split()[:4] == ["one", "2", str(best["best_round"]), f"{best['best_dev']:.3f}"]
    assert two.endswith("running")
    store = next(line for line in lines if line.startswith("features/train-"))
    assert store.split()[1] == "24"
    assert store.endswith("one, two")
    assert "features/basis-0123abcd  5 B" in lines
    assert lines[-1].split() == ["others", "1", "4", "B"]


def test_a_root_of_an_earlier_version_and_a_root_without_runs(tmp_path):
    """The store of a run that was recorded by an earlier version, shown as nobody's."""
    document = listing(str(RECORDED / "runs"))
    assert [store["runs"] for store in document["stores"]] == [["run"], ["run"]]
    assert [Path(store["path"]).name for store in document["stores"]] == [
        "test-6da1c08e",
        "train-3f23d260",
    ]
    assert document["runs"][0]["error"] is None
    assert listing_lines(listing(str(tmp_path))) == [f"{tmp_path}: no runs and no stores"]


def test_a_dataset_around_the_root_keeps_its_path(root):
    """`tmp/x/train` for `/tmp/x/train`: as if it stood in the root."""
    folder = root.parent / "train"
    lines = listing_lines(listing(str(folder / "corpus")))
    assert lines[1].split()[0] == str(folder)
