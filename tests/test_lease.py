"""Two drivers never work on one folder."""

import json
import threading
import time

import pytest

from colintern import lease, log, storage
from colintern.errors import LeaseHeldError, LeaseLostError, NonFiniteError, StorageError


def _foreign(folder, heartbeat: float, expiry: float, number: int = 1) -> None:
    """A lease of a driver on another machine."""
    content = {
        "owner": "o",
        "host": "elsewhere",
        "pid": 1,
        "heartbeat": heartbeat,
        "expiry": expiry,
    }
    (folder / f"lease-{number:06d}.json").write_text(json.dumps(content))


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


def test_a_vanished_driver_is_taken_over(tmp_path):
    """A killed run that can never be started again."""
    now = time.time()
    _foreign(tmp_path, now - 100, now - 40)
    with lease.held(str(tmp_path), wait=False):
        names = [path.name for path in tmp_path.iterdir()]
        assert names == ["lease-000002.json"]


def test_a_dead_process_on_this_machine_is_taken_over_at_once(tmp_path):
    """A minute of waiting after every kill."""
    with lease.held(str(tmp_path), wait=False):
        path = next(tmp_path.iterdir())
        content = json.loads(path.read_text())
    content["pid"] = 2**22 + 1  # above the largest process id
    path.write_text(json.dumps(content))
    began = time.monotonic()
    with lease.held(str(tmp_path), wait=False):
        assert time.monotonic() - began < 5


def test_a_driver_elsewhere_that_renews_is_not_waited_for(tmp_path):
    """A second driver that waits for hours instead of saying that the run is taken."""
    now = time.time()
    _foreign(tmp_path, now, now + 600)
    renewal = threading.Timer(0.5, _foreign, (tmp_path, now + 1, now + 601))
    renewal.start()
    held = lease.held(str(tmp_path), wait=False, seconds=2.0)
    with pytest.raises(LeaseHeldError, match="elsewhere"), held:
        pass
    renewal.join()


def test_a_held_lease_is_renewed(tmp_path):
    """A lease that runs out while its holder works."""
    with lease.held(str(tmp_path), wait=False, seconds=0.4):
        path = next(tmp_path.iterdir())
        first = json.loads(path.read_text())["heartbeat"]
        deadline = time.monotonic() + 5
        while json.loads(path.read_text())["heartbeat"] == first:
            assert time.monotonic() < deadline


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


def test_a_renewal_that_crosses_the_takeover_does_not_win_it_back(tmp_path):
    """Two drivers that both hold the run, because the old one's file came back to life."""
    with lease.held(str(tmp_path), wait=False) as held:
        now = time.time()
        _foreign(tmp_path, now, now + 600, number=2)
        with pytest.raises(LeaseLostError, match="taken over"):
            held.check()


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
