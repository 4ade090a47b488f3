"""Two drivers never work on one folder."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from colintern import log, storage
from colintern.errors import LeaseHeldError, LeaseLostError, NonFiniteError, StorageError
from colintern.records import lease
from colintern.storage.process import host, this_process

_HOUR = 3600.0


class _Clock:
    """Time that passes only when somebody sleeps; stands in for the module `time` of the lease."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        due = [do for at, do in self._due if at <= self.now]
        self._due = [(at, do) for at, do in self._due if at > self.now]
        for do in due:
            do()

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something when so much time has passed."""
        self._due.append((self.now + seconds, do))


@pytest.fixture
def clock(monkeypatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(lease, "time", clock)
    return clock


class _Foreign:
    """A driver on another machine, whose clock is `ahead` of ours; of an earlier version.

    Args:
        every: renews its lease after so many seconds; None for one that is dead.
    """

    def __init__(self, folder: Path, clock: _Clock, ahead: float = 0, every: float | None = None):
        self.path = folder / "lease-000001.json"
        self._clock, self._ahead, self._every = clock, ahead, every
        self._beat()

    def _beat(self) -> None:
        now = self._clock.time() + self._ahead
        _write(self.path, owner="foreign", host="elsewhere", pid=1, heartbeat=now, expiry=now + 60)
        if self._every:
            self._clock.after(self._every, self._beat)

    def finish(self) -> None:
        self._every = None
        self._clock.after(0, self.path.unlink)


def _write(path: Path, **content) -> None:
    path.write_text(json.dumps(content))


def _content(folder: Path) -> dict:
    (path,) = folder.glob("lease-*.json")
    return json.loads(path.read_text())


def test_a_second_driver_is_told_who_holds_the_run(tmp_path):
    """Two drivers that write the same run."""
    second = lease.held(str(tmp_path), wait=False)
    with (
        lease.held(str(tmp_path), wait=False),
        pytest.raises(LeaseHeldError, match="another driver"),
        second,
    ):
        pass
    with lease.held(str(tmp_path), wait=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_driver_waits_for_a_store(tmp_path):
    """A store encoded twice at the same time."""
    order = []

    def second():
        with lease.held(str(tmp_path), wait=True, on_wait=lambda _: order.append("waits")):
            order.append("second")

    with lease.held(str(tmp_path), wait=True):
        thread = threading.Thread(target=second)
        thread.start()
        while not order:
            thread.join(0.05)
        order.append("first done")
    thread.join()
    assert order == ["waits", "first done", "second"]


@pytest.mark.parametrize("ahead", [-_HOUR, -61, 0, _HOUR])
@pytest.mark.parametrize("wait", [False, True])
def test_a_vanished_driver_is_taken_over_after_the_lease_s_time(tmp_path, clock, ahead, wait):
    """A killed run that can never be started again, or blocks for an hour by its own clock."""
    _Foreign(tmp_path, clock, ahead)
    began = clock.now
    with lease.held(str(tmp_path), wait=wait):
        assert 60 <= clock.now - began < 63
        assert [path.name for path in tmp_path.iterdir()] == ["lease-000002.json"]


@pytest.mark.parametrize("ahead", [-_HOUR, -61, 0, _HOUR])
def test_a_driver_elsewhere_that_renews_is_not_taken_over(tmp_path, clock, ahead):
    """A healthy driver whose clock is a minute behind, taken over at once; or one waited for."""
    healthy = _Foreign(tmp_path, clock, ahead, every=15)
    began, held = clock.now, lease.held(str(tmp_path), wait=False)
    with pytest.raises(LeaseHeldError, match="process 1 on elsewhere"), held:
        pass
    assert 15 <= clock.now - began < 17
    assert _content(tmp_path)["owner"] == "foreign"

    clock.after(1000, healthy.finish)
    with lease.held(str(tmp_path), wait=True):
        assert 1000 <= clock.now - began < 1050


def test_a_driver_that_watches_says_so(tmp_path, clock, caplog):
    """A minute without a word, as if the program hung."""
    caplog.set_level("INFO", "colintern")
    _Foreign(tmp_path, clock)
    with lease.held(str(tmp_path), wait=False):
        pass
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "process 1 on elsewhere was at work here; watching for up to 60 s" in said[0]
    assert "process 1 on elsewhere is gone; taking over" in said[1]


def test_a_paused_driver_does_not_hold_what_others_took_meanwhile(tmp_path):
    """Two drivers that both hold a run, as the third one's lease has the first one's number."""
    folder = str(tmp_path)
    with ExitStack() as first:
        paused = first.enter_context(lease.held(folder, wait=False))
        Path(paused.path).unlink()  # the second took over, with number 2, and has finished
        with lease.held(folder, wait=False) as third:
            assert third.path == paused.path
            before = Path(third.path).read_bytes()
            third.check()
            with pytest.raises(LeaseLostError, match="taken over"):
                paused.check()
            first.close()
            third.check()
            assert Path(third.path).read_bytes() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_a_renewal_that_crosses_a_takeover_overwrites_nothing(tmp_path, request, where):
    """A paused driver that wakes up between its look and its write, and takes a run back."""
    folder = str(tmp_path) if where == "disk" else request.getfixturevalue("bucket")
    for then in (b"other", None):
        path = f"{folder}/lease-{then}"
        storage.write_bytes(path, b"first")
        crossed = []

        def is_ours(content: bytes, path: str = path, then=then, crossed=crossed) -> bool:
            crossed.append(content)
            storage.delete(path)
            if then:
                assert storage.create_exclusively(path, then)
            return content == b"first"

        storage.update(path, b"again", is_ours)
        assert crossed == [b"first"]
        assert storage.read_bytes_if_there(path) == then
        assert not storage.update(path, b"again", lambda content: content == b"first")
        assert storage.read_bytes_if_there(path) == then


def test_a_slow_takeover_removes_no_lease_but_the_one_it_has_judged(tmp_path, monkeypatch):
    """A live lease deleted as expired, because it has the number of one that was."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = {"owner": "dead", "host": host(), "pid": ended.pid, "heartbeat": 0.0, "expiry": 60.0}
    first, me = tmp_path / "lease-000001.json", this_process()
    _write(first, **dead, machine=me.machine, started="1")
    alive = {**dead, "owner": "live", "pid": me.pid, "machine": me.machine, "started": me.started}
    create = storage.create_exclusively

    def create_late(path: str, data: bytes) -> bool:
        """Meanwhile one took over with number 2 and finished, and another began with number 1."""
        _write(first, **alive)
        return create(path, data)

    monkeypatch.setattr(storage, "create_exclusively", create_late)
    refused = pytest.raises(LeaseHeldError, match=f"process {os.getpid()} ")
    with refused, lease.held(str(tmp_path), wait=False):
        pass
    assert _content(tmp_path) == alive


