"""A shard that is lost or damaged is named, never read as features, and made again."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from colintern import records, storage
from colintern.errors import DamagedShardError
from colintern.features.damage import recorded_sizes
from colintern.features.finish import finish_store
from colintern.features.planned import PLAN
from colintern.features.shard_file import ShardFile, write_shard
from colintern.features.store import FeatureStore
from colintern.features.whole import is_whole
from tests.features.helpers import encoded, planned
from tests.helpers import make_corpus, make_store, stored

Damage = Callable[[Path], None]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1_000])


def _zeroed(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1_000] + bytes(1_000))


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def _without_header(path: Path) -> None:
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


def _with_a_huge_header(path: Path) -> None:
    path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])


DAMAGES = [Path.unlink, _cut, _zeroed, _flipped, _without_header, _with_a_huge_header]


def _pages(path: str, page_ids: list[str]) -> tuple[torch.Tensor, list[int]]:
    pages = FeatureStore(path).pages
    tokens, lengths = pages.read(pages.find(page_ids))
    return tokens.decoded(), lengths


def _read_all(store: Path, part: str) -> torch.Tensor:
    items = getattr(FeatureStore(str(store)), part)
    return items.read(range(len(items)))[0].decoded()


@pytest.fixture(scope="module")
def grown(tmp_path_factory, backbone) -> tuple[Path, list[str]]:
    """A root with a dataset that was encoded and has grown since, and its first shards."""
    root = tmp_path_factory.mktemp("grown")
    make_corpus(root / "set", num_pages=20, num_queries=200)
    first = encoded(root, backbone)
    make_corpus(root / "set", num_pages=26, num_queries=220)
    encoded(root, backbone)
    return root, first


@pytest.mark.parametrize("part", ["pages", "queries"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_lost_or_damaged_shard_is_named_and_made_again(grown, tmp_path, backbone, damage, part):
    """Zeroed bytes read as features; a store that is "finished" without a shard, for good."""
    root, first = grown
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    plan, _ = planned(tmp_path)
    store = Path(plan.target.path)
    assert not plan.missing()
    before = {path: path.read_bytes() for path in (store / part).iterdir()}
    shard = next(path for path in sorted(store.glob(f"{part}/*.s*")) if path.name in first)
    damage(shard)
    with pytest.raises(DamagedShardError, match=rf"{part}/{shard.name}.*(run|again)"):
        _read_all(store, part)
    assert not planned(tmp_path)[0].target.is_finished()
    assert [Path(path).name for path in planned(tmp_path)[0].lost()] == [shard.name]
    assert encoded(tmp_path, backbone) == [shard.name]
    assert {path: path.read_bytes() for path in (store / part).iterdir()} == before
    assert planned(tmp_path)[0].target.is_finished()


@pytest.mark.parametrize("damage", [_zeroed, _flipped])
def test_a_shard_that_was_written_to_is_looked_at_when_a_run_starts(tmp_path, backbone, damage):
    """An `encode` that finds nothing to do, and a training that then fails in its third hour."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=5)
    encoded(tmp_path, backbone)
    store = Path(planned(tmp_path)[0].target.path)
    shard = min(store.glob("pages/*.s*"))
    before = shard.read_bytes()
    damage(shard)
    later = (store / "record.json").stat().st_mtime + 60
    os.utime(shard, (later, later))
    assert not planned(tmp_path)[0].target.is_finished()
    assert encoded(tmp_path, backbone) == [shard.name]
    assert shard.read_bytes() == before


def test_a_store_without_its_record_or_its_manifests_is_made_whole(tmp_path, backbone):
    """Encoding that fails for ever on a path that an older manifest names."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=9)
    everything = encoded(tmp_path, backbone)
    store = Path(planned(tmp_path)[0].target.path)
    before = {path: path.read_bytes() for path in store.glob("*/*")}
    shard = min(store.glob("pages/*.s*"))
    for lost in (["record.json"], ["record.json", f"pages/{PLAN}"], ["pages/manifest.parquet"]):
        for name in [*lost, f"pages/{shard.name}"]:
            (store / name).unlink()
        assert encoded(tmp_path, backbone) == [shard.name]
        assert {path: path.read_bytes() for path in store.glob("*/*")} == before
    for name in ("pages/manifest-*", "bad_pages.jsonl"):
        for path in store.glob(name):
            path.unlink()
        assert not planned(tmp_path)[0].target.is_finished()
        assert encoded(tmp_path, backbone) == []
        assert {path: path.read_bytes() for path in store.glob("*/*")} == before
    for path in store.glob("pages/*.parquet"):
        path.write_bytes(bytes(path.stat().st_size))
    (store / "record.json").unlink()
    assert encoded(tmp_path, backbone) == []
    assert before.items() <= {path: path.read_bytes() for path in store.glob("*/*")}.items()
    assert len(everything) > 2


def _as_written_by_an_earlier_version(store: Path) -> None:
    """No checksums, no sizes, no plan, and only the newest manifests."""
    for path in store.glob("*/*.safetensors"):
        save_file(load_file(path), path)
    for path in [*store.glob("*/manifest-*"), *store.glob(f"*/{PLAN}")]:
        path.unlink()
    record = records.read_record(str(store / "record.json"))
    assert record is not None
    outputs = [f"{part}/manifest.parquet" for part in ("pages", "queries")]
    records.write_record(
        str(store / "record.json"), str(store), record.inputs, outputs, records.now()
    )


def test_a_store_of_an_earlier_version_is_read_and_mended(tmp_path, backbone):
    """Shards without checksums refused; or one that is lost among them, given up."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=9)
    encoded(tmp_path, backbone)
    target = planned(tmp_path)[0].target
    store = Path(target.path)
    features = _pages(target.path, ["p003", "p011"])[0]
    _as_written_by_an_earlier_version(store)
    assert target.is_finished()
    assert torch.equal(_pages(target.path, ["p003", "p011"])[0], features)
    gone, cut, *_ = sorted(store.glob("pages/*.s*"))
    gone.unlink()
    with pytest.raises(DamagedShardError, match=gone.name):
        FeatureStore(target.path)
    assert not target.is_finished()
    assert encoded(tmp_path, backbone) == [gone.name]
    assert target.is_finished()
    _as_written_by_an_earlier_version(store)
    _cut(cut)
    with pytest.raises(DamagedShardError, match=rf"{cut.name}: has .* bytes instead of"):
        _read_all(store, "pages")
    assert encoded(tmp_path, backbone) == [cut.name]
    assert torch.equal(_pages(target.path, ["p003", "p011"])[0], features)


