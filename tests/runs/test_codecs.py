"""Runs over smaller stores: another type, fewer numbers per token, fewer tokens."""

import json
import shutil
from pathlib import Path

import pytest

from colintern.config.schema import Config
from colintern.errors import CheckpointError, ConfigError, MissingStageError
from colintern.evaluation.results import read_results
from colintern.features.store import FeatureStore
from colintern.model.backbone import read_identity
from colintern.model.heads import read_info
from colintern.records import read_record
from colintern.records.run_folder import RunFolder
from colintern.retrieval.finished import best_round
from colintern.runs import loop
from colintern.runs.basis import known_basis
from colintern.runs.local import LocalWorkers
from colintern.runs.runner import open_run
from colintern.runs.stages import Encode
from colintern.storage import sha256_of_file
from tests.helpers import make_corpus
from tests.local_run import NoWorkers, QuickWorkers, make_config, search

SMALL = {"dtype": "int8", "pca_dim": 12, "max_tokens_per_page": 3}  # of 4 tokens and 24 numbers
TRAINING = {"epochs": 2, "global_batch": 8, "negatives_per_query": 2}


def _encoded(config: Config) -> dict[str, FeatureStore]:
    """The stores of a run, encoded here."""
    with open_run(config, workers=LocalWorkers()) as runner:
        for dataset in runner.run.targets:
            runner.do(Encode(dataset))
        return {name: FeatureStore(target.path) for name, target in runner.run.targets.items()}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A root with a finished run over stores that are small in every way, `runs/run`."""
    root = tmp_path_factory.mktemp("small")
    loop.run(make_config(root, features=SMALL, training=TRAINING), LocalWorkers())
    return root


@pytest.fixture
def run(root) -> RunFolder:
    """The run folder."""
    return RunFolder(str(root / "runs" / "run"))


def test_small_stores_are_trained_on_mined_and_measured(run):
    """A reader that takes int8 numbers for features, or a page for a query."""
    for name, path in read_info(run.heads(1)).stores.items():
        store = FeatureStore(path)
        for items in (store.pages, store.queries):
            tokens, lengths = items.read(range(len(items)))
            assert tokens.values_TK.shape == (sum(lengths), 12), name
            assert str(tokens.values_TK.dtype) == "torch.int8"
        assert set(store.pages.num_tokens.tolist()) == {3}  # as planned: see `features.codec`
        assert min(store.queries.num_tokens.tolist()) > 3
    folder = Path(run.path)
    lines = (folder / "round-1/train_log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < losses[0]
    triples = (folder / "round-2/triples.jsonl").read_text().splitlines()
    assert any(json.loads(triple)["negs"] for triple in triples)


def test_a_question_is_stored_as_the_query_that_was_measured(run):
    """A search that asks with features of another width, type or basis."""
    results = read_results(run.results(best_round(run), "test")).to_pylist()
    best = [row for row in results if row["query_id"] == "q003" and row["rank"] <= 3]
    hits = search(run.path, "question 3 of many", 3, "test")
    assert [(hit.page_id, hit.score) for hit in hits] == [
        (row["page_id"], row["score"]) for row in best
    ]


def test_one_basis_is_in_every_store_and_named_by_the_heads(run):
    """Pages and queries, or two datasets, in coordinates of their own."""
    info = read_info(run.heads(2))
    copies = [Path(path, "basis.safetensors") for path in info.stores.values()]
    assert len(copies) == 2
    assert {sha256_of_file(str(path)) for path in copies} == {info.pca}
    for path in info.stores.values():
        record = read_record(f"{path}/record.json")
        assert record is not None
        named = {output.path: output.sha256 for output in record.outputs}
        assert named["basis.safetensors"] == info.pca
        assert record.inputs["features.basis_sha256"] == info.pca
    assert info.features_width == 12


def test_a_grown_corpus_keeps_its_basis_and_its_shards(tmp_path):
    """All pages encoded again because some have come."""
    config = make_config(tmp_path, features={"pca_dim": 5})
    before = _encoded(config)["train"]
    files = {path: path.read_bytes() for path in Path(before.path).rglob("*.safetensors")}
    assert any(path.name == "basis.safetensors" for path in files)
    make_corpus(tmp_path / "train", num_pages=30, num_queries=40)
    grown = _encoded(make_config(tmp_path, features={"pca_dim": 5}, run={"name": "grown"}))["train"]
    assert grown.path == before.path
    assert len(grown.pages) == 30
    assert {path: path.read_bytes() for path in files} == files


def test_a_damaged_or_lost_basis_is_told_and_made_again_alike(tmp_path):
    """A basis of other training pages beside features in the old one; one that nobody can read."""
    config = make_config(tmp_path, features={"pca_dim": 5})
    _encoded(config)
    backbone = read_identity(config.backbone)
    file = known_basis(config, backbone)
    assert file is not None
    data = Path(file.path).read_bytes()
    Path(file.path).write_bytes(data[:-1] + b"\0")
    with pytest.raises(MissingStageError, match=r"basis of features\.pca_dim is missing"):
        known_basis(config, backbone)
    _encoded(config)
    assert Path(file.path).read_bytes() == data
    assert known_basis(config, backbone) == file


@pytest.mark.parametrize("folder_too", [False, True])
def test_a_basis_that_is_lost_after_the_corpus_has_grown_is_that_of_its_stores(
    tmp_path, folder_too
):
    """Another basis by the pages that were added: every store anew, and heads that fit none."""
    layers = {"layer": [-1, 0]}  # a list is recorded in another form than it has in the settings
    config = make_config(tmp_path, features={"pca_dim": 5}, backbone=layers)
    before = _encoded(config)["train"]
    file = known_basis(config, read_identity(config.backbone))
    assert file is not None
    if folder_too:
        shutil.rmtree(Path(file.path).parent)
    else:
        Path(file.path).unlink()
    make_corpus(tmp_path / "train", num_pages=30, num_queries=40)
    grown = make_config(tmp_path, features={"pca_dim": 5}, backbone=layers, run={"name": "grown"})
    assert _encoded(grown)["train"].path == before.path
    assert known_basis(grown, read_identity(grown.backbone)) == file


def test_a_basis_is_shared_by_seeds_and_codecs(tmp_path):
    """A basis, and stores, for each seed of a sweep."""
    config = make_config(tmp_path, features={"pca_dim": 5})
    first = _encoded(config)
    other = make_config(tmp_path, features={"pca_dim": 5}, run={"name": "b", "seed": 7})
    with open_run(other, workers=NoWorkers()) as runner:
        assert runner.run.targets["train"].path == first["train"].path
    merged = {"pca_dim": 5, "merge": 2}
    second = _encoded(make_config(tmp_path, features=merged, run={"name": "c"}))
    assert second["train"].path != first["train"].path
    assert set(second["train"].pages.num_tokens.tolist()) == {1}
    folders = [path for path in (tmp_path / "runs/features").iterdir() if "basis" in path.name]
    assert len(folders) == 1


def test_more_components_than_numbers_are_refused(tmp_path):
    """A stack trace of LAPACK, after an hour of encoding."""
    config = make_config(tmp_path, features={"pca_dim": 10_000})
    with (
        pytest.raises(ConfigError, match=r"features\.pca_dim=10000: must not be above \d+"),
        open_run(config, workers=QuickWorkers()),
    ):
        pass


def test_heads_of_another_basis_are_refused(run, tmp_path):
    """Weights of one basis that multiply coordinates in another one of the same width."""
    make_corpus(tmp_path / "train", num_pages=24, num_queries=40, first_picture=500)
    make_corpus(tmp_path / "test", num_pages=6, num_queries=8, first_picture=100)
    given = {"init_heads": run.heads(1)}
    config = make_config(tmp_path, features=SMALL, training=given)
    with (
        pytest.raises(CheckpointError, match="made for features in the basis"),
        open_run(config, workers=QuickWorkers()),
    ):
        pass
