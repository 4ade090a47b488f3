"""Two channels: aligned lines for people, JSON lines for programs.

`say("train", "step %d", 3)` writes `22:13:05  train     step 3` to standard error. JSON lines are
collected and written together, so that nobody reads half a record.
"""

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

from colintern import storage

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")

# Of others, which warn of what they do again by themselves: a download that is tried once more.
_TOO_TALKATIVE = ("huggingface_hub", "filelock", "urllib3")

_logger = logging.getLogger("colintern")
_warned: set[str] = set()


def set_up() -> None:
    """Send our lines to standard error, and keep other libraries' warnings out of them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    _logger.handlers[:] = [handler]
    _logger.setLevel(logging.INFO)
    _logger.propagate = False
    for name in _TOO_TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


def say(part: str, message: str, *values: object) -> None:
    """Write one line for people: the `part` of the work, then `message % values`."""
    _logger.info("%-9s " + message.replace("\n", " "), part, *values)


def warn_once(part: str, message: str) -> None:
    """Write a warning, but only once per process."""
    if message not in _warned:
        _warned.add(message)
        _logger.warning("%-9s warning: %s", part, message)


def size_text(size: float) -> str:
    """A number of bytes for people: `3.2 GB`."""
    unit = 0
    while size >= 1_000 and unit < len(_UNITS) - 1:
        size, unit = size / 1_000, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} B"


class JsonLines:
    """Records for programs; kept in memory until `save` writes all of them to `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: list[str] = []

    def add(self, record: Mapping[str, Any]) -> None:
        """Append a record.

        Raises:
            ValueError: a number in it is not finite.
        """
        self._lines.append(json.dumps(record, allow_nan=False))

    def save(self) -> None:
        """Write all records so far, atomically."""
        storage.write_bytes(self._path, "".join(line + "\n" for line in self._lines).encode())
