"""`colintern download`, against a Hub of our own: only what is used, once, and found afterwards."""

import re
import shutil
from pathlib import Path

import pytest

from colintern.config.files import parse_config
from colintern.config.pinned import ADVISED, Pinned, known, pinned
from colintern.config.schema import BackboneConfig, DatasetConfig
from colintern.config.suited import overrides, suited
from colintern.data.canonical import CanonicalDataset
from colintern.data.download import Downloaded, download, download_lines
from colintern.data.resolve import find_source, made
from colintern.errors import BackboneError, ConfigError, DatasetError, PathError, StorageError
from colintern.model.checkpoint import find_checkpoint
from tests.helpers import make_corpus
from tests.hub_server import COMMIT, NAME, HubServer
from tests.local_run import BACKBONE

OTHERS = ("pytorch_model.bin", "modeling_own.py", "training_args.pt", ".gitattributes")
MODEL, DATASET = Pinned(NAME, COMMIT, "model"), Pinned(NAME, COMMIT, "dataset")


@pytest.fixture(params=["models", "datasets"])
def hub(request, tmp_path, monkeypatch):
    """A model, or a dataset, beside files that nobody should want."""
    served = tmp_path / "served"
    if request.param == "models":
        shutil.copytree(BACKBONE, served)
    else:
        make_corpus(served, num_pages=6, num_queries=9)
    for name in OTHERS:
        (served / name).write_bytes(b"never fetched")
    server = HubServer(served, request.param)
    server.is_the_hub(monkeypatch)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with server.running():
        yield server


only_models = pytest.mark.parametrize("hub", ["models"], indirect=True)
only_datasets = pytest.mark.parametrize("hub", ["datasets"], indirect=True)


def _names(folder: str) -> set[str]:
    """The files of a download, without the notes of the Hub's client."""
    files = (path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
    return {str(path) for path in files if path.parts[0] != ".cache"}


def _wanted(hub: HubServer, root: Path) -> Pinned:
    return MODEL if (root / "served" / "config.json").exists() else DATASET


@pytest.mark.parametrize("to_cache", [True, False])
def test_only_files_that_are_used_are_fetched_and_once(hub, tmp_path, to_cache):
    """Pickled weights or code on the disk; gigabytes again at each call."""
    what = _wanted(hub, tmp_path)
    out = None if to_cache else str(tmp_path / "out")
    found = download(what, out)
    served = _names(str(tmp_path / "served"))
    assert _names(found.folder) == served - set(OTHERS)
    sizes = ((tmp_path / "served" / name).stat().st_size for name in served - set(OTHERS))
    assert found.num_bytes == sum(sizes)
    fetched = [path for path in hub.asked if "/resolve/" in path]
    assert not [path for path in fetched if path.endswith(OTHERS)]
    asked = len(hub.asked)
    assert asked > len(served - set(OTHERS))
    assert download(what, out) == found
    assert len(hub.asked) == asked


@only_models
def test_a_downloaded_model_is_found_without_the_hub(hub, tmp_path, monkeypatch):
    """A model that is fetched again, or not found, when the machine has no network."""
    found = download(MODEL)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    settings = dict(part.split("=") for part in found.settings.split())
    backbone = BackboneConfig(
        path=settings["backbone.path"], revision=settings["backbone.revision"]
    )
    assert str(find_checkpoint(backbone)) == found.folder
    out = str(tmp_path / "out")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    pasted = download(MODEL, out).settings
    assert pasted.startswith(f"backbone.path={out} backbone.revision=null backbone.max_tiles=6 ")


@only_datasets
def test_a_downloaded_dataset_is_found_without_the_hub(hub, tmp_path, monkeypatch):
    """A dataset that is fetched again, page by page, or half of one taken for the whole."""
    found = download(DATASET)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    dataset = DatasetConfig.model_validate({"path": NAME, "revision": COMMIT})
    asked = len(hub.asked)
    folder = made(find_source(dataset, str(tmp_path / "made")))
    assert len(hub.asked) == asked
    there = CanonicalDataset(str(tmp_path / "served"))
    assert CanonicalDataset(folder).content_hash() == there.content_hash()
    next(Path(found.folder).glob("corpus/*.parquet")).unlink()
    with pytest.raises(DatasetError, match="cannot be reached"):
        find_source(dataset, str(tmp_path / "made-again"))


@only_datasets
def test_a_dataset_in_a_folder_of_its_own_is_an_entry_of_data(hub, tmp_path):
    """A line to paste that names a folder by a hash, or does not open."""
    out = str(tmp_path / "out")
    lines = list(download_lines([DATASET], out))
    entry = lines[-1].removeprefix("  use: ")
    assert entry == f"{{path: {out}, name: pages}}"
    config = parse_config({"data": {"train": {"path": out, "name": "pages"}}}, "test")
    assert len(CanonicalDataset(find_source(config.data.train, str(tmp_path)).folder).queries())


def test_a_download_that_broke_off_goes_on(hub, tmp_path):
    """All of it again after a connection that was lost near the end."""
    what = _wanted(hub, tmp_path)
    last = "tokenizer.json" if what is MODEL else "qrels/part-00000.parquet"

    def answer(folder, path, wanted):
        if "/resolve/" in path and path.endswith(last):
            return 403, "", b"{}"
        return HubServer.answer(hub, folder, path, wanted)

    hub.answer = answer
    error = BackboneError if what is MODEL else DatasetError
    with pytest.raises(error, match=rf"{NAME} at {COMMIT}: the Hub denies access .*HF_TOKEN"):
        download(what)
    (snapshot,) = (tmp_path / "cache").glob("*/snapshots/*")
    finished = _names(str(snapshot))
    assert finished
    assert last not in finished
    del hub.answer
    hub.asked.clear()
    download(what)
    again = {path.split(f"{COMMIT}/")[1] for path in hub.asked if "/resolve/" in path}
    assert last in again
    assert not again & finished


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((401, "RepoNotFound"), "no such {kind}, or it is private; .* set HF_TOKEN"),
        ((403, "GatedRepo"), "it is gated; accept its terms on https://.* and set HF_TOKEN"),
        ((404, "RevisionNotFound"), f"the {{kind}} has no revision {COMMIT}; take a commit of"),
    ],
)
def test_a_refusal_is_one_line(hub, tmp_path, refusal, words):
    """A traceback out of an HTTP library for a misspelt name or a missing token."""
    what = _wanted(hub, tmp_path)
    hub.refusal = refusal
    error = BackboneError if what is MODEL else DatasetError
    with pytest.raises(error, match=f"{NAME} at {COMMIT}: .*{words.format(kind=what.kind)}"):
        download(what)