_HOLD = """
import sys, time
from colintern.records import lease
with lease.held(sys.argv[1], wait=False):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_process_of_this_machine_is_asked_and_not_watched(tmp_path, clock):
    """A minute of waiting after every kill; or for a driver that is known to work."""
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        began = clock.now
        refused = pytest.raises(LeaseHeldError, match=f"process {holder.pid} ")
        with refused, lease.held(str(tmp_path), wait=False):
            pass
        assert lease.is_held(str(tmp_path))
        holder.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # ended, but nobody has waited
        assert not lease.is_held(str(tmp_path))
        with lease.held(str(tmp_path), wait=False):
            assert clock.now == began
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("wait", [False, True])
def test_a_restarted_container_does_not_take_its_dead_self_for_alive(tmp_path, clock, wait):
    """A run that blocks itself for ever: the same host, and the same process id as before."""
    with lease.held(str(tmp_path), wait=False) as held:
        content = _content(tmp_path)
    assert content["pid"] == os.getpid()
    assert int(content["started"]) > 0
    _write(Path(held.path), **{**content, "started": str(int(content["started"]) - 1)})
    began = clock.now
    with lease.held(str(tmp_path), wait=wait):
        assert clock.now == began


def test_an_earlier_version_s_lease_of_this_machine(tmp_path, clock):
    """A lease without the start of its process taken for a damaged one, or for one that lives."""
    old = {"owner": "o", "host": host(), "heartbeat": clock.time(), "expiry": clock.time() + 60}
    path = tmp_path / "lease-000001.json"
    _write(path, **old, pid=2**22 + 1)  # above the largest process id
    began = clock.now
    with lease.held(str(tmp_path), wait=False):
        assert clock.now == began
    _write(path, **old, pid=os.getpid())  # perhaps used again: it has to be watched
    with lease.held(str(tmp_path), wait=False):
        assert 60 <= clock.now - began < 63


_DAMAGED = b'{"owner": %s, "host": "a", "pid": %s, "heartbeat": 0, "expiry": 0}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b'{"owner": 1}',
        b'{"pid": "x"}',
        _DAMAGED % (b"[]", b"1"),
        _DAMAGED % (b'"a"', b"Infinity"),
    ],
)
def test_a_damaged_lease_is_watched(tmp_path, clock, content):
    """A lease that cannot be read taken for none, or a traceback for ever."""
    (tmp_path / "lease-000001.json").write_bytes(content)
    began = clock.now
    with lease.held(str(tmp_path), wait=False):
        assert 60 <= clock.now - began < 63
        assert [path.name for path in tmp_path.iterdir()] == ["lease-000002.json"]


def test_what_is_named_nearly_like_a_lease_is_none(tmp_path):
    """A file of the user's that ends every ingest into its folder with a traceback."""
    (tmp_path / "lease-notes.json").write_text("{}")
    with lease.held(str(tmp_path), wait=False) as held:
        held.check()
        content = _content_of(held)
    assert {"later": 1, **content}["owner"] == content["owner"]
    assert [path.name for path in tmp_path.iterdir()] == ["lease-notes.json"]


