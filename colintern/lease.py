"""Who is working on a folder: a lease that keeps two drivers apart, on disk or object store.

A lease is a small file with its owner and the time it expires; its holder renews it in the
background. Files are numbered: whoever takes over an expired lease creates the next number
exclusively, so of several that try only one succeeds, and the old holder sees that it has lost.
A holder on this machine whose process is gone is taken over at once; one on another machine after
its lease has run out.
"""

import json
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace

from colintern import log, storage
from colintern.errors import LeaseHeldError, LeaseLostError, PathError, StorageError

LEASE_SECONDS = 60.0
_PREFIX = "lease-"


@dataclass(frozen=True)
class Lease:
    """The content of a lease file."""

    owner: str
    host: str
    pid: int
    heartbeat: float
    expiry: float

    def is_live(self, now: float) -> bool:
        """Whether the holder may still be working."""
        return now < self.expiry and not (self.host == _this_host() and _is_gone(self.pid))


@dataclass(frozen=True)
class Held:
    """A lease that this driver has; small, and can be sent to workers.

    Attributes:
        path: of the lease file.
    """

    path: str

    @property
    def folder(self) -> str:
        """The run or store that is held."""
        return _folder(self.path)

    def check(self) -> None:
        """Make sure that nobody has taken over; called before a result is written.

        Raises:
            LeaseLostError: another driver found the lease expired and works here now.
        """
        if _is_lost(self.path):
            raise LeaseLostError(
                f"{self.path}: another driver has taken over, because this one did not renew its "
                "lease in time (was the machine asleep?); this one stops, the other goes on"
            )

    def is_seen(self) -> bool:
        """Whether this machine sees a lease there: ours, or that of whoever has taken over."""
        return bool(_lease_files(self.folder))


@contextmanager
def held(
    folder: str,
    *,
    wait: bool,
    seconds: float = LEASE_SECONDS,
    on_wait: Callable[[Lease], None] | None = None,
) -> Iterator[Held]:
    """Hold the lease of `folder` for the length of the `with` block.

    Args:
        folder: the run or store; the lease files stand right inside.
        wait: True waits for as long as another driver holds it; False gives up when that driver
            shows a sign of life, but waits out a holder that has vanished.
        seconds: how long the lease is good without being renewed.
        on_wait: called once, with the lease of the other driver, when there is one.

    Raises:
        LeaseHeldError: `wait` is False and another driver is at work.
    """
    path, lease = _acquire(folder, wait, seconds, on_wait)
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(path, lease, seconds, stop), daemon=True)
    renewal.start()
    try:
        yield Held(path)
    finally:
        stop.set()
        renewal.join()
        _release(path)


def is_lease_file(path: str) -> bool:
    """Whether `path` is named as leases are."""
    return path.rsplit("/", 1)[-1].startswith(_PREFIX)


def is_held(folder: str) -> bool:
    """Whether a driver may be at work on `folder` right now."""
    return any(lease.is_live(time.time()) for lease in _read_all(folder).values())


def _release(path: str) -> None:
    """Remove our lease. If that fails it runs out by itself, and what ended the work is told."""
    try:
        storage.delete(path)
    except StorageError as error:
        log.say("lease", "%s", error)


def _acquire(
    folder: str, wait: bool, seconds: float, on_wait: Callable[[Lease], None] | None
) -> tuple[str, Lease]:
    """Our new lease and its path, once no other driver is at work."""
    first_seen: Lease | None = None
    while True:
        leases = _read_all(folder)
        live = next((lease for lease in leases.values() if lease.is_live(time.time())), None)
        if live is None:
            taken = _take_next(folder, leases, seconds)
            if taken:
                return taken
            time.sleep(random.random())  # two that tried at once must not try at once again
            continue
        if first_seen is None and on_wait:
            on_wait(live)
        first_seen = first_seen or live
        if not wait and _shows_life(live, first_seen):
            raise LeaseHeldError(
                f"{folder}: another driver is at work here (process {live.pid} on {live.host}); "
                "wait for it, stop it, or take another run.name"
            )
        time.sleep(min(1.0, seconds / 10))


def _shows_life(lease: Lease, first_seen: Lease) -> bool:
    """Whether the holder surely works: its process is there, or it renewed while we watched."""
    return lease.host == _this_host() or lease.heartbeat != first_seen.heartbeat


def _take_next(folder: str, old: dict[str, Lease], seconds: float) -> tuple[str, Lease] | None:
    """Create the lease after the `old`, expired ones; None if another driver was faster."""
    number = max(map(_number, old), default=0) + 1
    path = storage.join(folder, f"{_PREFIX}{number:06d}.json")
    now = time.time()
    lease = Lease(uuid.uuid4().hex, _this_host(), os.getpid(), now, now + seconds)
    if not storage.create_exclusively(path, _encoded(lease)):
        return None
    rivals = {other for other in _read_all(folder) if other != path and other not in old}
    if rivals:
        storage.delete(path)
        return None
    for expired in old:
        storage.delete(expired)
    return path, lease


def _renew(path: str, lease: Lease, seconds: float, stop: threading.Event) -> None:
    while not stop.wait(seconds / 4):
        now = time.time()
        lease = replace(lease, heartbeat=now, expiry=now + seconds)
        # A renewal that storage refuses is tried again: three fit into the lease's time.
        with suppress(StorageError):
            if _is_lost(path):
                return  # `Held.check` stops the work before its results are written
            storage.write_bytes(path, _encoded(lease))


def _is_lost(path: str) -> bool:
    """Whether the lease is gone, or a later one stands beside it.

    A renewal that crosses the takeover may write the old lease once more.
    """
    numbers = map(_number, _lease_files(_folder(path)))
    return max(numbers, default=0) != _number(path)


def _lease_files(folder: str) -> list[str]:
    return [path for path in storage.list_files(folder, ".json") if is_lease_file(path)]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _number(path: str) -> int:
    return int(path.rsplit(_PREFIX, 1)[1].removesuffix(".json"))


def _read_all(folder: str) -> dict[str, Lease]:
    leases = {}
    for path in _lease_files(folder):
        with suppress(PathError):  # its holder removed it since the listing
            leases[path] = Lease(**storage.read_json(path))
    return leases


def _encoded(lease: Lease) -> bytes:
    return json.dumps(asdict(lease)).encode()


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _this_host() -> str:
    """This machine, or this container on it: process ids mean something only inside one."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()