@only_models
def test_what_cannot_be_written_or_used_is_told(hub, tmp_path, monkeypatch):
    """A full disk called a missing connection; a model that no run can open called fetched."""
    (tmp_path / "file").write_text("")
    with pytest.raises((PathError, StorageError), match=r"file/out: "):
        download(MODEL, str(tmp_path / "file" / "out"))
    (tmp_path / "served" / "model.safetensors").unlink()
    with pytest.raises(BackboneError, match=r"has no \*.safetensors files; take an -hf"):
        download(MODEL)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match=r"cannot be reached \(.*[Oo]ffline"):
        download(MODEL)


def test_known_names_have_a_commit_and_others_need_one():
    """A branch that is fetched under a name; a commit that nobody has written down."""
    assert all(re.fullmatch("[0-9a-f]{40}", found.revision) for found in known().values())
    assert pinned(ADVISED) == [known()[ADVISED]]
    other = "f" * 40
    assert pinned(ADVISED, other) == [Pinned(ADVISED, other, "model")]
    assert pinned("vidore/esg_reports_v2")[0].kind == "dataset"
    assert len(pinned("vidore-v2")) == 4
    assert pinned("a/b", other, is_dataset=True) == [Pinned("a/b", other, "dataset")]
    for arguments, words in (
        (("a/b",), "a/b: no commit of it is known here; give --revision .*co/a/b/commits/main"),
        (("a/b", "main"), "--revision main: is not a whole commit hash .*can change"),
        (("a/b", "014c058"), "--revision 014c058: is not a whole commit hash"),
        (("vidore-v1", other), "--revision: vidore-v1 stands for several"),
        (("InternVL3-1B",), "InternVL3-1B: is no name on the Hub; give OWNER/NAME"),
    ):
        with pytest.raises(ConfigError, match=words):
            pinned(*arguments)
    with pytest.raises(ConfigError, match="co/datasets/a/b/commits/main"):
        pinned("a/b", is_dataset=True)


def test_a_model_is_told_with_all_settings_that_go_with_it():
    """A real model with the tiles and heads of the tiny one, which stand in the configuration."""
    in_cache = Downloaded(known()[ADVISED], "/cache/it", 1, is_in_cache=True)
    assert in_cache.settings == overrides(suited(ADVISED))
    own = {**suited(ADVISED), "backbone.path": "/mnt/it", "backbone.revision": None}
    assert Downloaded(MODEL, "/mnt/it", 1, is_in_cache=False).settings == overrides(own)
