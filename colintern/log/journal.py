"""The log of a run folder: every line that was said, with its date, whether it was shown or not.

It is for whoever asks later what happened. Object stores cannot append: what was there is read
once, and written again with the new lines at the end of each stage.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from colintern import storage
from colintern.errors import ColInternError, one_line

_MOST_WAITING = 1_000  # lines of a process that has opened no run

_waiting: deque[str] = deque(maxlen=_MOST_WAITING)
_open: list["_RunLog"] = []


def note(line: str) -> None:
    """Keep a line for the log of the run that is open, or of the next that is opened."""
    dated = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}  {line}"
    (_open[-1].lines if _open else _waiting).append(dated)


@contextmanager
def kept(path: str, check: Callable[[], None]) -> Iterator[None]:
    """Keep lines in a file for the length of a `with` block, those too that waited for one.

    That the log cannot be written never ends the work.

    Args:
        path: the file; what it holds stays.
        check: called before it is written; raises when it must not be, as another driver has taken
            over.
    """
    log = _RunLog(path, check)
    log.lines.extend(_waiting)
    _waiting.clear()
    _open.append(log)
    try:
        yield
    except BaseException as error:
        note(f"{'end':<9} {error!r}")
        raise
    finally:
        _open.remove(log)
        log.save()


def save() -> None:
    """Write what is kept so far, if a run is open."""
    for log in _open:
        log.save()


class _RunLog:
    def __init__(self, path: str, check: Callable[[], None]) -> None:
        self.lines: list[str] = []
        self._path = path
        self._check = check
        self._lock = threading.Lock()
        self._before: bytes | None = None

    def save(self) -> None:
        with self._lock:
            try:
                if self._before is None:
                    self._before = storage.read_bytes_if_there(self._path) or b""
                self._check()
                text = "".join(f"{line}\n" for line in [*self.lines])
                storage.write_bytes(self._path, self._before + text.encode())
            except ColInternError as error:
                note(f"{'log':<9} {self._path}: is not written ({one_line(error)})")
