"""Another model, by its files: what is taken for one, and what is refused."""

import json
import shutil

import pytest
from huggingface_hub.utils import filter_repo_objects

from colintern.retrieval.baselines import model
from colintern.retrieval.baselines.frame import BaselineError
from colintern.retrieval.baselines.model import default_name, find_model


@pytest.fixture
def folder(models, tmp_path):
    """A model that a test may damage."""
    return shutil.copytree(models / "single", tmp_path / "My model (v2)")


def test_the_files_tell_which_kind_it_is(models):
    """A late-interaction model whose vectors are averaged, or the other way round."""
    assert not find_model(str(models / "single")).is_multi_vector
    assert find_model(str(models / "multi")).is_multi_vector


def test_a_name_is_made_of_any_path(folder):
    """A baseline that has to be named by hand."""
    assert default_name(find_model(f"{folder}/")) == "My-model-v2-"


def test_the_hash_is_of_all_that_the_model_is_made_from(folder, tmp_path):
    """Other weights, or another prompt, that count as the same model; a copy that does not."""
    before = find_model(str(folder)).sha256
    assert find_model(str(shutil.copytree(folder, tmp_path / "copy"))).sha256 == before
    (folder / "README.md").write_text("changed")
    assert find_model(str(folder)).sha256 == before
    (folder / "artifact.metadata").write_text("{}")  # a ColBERT's own settings
    assert find_model(str(folder)).sha256 != before
    (folder / "artifact.metadata").unlink()
    file = folder / "1_Pooling" / "config.json"
    file.write_text(file.read_text() + " ")
    assert find_model(str(folder)).sha256 != before


def _declare(folder, kind):
    file = folder / "config_sentence_transformers.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_type": kind}))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda it: (it / "modules.json").unlink(), "no model of sentence-transformers"),
        (lambda it: _declare(it, "SparseEncoder"), "is a SparseEncoder"),
        (lambda it: (it / "adapter_config.json").write_text("{}"), "holds an adapter"),
        (lambda it: (it / "model.safetensors").rename(it / "pytorch_model.bin"), "safetensors"),
        (lambda it: (it / "config.json").write_text("{"), "config.json: is not JSON"),
    ],
    ids=["random weights", "another kind", "an adapter", "pickled weights", "damaged"],
)
def test_what_cannot_be_measured_is_refused_before_it_is_loaded(folder, damage, told):
    """Figures of random weights, or an unpickled file."""
    damage(folder)
    with pytest.raises(BaselineError, match=told) as raised:
        find_model(str(folder))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere", "/no/such/folder", "./a/b/c"])
def test_a_folder_that_is_not_there(name):
    """A path with a typing error that is looked up on the Hub."""
    with pytest.raises(BaselineError, match="no such folder"):
        find_model(name)


def test_a_model_that_the_hub_does_not_give(monkeypatch):
    """A traceback of a download."""

    def no_download(*_, **__):
        raise OSError("no\nnetwork")

    monkeypatch.setattr(model, "snapshot_download", no_download)
    with pytest.raises(BaselineError, match=r"from the Hub at revision v1 \(no network\)"):
        find_model("org/model", "v1")


def test_the_commit_is_what_the_hub_gave(monkeypatch, models, tmp_path):
    """A branch that is recorded, which may be another model tomorrow."""
    commit = "c" * 40
    shutil.copytree(models / "single", tmp_path / commit)
    asked = []
    files = ["1_Dense/model.safetensors", "artifact.metadata", "pytorch_model.bin", "model.py"]

    def download(name, *, revision, allow_patterns):
        asked.append((name, revision))
        assert list(filter_repo_objects(files, allow_patterns=allow_patterns)) == files[:2]
        return str(tmp_path / commit)

    monkeypatch.setattr(model, "snapshot_download", download)
    found = find_model("org/model", "main")
    assert (found.name, found.revision) == ("org/model", commit)
    assert found.folder() == tmp_path / commit
    assert asked == [("org/model", "main"), ("org/model", commit)]


def test_a_folder_that_a_worker_does_not_see_is_named(folder):
    """A path that is looked up on the Hub; a message about a file of the model."""
    found = find_model(str(folder))
    shutil.rmtree(folder)
    with pytest.raises(BaselineError, match=r"is not on .*; copy it to storage that all nodes sh"):
        found.folder()


def test_a_missing_package_is_told_in_one_line(monkeypatch, models):
    """An ImportError from deep inside, after the run was opened."""
    monkeypatch.setattr(model, "find_spec", lambda _: None)
    with pytest.raises(BaselineError, match=r"pip install 'colintern\[export\]'"):
        find_model(str(models / "single"))