def _content_of(held: lease.Held) -> dict:
    return json.loads(Path(held.path).read_text())


def test_a_lease_of_a_later_version_is_understood(tmp_path):
    """A field that does not exist yet, and a traceback instead of who holds the run."""
    with lease.held(str(tmp_path), wait=False) as held:
        _write(Path(held.path), **{**_content_of(held), "added_later": True})
        refused = pytest.raises(LeaseHeldError, match=f"process {os.getpid()} ")
        with refused, lease.held(str(tmp_path), wait=False):
            pass


@pytest.mark.parametrize(
    ("ahead", "written_ago", "expected"),
    [(-_HOUR, 10, True), (_HOUR, 10, True), (_HOUR, 200, False), (0, 200, False), (-61, 70, True)],
)
def test_status_goes_by_the_storage_s_clock(tmp_path, ahead, written_ago, expected):
    """A run shown as running for an hour after its death, or as not running, by another's clock."""
    now = time.time()
    path = tmp_path / "lease-000001.json"
    heartbeat = now + ahead - written_ago
    _write(path, owner="o", host="elsewhere", pid=1, heartbeat=heartbeat, expiry=heartbeat + 60)
    os.utime(path, (now - written_ago, now - written_ago))
    assert lease.is_held(str(tmp_path)) == expected


def test_a_held_lease_is_renewed(tmp_path):
    """A lease that runs out while its holder works."""
    with lease.held(str(tmp_path), wait=False, seconds=0.4):
        first = _content(tmp_path)
        deadline = time.monotonic() + 5
        while (now := _content(tmp_path))["heartbeat"] == first["heartbeat"]:
            assert time.monotonic() < deadline
        assert now["owner"] == first["owner"]


def test_a_driver_that_was_taken_over_commits_nothing(tmp_path):
    """A laptop that wakes up and writes its record into a run that another driver goes on with."""
    with lease.held(str(tmp_path), wait=False) as held:
        held.check()
        mine = next(tmp_path.iterdir())
        taken = tmp_path / "lease-000002.json"
        mine.rename(taken)  # whoever takes over creates the next one and deletes the old
        with pytest.raises(LeaseLostError, match="taken over"):
            held.check()
    assert list(tmp_path.iterdir()) == [taken]


def test_a_later_lease_beside_ours_has_taken_over(tmp_path, clock):
    """Two drivers that both hold the run, before the later one has removed the old one's file."""
    with lease.held(str(tmp_path), wait=False) as held:
        (tmp_path / "lease-000002.json").write_text("{}")
        with pytest.raises(LeaseLostError, match="taken over"):
            held.check()


def test_a_lease_that_cannot_be_renewed_is_released(tmp_path, monkeypatch):
    """A run that stays refused as long as the process lives that had no thread left for it."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"), lease.held(str(tmp_path), wait=False):
            pass
    with lease.held(str(tmp_path), wait=False):
        pass


def test_a_lease_that_cannot_be_removed_hides_nothing(tmp_path, monkeypatch):
    """A run that ends with an error of the lease instead of what went wrong in it."""
    said = []

    def fail(path):
        raise StorageError(f"{path}: the server is down")

    monkeypatch.setattr(storage, "delete", fail)
    monkeypatch.setattr(log, "say", lambda *words: said.append(words))
    with (
        pytest.raises(NonFiniteError, match="the loss is not finite"),
        lease.held(str(tmp_path), wait=False),
    ):
        raise NonFiniteError("the loss is not finite")
    assert "the server is down" in str(said)
