"""`colintern clean` removes what nobody uses, and nothing else whatever is going on."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from colintern import storage
from colintern.errors import LeaseHeldError
from colintern.features.catalog import Snapshot
from colintern.features.store import FeatureStore
from colintern.model.backbone import read_identity
from colintern.records import lease
from colintern.runs import cleaning, loop
from colintern.runs.cleaning import NoRunsError, cleaning_lines, find_unused, remove_unused
from colintern.runs.contents import look_into
from colintern.runs.local import LocalWorkers
from colintern.runs.stores import store_targets
from colintern.storage.local_files import temporary_name
from tests.features.helpers import upload
from tests.helpers import make_corpus
from tests.local_run import NoWorkers, QuickWorkers, make_config

LATER = time.time() + 2 * 24 * 3600
# Run to its settings: `a` and `b` share both stores, `c` has its own; each trains one round.
RUNS = {"a": {}, "b": {}, "c": {"backbone_tiles": 3}}


def _config(root: Path, name: str):
    made = make_config(root, run={"name": name}, loop={"max_rounds": 1})
    tiles = RUNS[name].get("backbone_tiles", made.backbone.max_tiles)
    backbone = made.backbone.model_copy(update={"max_tiles": tiles})
    return made.model_copy(update={"backbone": backbone})


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A root with the finished runs."""
    root = tmp_path_factory.mktemp("finished")
    for name in RUNS:
        loop.run(_config(root, name), QuickWorkers())
    return root


@pytest.fixture
def root(finished, tmp_path) -> Path:
    """A copy of it to be cleaned: the root was moved, so that only names are still the same."""
    return shutil.copytree(finished / "runs", tmp_path / "runs")


def _targets(config):
    return store_targets(config, read_identity(config.backbone))


def _stores(root: Path) -> set[str]:
    return {store.name for store in look_into(str(root)).stores}


def _read_all(root: Path, name: str) -> int:
    """The tokens of all that a run has recorded of its stores, which are read."""
    (run,) = (run for run in look_into(str(root)).runs if run.path.endswith(f"/{name}"))
    total = 0
    for use in run.uses.values():
        snapshot = Snapshot(use.manifests, {})
        store = FeatureStore(str(root / "features" / use.name), snapshot.manifests)
        for items in (store.pages, store.queries):
            total += len(items.read(range(len(items)))[0])
    return total


def _manifest(root: Path, name: str) -> str:
    """The hash of the manifest of the training pages that a run has recorded."""
    (run,) = (run for run in look_into(str(root)).runs if run.path.endswith(f"/{name}"))
    return run.uses["train"].manifests["pages"]


@pytest.mark.parametrize("kept", ["a", "b", "c", "ab", "ac", "bc", "abc"])
def test_what_a_run_uses_is_never_removed(root, kept):
    """A run that has lost its features, because another one that shared them is gone."""
    whole = {name: _read_all(root, name) for name in kept}
    for name in RUNS.keys() - set(kept):
        shutil.rmtree(root / name)
    before = _stores(root)
    _, removed = remove_unused(str(root), now=LATER)
    gone = {Path(finding.path).name for finding in removed}
    assert _stores(root) == before - gone
    assert len(gone) == (0 if "c" in kept and kept != "c" else 2)
    assert {name: _read_all(root, name) for name in kept} == whole
    assert min(whole.values()) > 500
    assert not [path for path in (root / "features").iterdir() if path.name in gone]
    assert remove_unused(str(root), now=LATER)[1] == []


def test_a_finished_run_stays_done(finished, tmp_path):
    """A file that only the next `colintern run` misses."""
    root = shutil.copytree(finished, tmp_path / "moved") / "runs"
    shutil.rmtree(root / "c")
    assert remove_unused(str(finished / "runs"), now=LATER)[1] == []
    loop.run(_config(finished, "a"), NoWorkers())


def test_without_yes_and_without_runs_nothing_is_removed(root):
    """A features root of its own, where every store looks unused."""
    features = str(root / "features")
    before = sorted(root.rglob("*"))
    found = find_unused(features, now=LATER)
    assert len(found.unused) == 4
    assert found.num_runs == 0
    with pytest.raises(NoRunsError, match=r"name the run\.root of the runs with --runs"):
        remove_unused(features, now=LATER)
    assert find_unused(features, [str(root)], now=LATER).unused == []
    assert remove_unused(features, [str(root)], now=LATER)[1] == []
    assert sorted(root.rglob("*")) == before
    (*_, told, last) = cleaning_lines(found)
    assert "--runs" in told
    assert last.endswith("in use by no run; remove them with --yes")


def _reasons(found: cleaning.Cleaning) -> set[str]:
    assert found.unused == []
    return {finding.reason.removeprefix(found.root) for finding in found.left}


