"""Features of a store on S3 are those of the store, with few requests, and fewer with a cache."""

import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from colintern import storage
from colintern.errors import DamagedShardError, StorageError
from colintern.features.cache import node_cache
from colintern.features.codec import StoredTokens
from colintern.features.remote import read_headers
from colintern.features.shard_file import read_header, write_shard
from colintern.features.store import FeatureStore
from tests.features.helpers import made_up_store, upload

CACHE_BYTES = 10**6
ORDER = [17, 0, 5, 5, 11, 7, 14]  # of 18 pages in 6 shards, all of which it touches


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of an empty cache of this machine."""
    monkeypatch.setenv("COLINTERN_CACHE", str(tmp_path / "cache"))
    roomy = SimpleNamespace(total=10**12, free=9 * 10**11)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: roomy)  # whatever disk this runs on
    node_cache.cache_clear()
    yield tmp_path / "cache" / "features"
    node_cache.cache_clear()


@pytest.fixture
def here(tmp_path) -> FeatureStore:
    return FeatureStore(str(made_up_store(tmp_path / "store", 6)))


@pytest.fixture
def there(here, bucket) -> str:
    return upload(Path(here.path), f"{bucket}/store")


def _asked(s3_server) -> list[str]:
    """The requests for shards since the last call."""
    asked = [path for _, path in s3_server.asked if path.endswith(".safetensors")]
    s3_server.asked.clear()
    return asked


def _entries(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "size"]


def _same(store: FeatureStore, expected: FeatureStore) -> bool:
    (found, lengths), (wanted, same) = store.pages.read(ORDER), expected.pages.read(ORDER)
    assert len(found) == sum(lengths) > 30
    return lengths == same and torch.equal(found.values_TK, wanted.values_TK)


def test_what_was_read_once_comes_from_this_machine(here, there, cache, s3_server):
    """Every epoch, and every process, that asks the object store again."""
    assert _same(FeatureStore(there, cache_bytes=CACHE_BYTES), here)
    s3_server.asked.clear()
    other = FeatureStore(there, cache_bytes=CACHE_BYTES)
    assert _same(other, here)
    assert _same(other, here)
    assert _asked(s3_server) == []
    assert torch.equal(other.queries.read([3])[0].values_TK, here.queries.read([3])[0].values_TK)
    assert len(_asked(s3_server)) == 2  # its header and its bytes
    assert len(_entries(cache)) == 6 + 6 + 2


def test_without_a_cache_nothing_is_kept(here, there, cache):
    """A disk that fills although `features.cache_bytes` is 0, or with copies of a local store."""
    assert _same(FeatureStore(there), here)
    assert _same(FeatureStore(here.path, cache_bytes=CACHE_BYTES), here)
    assert not cache.exists()


def test_a_damaged_entry_is_read_anew(here, there, cache, s3_server):
    """A bad sector of a spot machine that marks good shards as damaged, or is trained on."""
    store = FeatureStore(there, cache_bytes=CACHE_BYTES)
    assert _same(store, here)
    for path in _entries(cache):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    again = FeatureStore(there, cache_bytes=CACHE_BYTES)
    s3_server.asked.clear()
    assert _same(again, here)
    assert len(_asked(s3_server)) == 12
    for path in _entries(cache):
        path.write_bytes(path.read_bytes()[:-1])
    assert _same(FeatureStore(there, cache_bytes=CACHE_BYTES), here)
    _asked(s3_server)
    assert _same(FeatureStore(there, cache_bytes=CACHE_BYTES), here)
    assert _asked(s3_server) == []
    assert storage.find_files(there, ".damaged") == []


def test_a_shard_that_was_written_again_never_gives_old_bytes(here, there, cache, tmp_path):
    """Features of another backbone or device under the same name, of the same size."""
    assert _same(FeatureStore(there, cache_bytes=CACHE_BYTES), here)
    others = FeatureStore(str(made_up_store(tmp_path / "others", 6, seed=1)))
    upload(Path(others.path), there)
    store = FeatureStore(there, cache_bytes=CACHE_BYTES)
    assert _same(store, others)
    assert not _same(store, here)


def test_a_damaged_shard_is_told_and_marked_and_never_kept(here, there, cache):
    """Features that were changed on S3, trained on without a word, or kept by every machine."""
    path = f"{there}/pages/shard-00003.safetensors"
    data = bytearray(storage.read_bytes(path))
    data[-1] ^= 1
    storage.write_bytes(path, bytes(data))
    for _ in range(2):
        with pytest.raises(DamagedShardError, match=r"shard-00003.*another checksum"):
            FeatureStore(there, cache_bytes=CACHE_BYTES).pages.read(ORDER)
    assert storage.exists(path + ".damaged")
    assert _same(FeatureStore(upload(Path(here.path), there), cache_bytes=CACHE_BYTES), here)


def test_shards_are_read_at_one_time(bucket, s3_server, tmp_path):
    """A batch that waits for one shard after the other, or for ten connections: 640 answers."""
    num_shards = 16
    here = FeatureStore(str(made_up_store(tmp_path / "many", num_shards)))
    store = FeatureStore(upload(Path(here.path), f"{bucket}/many"))
    meeting, met = threading.Barrier(num_shards, timeout=60), []

    def wait(method: str, _: str) -> None:
        if method == "GET":
            met.append(meeting.wait())

    rows = list(range(0, 3 * num_shards, 3))
    with s3_server.before(wait):
        found, lengths = store.pages.read(rows)
    assert torch.equal(found.values_TK, here.pages.read(rows)[0].values_TK)
    assert len(lengths) == num_shards
    assert len(met) == 2 * num_shards  # all headers, then all features


def test_a_long_header_is_read_to_its_end(bucket):
    """A shard of many queries, whose header is cut off where the first request ends."""
    features = {
        f"{number:064x}": StoredTokens(torch.ones(1, 2).bfloat16()) for number in range(900)
    }
    path = f"{bucket}/store/pages/shard-0.safetensors"
    write_shard(path, features, {}, "float32")
    (state,) = storage.list_states(f"{bucket}/store/pages")
    assert read_headers([state], None) == [read_header(path)]
    assert len(read_header(path)) > 2**17


@pytest.mark.parametrize("opened_first", [False, True])
def test_of_many_shards_the_one_that_is_gone_is_named(there, opened_first):
    """`Not found`, for a store of ten thousand shards."""
    store = FeatureStore(there)
    lost = f"{there}/pages/shard-00003.safetensors"
    if opened_first:
        store.pages.read(ORDER)
    storage.delete(lost)
    with pytest.raises(StorageError, match=lost):
        store.pages.read(ORDER)
    storage.write_bytes(lost, b"")
    with pytest.raises(DamagedShardError, match=lost):
        FeatureStore(there).pages.read(ORDER)