def test_what_a_lost_shard_had_of_pages_that_are_gone_is_given_up(tmp_path, backbone):
    """A store that waits for ever for pages which nobody has any more."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=5)
    encoded(tmp_path, backbone)
    make_corpus(tmp_path / "set", num_pages=17, num_queries=5)
    store = Path(planned(tmp_path)[0].target.path)
    last = max(store.glob("pages/*.s*"))
    last.unlink()
    encoded(tmp_path, backbone)
    assert not last.exists()
    assert len(FeatureStore(str(store)).pages.ids.to_pylist()) == 17
    assert _read_all(store, "pages").isfinite().all()


def test_others_read_on_while_a_shard_is_marked_and_made_again(tmp_path, backbone):
    """A second run that is ended by what the first one has found."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=5)
    encoded(tmp_path, backbone)
    store = Path(planned(tmp_path)[0].target.path)
    items = FeatureStore(str(store)).pages
    features = items.read(range(len(items)))[0].decoded()
    shard = min(store.glob("pages/*.s*"))
    Path(f"{shard}.damaged").touch()  # by a worker whose memory had failed
    assert torch.equal(_read_all(store, "pages"), features)
    assert encoded(tmp_path, backbone) == [shard.name]
    assert torch.equal(items.read(range(len(items)))[0].decoded(), features)
    assert not Path(f"{shard}.damaged").exists()


def test_a_store_is_not_finished_with_a_shard_that_went_meanwhile(tmp_path, backbone):
    """A record of a store that lacks a shard."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=5)
    encoded(tmp_path, backbone)
    plan, identity = planned(tmp_path)
    record = plan.target.record()
    assert record is not None
    sizes = recorded_sizes(record)
    assert sizes == {
        path.removeprefix(f"{plan.target.path}/"): storage.size_of(path)
        for path in plan.shard_paths()
    }
    os.unlink(plan.shard_paths()[1])
    with pytest.raises(DamagedShardError, match=plan.shard_paths()[1]):
        finish_store(plan, identity, 0.0, records.now())


def test_opening_a_store_on_s3_takes_no_request_for_each_shard(tmp_path, bucket, s3_server):
    """A thousand shards asked for their sizes one by one, by every worker of every stage."""
    corpus = make_store(make_corpus(tmp_path / "set", 8, 8), tmp_path / "store")
    for part in ("pages", "queries"):
        for number in range(1, 30):
            copy = tmp_path / "store" / part / f"shard-{number}.safetensors"
            shutil.copy(tmp_path / "store" / part / "shard-0.safetensors", copy)
    for path in storage.find_files(corpus.store):
        name = path.removeprefix(corpus.store)
        storage.write_bytes(f"{bucket}/store{name}", storage.read_bytes(path))
    sizes = [
        records.describe(f"{bucket}/store", f"{part}/shard-{number}.safetensors")
        for part in ("pages", "queries")
        for number in range(30)
    ]
    outputs = [replace(output, sha256=None) for output in sizes]
    record = records.record_outputs(f"{bucket}/store/record.json", {}, outputs, records.now())
    asked = len(s3_server.asked)
    FeatureStore(f"{bucket}/store")
    assert is_whole(f"{bucket}/store", record)
    assert len(s3_server.asked) - asked < 20
    storage.delete(f"{bucket}/store/pages/shard-7.safetensors")
    assert not is_whole(f"{bucket}/store", record)


def test_the_same_items_give_the_same_bytes(tmp_path):
    """Checksums in an order of their own: a shard that is made again differs."""
    features = stored({name: torch.arange(8.0).view(2, 4).half() for name in "dacb"})
    for name in ("a", "b"):
        write_shard(str(tmp_path / name), features, {}, "float32")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    turned = dict(reversed(features.items()))
    write_shard(str(tmp_path / "c"), turned, {}, "float32")
    assert (tmp_path / "c").read_bytes() == (tmp_path / "a").read_bytes()
    ShardFile(str(tmp_path / "a")).check()
