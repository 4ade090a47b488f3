"""Which process wrote something, and whether it still runs.

A process id is not enough: it is valid only on its machine and in its container, and it is used
again, by a restarted container even at once. So a process is identified by its machine, its id and
the time of its start.
"""

import hashlib
import os
import socket
import subprocess
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # of the kernel, another one after each start
_STATE, _STARTED = 0, 19  # fields of /proc/PID/stat, counted after the name; see proc(5)
_ENDED = "ended"  # the start time of a zombie: a process that its parent has not waited for
_PS_SECONDS = 10


@dataclass(frozen=True)
class Process:
    """A process of some machine.

    Attributes:
        machine: where `pid` is valid; 12 hexadecimal digits.
        pid: the process id.
        started: hexadecimal digits that stand for the time of its start; empty if it is unknown.
    """

    machine: str
    pid: int
    started: str


def this_process() -> Process:
    """The calling process."""
    return _process(os.getpid())


def is_alive(process: Process) -> bool | None:
    """Whether a process still runs; None if that cannot be seen from here."""
    if process.machine != _machine():
        return None
    if is_gone(process.pid):
        return False
    started = _started(process.pid)
    if started == _ENDED:
        return False
    return started == process.started if started and process.started else None


def is_gone(pid: int) -> bool:
    """Whether no process of this machine, or container, has that number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def host() -> str:
    """The name of this machine and of its container, for people."""
    return f"{socket.gethostname()} {_namespace()}".strip()


@lru_cache(maxsize=1)
def _process(pid: int) -> Process:
    """Cached by `pid`, which is another one in a forked process."""
    return Process(_machine(), pid, _started(pid))


@lru_cache(maxsize=1)
def _machine() -> str:
    """Where process ids mean the same as here: this boot of this kernel, and this container."""
    try:
        kernel = _BOOT_ID.read_text().strip()
    except OSError:
        kernel = f"{socket.gethostname()} {uuid.getnode():x}"
    return hashlib.sha256(f"{kernel} {_namespace()}".encode()).hexdigest()[:12]


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in clock ticks since the kernel did; `_ENDED` for a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return _started_by_ps(pid)
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return _ENDED if fields[_STATE] in "ZX" else fields[_STARTED]


def _started_by_ps(pid: int) -> str:
    """The same where there is no /proc."""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        found = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_PS_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    state, _, started = found.stdout.strip().partition(" ")
    if state.startswith("Z"):
        return _ENDED
    return hashlib.sha256(started.encode()).hexdigest()[:12] if started else ""
