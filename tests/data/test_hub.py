"""Datasets on the Hub, against a server of our own that speaks its language."""

import huggingface_hub
import pytest

from colintern import storage
from colintern.config.schema import DatasetConfig
from colintern.data.canonical import CanonicalDataset
from colintern.data.resolve import find_source, made, source_url
from colintern.errors import DatasetError, StorageError
from tests.helpers import make_corpus
from tests.hub_server import COMMIT, NAME, HubServer


@pytest.fixture
def hub(tmp_path, monkeypatch):
    make_corpus(tmp_path / "hub", num_pages=6, num_queries=9)
    server = HubServer(tmp_path / "hub")
    server.is_the_hub(monkeypatch)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    huggingface_hub.HfFileSystem.clear_instance_cache()
    with server.running():
        yield server
    huggingface_hub.HfFileSystem.clear_instance_cache()


def _bring_in(root, revision: str = COMMIT, path: str = NAME) -> str:
    dataset = DatasetConfig.model_validate({"path": path, "revision": revision})
    return made(find_source(dataset, str(root / "made")))


def test_a_dataset_is_read_from_the_hub_once(hub, tmp_path):
    """A page that differs, or a Hub that must be there at every later start."""
    folder = _bring_in(tmp_path)
    here, there = CanonicalDataset(folder), CanonicalDataset(str(tmp_path / "hub"))
    assert here.documents() == there.documents()
    assert (here.queries(), here.judgements()) == (there.queries(), there.judgements())
    details = storage.read_json(f"{folder}/dataset.json")
    assert details["source"] == f"hf://datasets/{NAME}@{COMMIT}"
    asked = len(hub.asked)
    assert asked > 5
    assert _bring_in(tmp_path) == folder
    assert len(hub.asked) == asked


def test_a_configuration_of_the_hub_is_chosen_by_its_readme(hub, tmp_path):
    """All configurations of a repository taken, or one that stays another's for ever."""
    make_corpus(tmp_path / "hub" / "more", num_pages=2, num_queries=2)
    configs = "".join(
        f"- {{config_name: {name}, data_files: '{pattern}'}}\n"
        for name, pattern in (("small", "more/*/*"), ("large", "[cq]*/*"))
    )
    (tmp_path / "hub" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    with pytest.raises(DatasetError, match=rf"{COMMIT}: has several .* \(large, small\)"):
        _bring_in(tmp_path)
    found = {}
    for name in ("small", "large"):
        keys = {"path": NAME, "revision": COMMIT, "config": name}
        folder = made(find_source(DatasetConfig.model_validate(keys), str(tmp_path / "made")))
        assert f"/pages-{name}-" in folder
        found[name] = len(CanonicalDataset(folder).documents())
    assert found == {"small": 2, "large": 6}


@pytest.mark.parametrize("revision", ["main", COMMIT[:10]])
def test_a_revision_that_can_move_is_refused(hub, tmp_path, revision):
    """Features of one version of a corpus, judgements of the next."""
    if revision != "main":
        hub.answer = lambda folder, path, wanted: HubServer.answer(
            hub, folder, path.replace(revision, COMMIT), wanted
        )
    with pytest.raises(DatasetError, match=rf"{revision} is not a whole.*: set revision: {COMMIT}"):
        _bring_in(tmp_path, revision)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((401, "RepoNotFound"), "no such dataset, or it is private; .* set HF_TOKEN"),
        ((404, "RepoNotFound"), "no such dataset, or it is private; check the name"),
        ((403, "GatedRepo"), rf"gated; accept its terms on https://.*{NAME} and set HF_TOKEN"),
        ((404, "RevisionNotFound"), f"no revision {COMMIT}; take a commit"),
        ((401, ""), "denies access .* set HF_TOKEN"),
        ((403, ""), "denies access .* set HF_TOKEN"),
        ((500, ""), "cannot be reached .*500.* or try again"),
    ],
)
def test_a_refusal_of_the_hub_is_one_line(hub, tmp_path, refusal, words):
    """A traceback out of an HTTP library for a missing token or a misspelt name."""
    hub.refusal = refusal
    with pytest.raises(DatasetError, match=rf"hf://datasets/{NAME}@{COMMIT}: .*{words}"):
        _bring_in(tmp_path)


def test_a_hub_that_is_not_there_is_one_line(hub, tmp_path, monkeypatch):
    """A traceback out of an HTTP library on a train."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DatasetError, match=rf"{NAME}.*cannot be reached \(.*check .* connection"):
        _bring_in(tmp_path)
    with pytest.raises(StorageError, match=rf"{NAME}.*cannot be read .*; check the connection"):
        storage.find_files(f"hf://datasets/{NAME}@{COMMIT}")


def test_a_hub_that_goes_away_while_reading_leaves_nothing_finished(hub, tmp_path):
    """Half a corpus that the next start takes for the whole."""

    def answer(folder, path, wanted):
        if "resolve" in path and "queries" in path:
            hub.refusal = (403, "")
        return HubServer.answer(hub, folder, path, wanted)

    hub.answer = answer
    with pytest.raises(StorageError, match=r"queries/part.*cannot be read .*403.*; check"):
        _bring_in(tmp_path)
    hub.refusal = None
    del hub.answer
    assert len(CanonicalDataset(_bring_in(tmp_path)).queries()) == 9


def test_the_revision_stands_behind_the_name():
    """A folder of a dataset that is looked for at a revision of another name."""

    def url(**keys) -> str:
        return source_url(DatasetConfig.model_validate(keys))

    assert url(path="hf://datasets/a/b/c/d", revision="12") == "hf://datasets/a/b@12/c/d"
    assert url(path="hf://datasets/a/b@12/c", revision="12") == "hf://datasets/a/b@12/c"
    with pytest.raises(DatasetError, match="another revision than revision: 13"):
        url(path="hf://datasets/a/b@12", revision="13")
    with pytest.raises(DatasetError, match="hf://datasets/OWNER/NAME"):
        url(path="hf://a", revision="13")


def test_a_hub_dataset_is_pinned(tmp_path):
    """Features of one version of a corpus, judgements of the next."""

    def url(**keys) -> str:
        return source_url(DatasetConfig.model_validate(keys))

    assert url(path="vidore/x", revision="ab12") == "hf://datasets/vidore/x@ab12"
    assert url(path="hf://datasets/vidore/x", revision="ab12") == "hf://datasets/vidore/x@ab12"
    assert url(path="hf://datasets/vidore/x@ab12") == "hf://datasets/vidore/x@ab12"
    assert url(path=str(tmp_path), revision="ab12") == str(tmp_path)
    with pytest.raises(DatasetError, match="pinned commit"):
        url(path="hf://datasets/vidore/x")
