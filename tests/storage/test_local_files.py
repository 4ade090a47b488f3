"""Whole or not at all on a disk, and nothing left by the dead."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from colintern import storage
from colintern.errors import PathError
from colintern.records import lease
from colintern.storage import local_files
from colintern.storage.process import this_process

_DIE_WHILE_WRITING = """
import os, signal, sys
from colintern import storage
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
storage.write_bytes(sys.argv[1], b"half")
"""


@pytest.mark.parametrize("folder", ["runs/run", "features/demo-12345678/pages", "out/corpus"])
def test_what_a_killed_writer_leaves_goes_with_the_next_driver(tmp_path, folder):
    """Gigabytes of half shards that pile up with every kill; a living writer's file among them."""
    path = tmp_path / folder / "shard-0.safetensors"
    killed = subprocess.run([sys.executable, "-c", _DIE_WHILE_WRITING, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = path.parent.iterdir()
    assert storage.find_files(str(tmp_path)) == []
    ours = path.with_name(local_files.temporary_name(path.name))  # as if it was being written now
    ours.write_bytes(b"")
    with lease.held(str(tmp_path / folder.rpartition("/")[0]), wait=False):
        assert not left.exists()
        assert ours.exists()


_ME = this_process()


@pytest.mark.parametrize(
    ("mark", "hours", "is_kept"),
    [
        (f"{_ME.machine}-{_ME.pid}-{_ME.started}-01234567", 1000, True),
        (f"{_ME.machine}-{_ME.pid}-1-01234567", 0, False),  # the number is used again
        (f"{_ME.machine}-{2**22 + 1}-{_ME.started}-01234567", 0, False),
        (f"{'0' * 12}-{_ME.pid}-1-01234567", 23, True),  # of another machine
        (f"{'0' * 12}-{_ME.pid}-1-01234567", 25, False),
        (f"{_ME.machine}-{_ME.pid}--01234567", 23, True),  # its start could not be told
        ("0123456789abcdef0123456789abcdef", 23, True),  # of an earlier version
        ("0123456789abcdef0123456789abcdef", 25, False),
    ],
    ids=[
        "this process",
        "a number that is used again",
        "no process",
        "another machine, 23 hours",
        "another machine, 25 hours",
        "unknown start",
        "earlier version, 23 hours",
        "earlier version, 25 hours",
    ],
)
def test_only_what_nobody_can_be_writing_is_removed(tmp_path, mark, hours, is_kept):
    """A shard of a healthy writer on another machine, removed under its hands."""
    path = tmp_path / f"shard.tmp-{mark}"
    path.write_bytes(b"half")
    then = time.time() - hours * 3600
    os.utime(path, (then, then))
    assert storage.list_files(str(tmp_path)) == storage.find_files(str(tmp_path)) == []
    storage.remove_abandoned(str(tmp_path))
    assert path.exists() == is_kept


def test_a_folder_of_a_dead_process_is_removed(tmp_path):
    """Checkpoints half written into a cache folder, one more with every kill."""
    dead = f"x.tmp-{_ME.machine}-{2**22 + 1}-1-01234567"
    living = local_files.temporary_name("x")
    for name in (dead, living, "x"):
        (tmp_path / name / "inside").mkdir(parents=True)
        (tmp_path / name / "inside" / "config.json").touch()
    (tmp_path / "x" / dead).symlink_to(tmp_path / "x" / "inside")  # what it leads to stays
    storage.remove_abandoned(str(tmp_path), deep=True)
    assert {path.name for path in tmp_path.iterdir()} == {living, "x"}
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["inside"]
    assert [path.name for path in (tmp_path / "x" / "inside").iterdir()] == ["config.json"]


def test_files_of_the_user_s_that_look_temporary_are_none(tmp_path):
    """A page that is missing without a word, or deleted, because of its file's name."""
    path = tmp_path / "report.tmp-v2.pdf"
    path.write_bytes(b"")
    os.utime(path, (0, 0))
    storage.remove_abandoned(str(tmp_path))
    assert storage.list_files(str(tmp_path)) == storage.find_files(str(tmp_path)) == [str(path)]


@pytest.fixture(params=[errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def no_hard_links(request, monkeypatch) -> None:
    """A file system without hard links, as FAT and some network and cloud drives are."""

    def link(*_) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("no_hard_links")
def test_one_creates_without_hard_links_and_nobody_sees_half(tmp_path):
    """A lease that cannot be had on such a disk ("access denied"), by two, or read while empty."""
    path, won, seen = tmp_path / "lease", [], set()
    done = threading.Event()

    def create(number: int) -> None:
        if storage.create_exclusively(str(path), str(number).encode() * 100_000):
            won.append(number)

    def read() -> None:
        while not done.is_set():
            if (content := storage.read_bytes_if_there(str(path))) is not None:
                seen.add(content)

    reader = threading.Thread(target=read)
    reader.start()
    threads = [threading.Thread(target=create, args=(number,)) for number in range(10, 26)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    assert len(won) == 1
    assert seen <= {str(won[0]).encode() * 100_000}
    assert path.read_bytes() == str(won[0]).encode() * 100_000
    assert list(tmp_path.iterdir()) == [path]


_DIE_WHILE_CREATING = """
import os, signal, sys
from pathlib import Path
from colintern import storage
def link(*_):
    raise PermissionError(1, "Operation not permitted")
os.link = link
Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
storage.create_exclusively(sys.argv[1], b"dead")
"""


@pytest.mark.usefixtures("no_hard_links")
def test_a_creator_that_was_killed_blocks_nobody(tmp_path):
    """A run that can never be started again, because a claim to its lease is never given up."""
    path = tmp_path / "lease"
    killed = subprocess.run([sys.executable, "-c", _DIE_WHILE_CREATING, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    assert storage.create_exclusively(str(path), b"next")
    storage.remove_abandoned(str(tmp_path))
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_may_not_be_written_is_still_named(tmp_path, monkeypatch):
    """A real lack of permission taken for a lack of hard links."""

    def refuse(*_) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(Path, "rename", refuse)
    path = str(tmp_path / "lease")
    with pytest.raises(PathError, match=f"{path}: access denied"):
        storage.create_exclusively(path, b"")
