"""Who is working on a folder: a lease that keeps two drivers apart, on disk or object store.

A lease is a small file. It names its owner, and its holder alone renews it, in the background.
Files are numbered: a driver that takes over creates the next number exclusively. So of several that
try only one succeeds, and the old holder sees that it has lost.

Clocks of two machines are never compared. A rival watches: a heartbeat that changes means that the
holder works; one that stays the same for the lease's time, by the rival's own monotonic clock,
means that it does not. A holder on the same machine needs no watching: its process can be looked
up.
"""

import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from colintern import log, storage
from colintern.errors import LeaseHeldError, LeaseLostError, StorageError
from colintern.records.lease_file import (
    Lease,
    encoded,
    folder_of,
    lease_files,
    lease_path,
    number_of,
    parsed,
    read_leases,
)
from colintern.storage.process import host, this_process

LEASE_SECONDS = 60.0


@dataclass(frozen=True)
class Held:
    """A lease that this driver has; small, and can be sent to workers.

    Attributes:
        path: of the lease file.
        owner: the name in it as long as the lease is ours; None accepts any owner.
    """

    path: str
    owner: str | None = None

    @property
    def folder(self) -> str:
        """The run or store that is held."""
        return folder_of(self.path)

    def check(self) -> None:
        """Make sure that nobody has taken over; called before a result is written.

        Raises:
            LeaseLostError: another driver found no sign of life here and has taken over.
        """
        if _is_lost(self.path, self.owner):
            raise LeaseLostError(
                f"{self.path}: another driver has taken over, because this one did not renew its "
                "lease in time (was the machine asleep?); this one stops and the other continues"
            )

    def is_seen(self) -> bool:
        """Whether this machine sees a lease there: ours, or that of whoever has taken over."""
        return bool(lease_files(self.folder))


@contextmanager
def held(
    folder: str,
    *,
    wait: bool,
    seconds: float = LEASE_SECONDS,
    on_wait: Callable[[Lease], None] | None = None,
) -> Iterator[Held]:
    """Hold the lease of `folder` for the length of the `with` block.

    Files that killed drivers left half written in the folder are removed at the start. A folder
    that is made for the lease, and in which the block writes nothing, goes with it.

    Args:
        folder: the run or store; the lease files stand right inside.
        wait: True waits for as long as another driver holds it; False gives up when that driver
            shows a sign of life, but waits out a holder that has vanished.
        seconds: how long the lease is good without being renewed.
        on_wait: called once, with the lease of the other driver, when there is one to wait for or
            to watch; None says so in the log.

    Raises:
        LeaseHeldError: `wait` is False and another driver is at work.
    """
    with storage.leaving_no_empty_folder(folder):
        path, lease = _acquire(folder, wait, seconds, on_wait or partial(_say_watching, seconds))
        stop = threading.Event()
        renewal = threading.Thread(target=_renew, args=(path, lease, seconds, stop), daemon=True)
        try:
            renewal.start()
            _clear(folder)
            yield Held(path, lease.owner)
        finally:
            stop.set()
            if renewal.ident is not None:  # None: the system has no thread left
                renewal.join()
            _release(path, lease.owner)


def is_held(folder: str) -> bool:
    """Whether a driver may be at work on `folder` right now, told without watching.

    It is when the holder's process runs on this machine. A process that cannot be asked counts as
    at work when its lease was written in the last two minutes, as the storage tells the time: twice
    the lease's time, for its clock and ours may differ a little. The holder's clock says nothing.
    """
    for path, content in read_leases(folder).items():
        alive = parsed(content).is_alive
        if alive is None:
            with suppress(StorageError):  # released since the listing
                alive = time.time() - storage.modified_at(path) < 2 * LEASE_SECONDS
        if alive:
            return True
    return False


def _clear(folder: str) -> None:
    """Remove what killed drivers left half written; what cannot be removed does no harm."""
    try:
        storage.remove_abandoned(folder)
    except StorageError as error:
        log.say("lease", "%s", error)


class _State(Enum):
    """What a rival knows of a holder."""

    WORKS = "its process runs, or its heartbeat has changed"
    UNKNOWN = "no sign of life yet"
    VANISHED = "its process is gone, or its heartbeat has stayed the same for the lease's time"