def test_what_may_be_of_use_is_left(root, tmp_path):
    """A run that was killed before it recorded its store, or that is just beginning."""
    shutil.rmtree(root / "c")
    (left,) = _reasons(find_unused(str(root)))
    assert left == "written less than a day ago"
    with lease.held(str(root / "new"), wait=False):  # has no run.json yet
        (left,) = _reasons(find_unused(str(root), now=LATER))
        assert left == "/new: a run may be beginning there"
        assert remove_unused(str(root), now=LATER)[1] == []
    record = root / "a" / "records" / "encode-test.json"
    record.rename(tmp_path / "record.json")
    (unused,) = find_unused(str(root), now=LATER).unused
    assert Path(unused.path).name.startswith("train-")
    (left,) = find_unused(str(root), now=LATER).left
    assert Path(left.path).name.startswith("test-")
    assert "has not recorded which store" in left.reason
    (root / "b" / "run.json").write_text('{"config": {"key_of_tomorrow": 1}}')
    (one, other) = _reasons(find_unused(str(root), now=LATER))
    assert "cannot be read by this version" in one + other


def test_a_run_in_another_root_is_found_by_its_note(finished, tmp_path):
    """Features that a run elsewhere trains on, removed because its root was not named."""
    features = {"root": str(tmp_path / "features")}
    shown = make_config(finished, run={"root": str(tmp_path / "here")}, features=features)
    elsewhere = shown.run.model_copy(update={"root": str(tmp_path / "elsewhere")})
    tiles = shown.backbone.model_copy(update={"max_tiles": 3})
    other = shown.model_copy(update={"run": elsewhere, "backbone": tiles})
    for config in (shown, other):
        loop.encode(config, LocalWorkers())
    cleaning, removed = remove_unused(str(tmp_path / "features"), now=LATER)
    assert (cleaning.num_runs, cleaning.unused, removed, cleaning.unknown) == (2, [], [], [])
    shutil.rmtree(tmp_path / "elsewhere")
    lost = find_unused(str(tmp_path / "features"), now=LATER).unused
    assert {finding.path for finding in lost} == {t.path for t in _targets(other).values()}


def test_a_store_that_a_driver_works_on_is_left(root):
    """A shard removed under the hands of an encoder, or a lease taken from it."""
    shutil.rmtree(root / "c")
    unused = [finding.path for finding in find_unused(str(root), now=LATER).unused]
    with lease.held(unused[0], wait=False) as held:
        found, removed = remove_unused(str(root), now=LATER)
        held.check()
    assert [finding.path for finding in removed] == unused[1:]
    assert [(finding.path, finding.reason) for finding in found.left] == [
        (unused[0], "a driver is at work on it")
    ]
    assert FeatureStore(unused[0]).pages.read([0])


def test_a_run_that_begins_during_the_cleaning_keeps_its_store(root, monkeypatch):
    """A store that was unused when it was listed, and recorded when it was removed."""
    aside = shutil.move(root / "c", root.parent / "c")
    took = cleaning._is_taken

    def begin(store, leases) -> bool:
        if not (root / "c").exists():
            shutil.move(aside, root / "c")
        return took(store, leases)

    monkeypatch.setattr(cleaning, "_is_taken", begin)
    assert remove_unused(str(root), now=LATER)[1] == []
    assert _read_all(root, "c") > 500


def test_a_store_is_not_encoded_while_it_is_removed(root, monkeypatch):
    """An encoder that finds the record there, and then the shards gone."""
    shutil.rmtree(root / "c")
    refused = []
    delete = storage.delete

    def try_to_encode(path: str) -> None:
        if path.endswith("/record.json"):
            with pytest.raises(LeaseHeldError), lease.held(path.rpartition("/")[0], wait=False):
                pass
            refused.append(path)
        delete(path)

    monkeypatch.setattr(storage, "delete", try_to_encode)
    assert len(remove_unused(str(root), now=LATER)[1]) == len(refused) == 2


def test_a_cleaning_that_is_killed_is_finished_by_the_next(root, monkeypatch):
    """Half a store that passes for a finished one, or that is never listed again."""
    shutil.rmtree(root / "c")
    unused = {finding.path for finding in find_unused(str(root), now=LATER).unused}
    delete, deleted = storage.delete, []

    def die(path: str) -> None:
        if path.endswith((".safetensors", "record.json")):
            if len(deleted) == 3:
                raise KeyboardInterrupt
            deleted.append(path)
        delete(path)

    monkeypatch.setattr(storage, "delete", die)
    with pytest.raises(KeyboardInterrupt):
        remove_unused(str(root), now=LATER)
    monkeypatch.setattr(storage, "delete", delete)
    assert deleted[0].endswith("record.json")
    again = find_unused(str(root), now=LATER).unused
    assert again
    assert {finding.path for finding in again} <= unused
    remove_unused(str(root), now=LATER)
    assert not [file for path in unused for file in Path(path).rglob("*") if file.is_file()]
    assert _read_all(root, "a") > 500


