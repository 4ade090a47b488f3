"""Lease files: their names, which are numbered, and their content; `lease` holds them."""

import json
import re
from dataclasses import asdict, dataclass, fields, replace

from colintern import storage
from colintern.storage.process import Process, host, is_alive, is_gone

_PREFIX = "lease-"
_NAME = re.compile(rf"{_PREFIX}(\d+)\.json")
_FILE_BYTES = 1024  # always: a renewal writes exactly over what it replaces


@dataclass(frozen=True)
class Lease:
    """The content of a lease file; one of an earlier version lacks the last two.

    Attributes:
        owner: a name that no other driver has; empty when the file cannot be read.
        host: its machine, for people.
        pid: its process id there.
        heartbeat: when it was renewed, by the holder's clock; any other value is a sign of life.
        expiry: when it ends, by that clock; for people.
        machine: where `pid` means this process (`storage.process`).
        started: when that process started.
    """

    owner: str
    host: str
    pid: int
    heartbeat: float
    expiry: float
    machine: str = ""
    started: str = ""

    @property
    def is_alive(self) -> bool | None:
        """Whether the holder's process runs; None when that cannot be told from here."""
        if self.machine:
            return is_alive(Process(self.machine, self.pid, self.started))
        # Written by an earlier version: the number may be that of another process by now.
        return False if self.host == host() and is_gone(self.pid) else None


def is_lease_file(path: str) -> bool:
    """Whether `path` is named as leases are."""
    return _NAME.fullmatch(path.rpartition("/")[2]) is not None


def lease_path(folder: str, number: int) -> str:
    """Where the lease of that number stands."""
    return storage.join(folder, f"{_PREFIX}{number:06d}.json")


def lease_files(folder: str) -> list[str]:
    """The lease files in `folder`, sorted by name."""
    return [path for path in storage.list_files(folder, ".json") if is_lease_file(path)]


def folder_of(path: str) -> str:
    """The folder that a lease file is for."""
    return path.rpartition("/")[0]


def number_of(path: str) -> int:
    """The number in the name of a lease file."""
    found = _NAME.fullmatch(path.rpartition("/")[2])
    assert found, path
    return int(found[1])


def read_leases(folder: str) -> dict[str, bytes]:
    """The content of every lease file that is still there after the listing."""
    contents = {path: storage.read_bytes_if_there(path) for path in lease_files(folder)}
    return {path: content for path, content in contents.items() if content is not None}


def encoded(lease: Lease) -> bytes:
    """The content of a lease file, always of the same length."""
    return json.dumps(asdict(lease)).encode().ljust(_FILE_BYTES)


def parsed(content: bytes) -> Lease:
    """The lease in a file, also of a later version; a damaged one has no owner."""
    known = {field.name for field in fields(Lease)}
    try:
        document = json.loads(content)
        lease = Lease(**{name: value for name, value in document.items() if name in known})
        texts = {
            name: str(getattr(lease, name)) for name in ("owner", "host", "machine", "started")
        }
        return replace(lease, pid=int(lease.pid), **texts)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return Lease("", "a machine that its damaged lease does not name", 0, 0.0, 0.0)