class _Watch:
    """What a rival has seen of the leases in a folder.

    Args:
        seconds: how long a heartbeat may stay the same.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[tuple[str, str], tuple[bytes, float]] = {}

    def look(self, path: str, content: bytes, asked_at: float) -> _State:
        """The state of a holder whose lease was asked for at `asked_at`, by our monotonic clock."""
        lease = parsed(content)
        alive = lease.is_alive
        if alive is False:
            return _State.VANISHED
        key = path, lease.owner  # another owner may be a rival that is about to withdraw
        seen = self._seen.get(key)
        if seen is None or seen[0] != content:
            self._seen[key] = content, time.monotonic()
            return _State.WORKS if alive or seen else _State.UNKNOWN
        if asked_at - seen[1] >= self._seconds:
            return _State.VANISHED
        return _State.WORKS if alive else _State.UNKNOWN


def _acquire(
    folder: str, wait: bool, seconds: float, on_wait: Callable[[Lease], None]
) -> tuple[str, Lease]:
    """Our new lease and its path, once no other driver is at work."""
    watch, is_told = _Watch(seconds), False
    while True:
        asked_at = time.monotonic()
        contents = read_leases(folder)
        states = {path: watch.look(path, content, asked_at) for path, content in contents.items()}
        for path, state in states.items():
            if state is _State.WORKS and not wait:
                raise _held_error(folder, parsed(contents[path]))
        others = [path for path, state in states.items() if state is not _State.VANISHED]
        if others:
            if not is_told:
                on_wait(parsed(contents[others[0]]))
                is_told = True
            time.sleep(min(1.0, seconds / 10))
            continue
        if taken := _take_next(folder, contents, seconds):
            for content in contents.values():
                _say_taken_over(parsed(content))
            return taken
        time.sleep(random.random())  # two that tried at once must not try at once again


def _held_error(folder: str, lease: Lease) -> LeaseHeldError:
    return LeaseHeldError(
        f"{folder}: another driver is at work here (process {lease.pid} on {lease.host}); "
        "wait for it, stop it, or take another folder (run.name, or --out)"
    )


def _say_watching(seconds: float, lease: Lease) -> None:
    log.say(
        "lease",
        "process %d on %s was at work here; watching for up to %.0f s whether it still is",
        lease.pid,
        lease.host,
        seconds,
    )


def _say_taken_over(lease: Lease) -> None:
    log.say("lease", "process %d on %s is gone; taking over", lease.pid, lease.host)


def _take_next(folder: str, old: Mapping[str, bytes], seconds: float) -> tuple[str, Lease] | None:
    """Create the lease after the `old` ones, whose holders have vanished, and remove those.

    Returns:
        None if another driver was faster, or a holder that had vanished has come back.
    """
    path = lease_path(folder, max(map(number_of, old), default=0) + 1)
    lease = _beating(_new_lease(), seconds)
    if not storage.create_exclusively(path, encoded(lease)):
        return None
    now = read_leases(folder)
    ours = now.pop(path, None)
    if ours != encoded(lease) or any(old.get(other) != now[other] for other in now):
        _remove(path, lease.owner)
        return None
    for other, content in now.items():
        _remove(other, parsed(content).owner)
    return path, lease


def _renew(path: str, lease: Lease, seconds: float, stop: threading.Event) -> None:
    while not stop.wait(seconds / 4):
        lease = _beating(lease, seconds)
        # A renewal that storage refuses is tried again: three fit into the lease's seconds.
        with suppress(StorageError):
            if _is_lost(path, lease.owner):
                return  # `Held.check` stops the work before its results are written
            if not storage.update(path, encoded(lease), _is_of(lease.owner)):
                return


def _release(path: str, owner: str) -> None:
    """Remove our lease; a failure is only logged, as the work may have its own error to raise."""
    try:
        _remove(path, owner)
    except StorageError as error:
        log.say("lease", "%s", error)


def _remove(path: str, owner: str) -> None:
    """Remove a lease, if it is still that of `owner`."""
    content = storage.read_bytes_if_there(path)
    if content is not None and _is_of(owner)(content):
        storage.delete(path)


def _is_lost(path: str, owner: str | None) -> bool:
    """Whether the lease is not its owner's any more, or a later one stands beside it.

    The new holder creates its lease first and removes ours later: both signs count.
    """
    content = storage.read_bytes_if_there(path)
    if content is None or (owner is not None and not _is_of(owner)(content)):
        return True
    return any(number_of(other) > number_of(path) for other in lease_files(folder_of(path)))


def _is_of(owner: str) -> Callable[[bytes], bool]:
    """Whether the content of a lease file says that it belongs to `owner`."""
    return lambda content: parsed(content).owner == owner


def _new_lease() -> Lease:
    process = this_process()
    return Lease(
        owner=uuid.uuid4().hex,
        host=host(),
        pid=os.getpid(),
        heartbeat=0.0,
        expiry=0.0,
        machine=process.machine,
        started=process.started,
    )


def _beating(lease: Lease, seconds: float) -> Lease:
    """The lease with another heartbeat than before, also when the clock stands or is set back."""
    now = time.time()
    if now == lease.heartbeat:
        now += 1e-3
    return replace(lease, heartbeat=now, expiry=now + seconds)