def test_of_a_store_that_has_grown_all_that_is_recorded_stays(tmp_path):
    """The older of two runs, whose manifest is not the newest one any more."""
    root, runs = tmp_path, tmp_path / "runs"
    loop.run(_config(root, "a"), QuickWorkers())
    whole = _read_all(runs, "a")
    shutil.rmtree(root / "train")
    make_corpus(root / "train", num_pages=30, num_queries=40)
    loop.run(_config(root, "b"), QuickWorkers())
    assert _read_all(runs, "b") > whole
    assert remove_unused(str(runs), now=LATER)[1] == []
    (store,) = (path for path in (runs / "features").iterdir() if path.name.startswith("train-"))
    shard = next(store.glob("pages/shard-*"))
    orphan = shard.with_name("shard-00099-0123abcd.safetensors")
    shutil.copy(shard, orphan)
    storage.write_bytes(f"{orphan}.damaged", b"")
    assert find_unused(str(runs)).unused == []  # perhaps of an encoding that was killed
    _, (removed,) = remove_unused(str(runs), now=LATER)
    assert [Path(state.path) for state in removed.files] == [orphan, Path(f"{orphan}.damaged")]
    assert _read_all(runs, "a") == whole
    shutil.copy(shard, orphan)
    lost = store / "pages" / f"manifest-{_manifest(runs, 'a')[:16]}.parquet"
    lost.rename(store / "aside")
    assert find_unused(str(runs), now=LATER).unused == []  # whose shard it was is not known now
    (store / "aside").rename(lost)
    orphan.unlink()
    old = {path.name for path in store.glob("pages/manifest-*")}
    shutil.rmtree(runs / "a")
    _, (removed,) = remove_unused(str(runs), now=LATER)
    files = [Path(state.path) for state in removed.files]
    assert {path.name for path in files if path.parent.name == "pages"} < old
    assert all(path.name.startswith("manifest-") for path in files)
    assert _read_all(runs, "b") > whole
    loop.run(_config(root, "b"), NoWorkers())


_KILLED = """
import os, sys
from colintern import storage
os.fsync = lambda _: os._exit(9)
storage.write_bytes(sys.argv[1], b"half a shard")
"""


def test_only_files_that_are_known_are_removed(root):
    """Notes of the user's, or a file that another process is just writing."""
    shutil.rmtree(root / "c")
    store = Path(find_unused(str(root), now=LATER).unused[0].path)
    subprocess.run([sys.executable, "-c", _KILLED, str(root / "a" / "x.json")], check=False)
    (half,) = (root / "a").glob("x.json.tmp-*")
    half_folder = root / half.name.replace("x.json", "checkpoint")  # as of random weights
    half_folder.mkdir()
    (half_folder / "config.json").write_text("{}")
    ours = root / "a" / temporary_name("y.json")
    (store / "pages" / "limits.json").write_text("{}")  # of an encoding that was given up
    notes = [store / "notes.txt", store / "pages" / "shard-notes.txt", root / "notes.txt"]
    for path in (ours, *notes):
        path.write_bytes(b"mine")
    found, removed = remove_unused(str(root), now=LATER)
    assert str(half) in [finding.path for finding in removed]
    assert not half.exists()
    assert not (half_folder / "config.json").exists()
    assert all(path.read_bytes() == b"mine" for path in (ours, *notes))
    assert [state.path for state in found.unknown] == [str(root / "notes.txt")]
    assert sorted(path.name for path in store.rglob("*") if path.is_file()) == [
        "notes.txt",
        "shard-notes.txt",
    ]


def test_a_root_on_s3_is_cleaned(root, bucket, s3_server):
    """A listing for every folder; or what only a disk can remove."""
    shutil.rmtree(root / "c")
    url = upload(root, f"{bucket}/runs")
    s3_server.asked.clear()
    assert len(find_unused(url, now=LATER).unused) == 2
    listings = [path for method, path in s3_server.asked if path.count("/") < 3]
    assert len(listings) <= 3
    assert len(s3_server.asked) < 30
    _, removed = remove_unused(url, now=LATER)
    assert len(removed) == 2
    left = storage.find_files(url)
    assert not [path for path in left if path.startswith(tuple(one.path for one in removed))]
    local = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    gone = {state.path.removeprefix(f"{url}/") for one in removed for state in one.files}
    assert {path.removeprefix(f"{url}/") for path in left} == local - gone
