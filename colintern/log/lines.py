"""Aligned lines for people, on standard error."""

import logging
import os
import sys

from colintern.log import bar, journal

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")

# Of others, which warn of what they do again by themselves: a download that is tried once more.
_TOO_TALKATIVE = ("huggingface_hub", "filelock", "urllib3")

QUIET = logging.WARNING
NORMAL = logging.INFO
VERBOSE = logging.DEBUG

_logger = logging.getLogger("colintern")
_warned: set[str] = set()


class _Terminal(logging.StreamHandler):
    """Writes lines; where a bar is drawn, above it."""

    def emit(self, record: logging.LogRecord) -> None:
        drawn = bar.drawn()
        if drawn is None:
            super().emit(record)
        else:
            drawn.write_above(self.format(record))


def set_up(level: int = NORMAL) -> None:
    """Send our lines to standard error, and keep other libraries' warnings out of them.

    Args:
        level: `QUIET` for warnings only, without bars; `VERBOSE` for details too, and what other
            libraries say.
    """
    handler = _Terminal(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    _logger.handlers[:] = [handler]
    _logger.setLevel(level)
    _logger.propagate = False
    for name in _TOO_TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING if level == VERBOSE else logging.ERROR)


def is_verbose() -> bool:
    """Whether details are shown, ours and other libraries'."""
    return _logger.isEnabledFor(VERBOSE)


def say(part: str, message: str, *values: object) -> None:
    """Write one line for people: the `part` of the work, then `message % values`."""
    _write(NORMAL, part, message, *values)


def detail(part: str, message: str, *values: object) -> None:
    """Write one line that only those see who ask for more; the log of the run has it too."""
    _write(VERBOSE, part, message, *values)


def warn_once(part: str, message: str) -> None:
    """Write a warning, but only once per process."""
    if message not in _warned:
        _warned.add(message)
        _write(logging.WARNING, part, "warning: %s", message)


def draws_bars() -> bool:
    """Whether a bar can be drawn: our lines go to a terminal that can move its cursor.

    The log of a submitted job is none, whatever it is written to.
    """
    handler = next(iter(_logger.handlers), None)
    return (
        isinstance(handler, _Terminal)
        and _logger.isEnabledFor(NORMAL)
        and handler.stream.isatty()
        and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        and "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ
    )


def size_text(size: float) -> str:
    """A number of bytes for people: `3.2 GB`."""
    unit = 0
    while size >= 1_000 and unit < len(_UNITS) - 1:
        size, unit = size / 1_000, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} B"


def _write(level: int, part: str, message: str, *values: object) -> None:
    line = "%-9s " + message.replace("\n", " ")
    journal.note(line % (part, *values))
    _logger.log(level, line, part, *values)
