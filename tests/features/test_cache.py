"""What a machine keeps of remote stores: bounded, shared, and never a reason to fail."""

import io
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from colintern.features.cache import Key, NodeCache, node_cache


@pytest.fixture(autouse=True)
def _disk_with_room(monkeypatch):
    """Whatever disk the tests run on."""
    roomy = SimpleNamespace(total=10**12, free=9 * 10**11)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: roomy)


def _key(number: int) -> Key:
    return Key("s3://bucket/shard", "9 tag", f"{number}")


def _data(number: int) -> bytes:
    return number.to_bytes(2, "big") * 500


def _sizes(folder: Path) -> int:
    """The bytes of the entries."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "size")
    return sum(path.stat().st_size for path in files)


def _kept(cache: NodeCache, numbers: range) -> list[int]:
    found = {number: cache.get(_key(number)) for number in numbers}
    assert all(data.tobytes() == _data(n) for n, data in found.items() if data is not None)
    return [number for number, data in found.items() if data is not None]


def test_an_entry_that_one_read_does_not_give_is_whole(tmp_path, monkeypatch):
    """An entry above 2 GiB, of which Linux gives no more at once, taken for a damaged one."""

    class ReadsLittle(io.FileIO):
        def readinto(self, room):
            return super().readinto(memoryview(room)[:7])

    cache = NodeCache(str(tmp_path), 10_000)
    cache.put(_key(1), _data(1))
    cache.put(_key(2), b"")
    monkeypatch.setattr(Path, "open", lambda path, mode, buffering: ReadsLittle(path, mode))
    assert _kept(cache, range(2)) == [1]
    found = cache.get(_key(2))
    assert found is not None
    assert len(found) == 0


def test_what_was_not_read_for_longest_goes_first(tmp_path):
    """A disk that fills; or a cache that drops what every step reads."""
    cache = NodeCache(str(tmp_path / "c"), 10_000)
    for number in range(10):
        cache.put(_key(number), _data(number))
    assert _kept(cache, range(10)) == list(range(10))
    assert cache.get(_key(0)) is not None  # now read last
    for number in range(10, 40):
        cache.put(_key(number), _data(number))
        assert cache.get(_key(0)) is not None
        assert _sizes(tmp_path / "c") <= 10_000
    kept = _kept(cache, range(40))
    assert kept[0] == 0
    assert kept[1:] == list(range(kept[1], 40))
    assert len(kept) >= 9
    cache.put(_key(99), bytes(10_001))  # more than there may be
    assert cache.get(_key(99)) is None
    assert _kept(cache, range(40)) == kept


def test_a_smaller_bound_holds_from_the_next_entry_on(tmp_path):
    """`features.cache_bytes` lowered on a run, with the disk as full as before."""
    before = NodeCache(str(tmp_path), 10_000)
    for number in range(10):
        before.put(_key(number), _data(number))
    NodeCache(str(tmp_path), 3_000).put(_key(10), _data(10))
    assert _sizes(tmp_path) <= 3_000
    assert before.get(_key(10)) is not None


def test_many_that_share_it_get_their_bytes_and_keep_the_bound(tmp_path):
    """Half an entry that another process reads; a bound that each process has for itself."""

    def work(seed: int) -> None:
        cache, draw = NodeCache(str(tmp_path), 20_000), random.Random(seed)
        for _ in range(150):
            number = draw.randrange(60)
            data = cache.get(_key(number))
            if data is None:
                cache.put(_key(number), _data(number))
            elif data.tobytes() != _data(number):
                wrong.append(number)

    wrong: list[int] = []
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 10_000 < _sizes(tmp_path) <= 20_000 + 4 * 1_000
    assert list((tmp_path / "writing").iterdir()) == []


_KILLED = """
import os, sys
from pathlib import Path
from colintern.features.cache import Key, NodeCache
Path.replace = lambda *_: os._exit(9)
NodeCache(sys.argv[1], 10_000).put(Key("s3://bucket/shard", "9 tag", "1"), bytes(1000))
"""


def test_a_process_that_is_killed_leaves_nothing_broken(tmp_path):
    """Half an entry, or bytes that nobody ever removes."""
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    assert done.returncode == 9
    assert len(list((tmp_path / "writing").iterdir())) == 1
    cache = NodeCache(str(tmp_path), 10_000)
    assert cache.get(_key(1)) is None
    for number in range(20):
        cache.put(_key(number), _data(number))
    assert list((tmp_path / "writing").iterdir()) == []
    assert len(_kept(cache, range(20))) >= 9


def test_a_count_that_is_lost_is_made_again(tmp_path):
    """A count of zero over a full folder, which then grows for ever."""
    cache = NodeCache(str(tmp_path), 10_000)
    for number in range(9):
        cache.put(_key(number), _data(number))
    for content in (b"", b"12", b"no number at all at all"):
        (tmp_path / "size").write_bytes(content)
        for number in range(20, 24):
            cache.put(_key(number), _data(number))
        assert _sizes(tmp_path) <= 10_000


def test_a_folder_that_cannot_be_used_costs_speed_only(tmp_path, caplog):
    """A training that ends because of a cache; a line for every batch."""
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        cache = NodeCache(str(folder), 10_000)
        for _ in range(3):
            cache.put(_key(1), _data(1))
            assert cache.get(_key(1)) is None
    told = [line for line in caplog.messages if "read without the cache" in line]
    assert len(told) == 2
    assert "COLINTERN_CACHE" in told[0]


def test_a_disk_that_fills_takes_the_cache_back(tmp_path, monkeypatch, caplog):
    """Ray, which fails tasks on a disk that is 95 % full; a write that fills the disk."""
    cache = NodeCache(str(tmp_path), 10_000)
    for number in range(8):
        cache.put(_key(number), _data(number))
    room = 16_000  # of 50,000 bytes, as others have filled the disk

    def usage(_) -> SimpleNamespace:
        return SimpleNamespace(total=50_000, free=room - _sizes(tmp_path))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    cache.put(_key(9), _data(9))
    assert 4_000 <= _sizes(tmp_path) <= 6_000
    assert cache.get(_key(9)) is not None
    room = 9_000
    cache.put(_key(10), _data(10))
    assert _sizes(tmp_path) == 0
    assert ["nearly full" in line for line in caplog.messages] == [True]


def test_the_folder_is_the_environments(monkeypatch, tmp_path):
    """A cache on the small disk of a machine, although another one was named."""
    node_cache.cache_clear()
    monkeypatch.setenv("COLINTERN_CACHE", str(tmp_path / "here"))
    cache = node_cache(5_000)
    assert cache is not None
    cache.put(_key(1), _data(1))
    assert _sizes(tmp_path / "here") == 1_000
    assert os.listdir(tmp_path) == ["here"]
    assert node_cache(0) is None
    node_cache.cache_clear()
