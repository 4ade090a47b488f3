"""A bar on a terminal: a real one, a pty, to which a process of its own writes."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from colintern.cli.stopping import INTERRUPTED

_LONG = "https://example.org/" + 150 * "x"  # longer than a line of the terminal
_PROGRAM = f"""
import sys, threading, time, warnings
from colintern import log
log.set_up(log.QUIET if "quiet" in sys.argv else log.NORMAL)
log.say("run", "first")
with log.Progress("mine", "round 2", "queries", 400) as progress:
    for number in range(40):
        progress.add(10)
        time.sleep(0.02)
        if number == 20:
            log.say("run", "%s", {_LONG!r})
            print("of a library", file=sys.stderr)
            print("result")
        if number == 30 and "stop" in sys.argv:
            print("ready", file=sys.stderr, flush=True)
            time.sleep(60)
log.say("run", "last")
"""


def _shown(*arguments: str, stop: bool = False, **environment: str) -> tuple[str, str, int]:
    """What a terminal gets as standard error, what standard output has, and the exit code."""
    outer, inner = pty.openpty()
    own = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=inner,
        env={
            **own,
            "TERM": "xterm-256color",
            "COLUMNS": "80",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            **environment,
        },
        text=True,
    )
    os.close(inner)
    shown = b""
    while True:
        try:
            shown += os.read(outer, 65_536)
        except OSError:  # EIO: the process has closed its end
            break
        if stop and b"ready" in shown:
            process.send_signal(signal.SIGINT)
            stop = False
    os.close(outer)
    out, _ = process.communicate(timeout=60)
    return shown.decode(), out, process.returncode


def _screen(shown: str) -> list[str]:
    """The lines that stay on a terminal of endless width, which obeys the moves of its cursor."""
    rows, row, column = [""], 0, 0
    at = 0
    while at < len(shown):
        character = shown[at]
        at += 1
        if character == "\x1b":
            end = at + 1
            while not shown[end].isalpha():
                end += 1
            number, kind = shown[at + 1 : end], shown[end]
            at = end + 1
            if kind == "A":
                row = max(0, row - int(number or 1))
            elif kind == "K":
                rows[row] = "" if number == "2" else rows[row][:column]
        elif character == "\r":
            column = 0
        elif character == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        else:
            rows[row] = f"{rows[row][:column]:<{column}}{character}{rows[row][column + 1 :]}"
            column += 1
    return [line.rstrip() for line in rows if line.strip()]


def test_a_bar_is_drawn_and_goes_and_lines_are_whole():
    """A bar that stays in the terminal; a line that is cut, or glued to the bar; a file with it."""
    shown, out, code = _shown()
    assert code == 0
    assert "━" in shown
    assert "left" in shown
    first, long, other, end, last = _screen(shown)
    assert re.fullmatch(r"\d\d:\d\d:\d\d  run       first", first)
    assert re.fullmatch(rf"\d\d:\d\d:\d\d  run       {_LONG}", long)
    assert other == "of a library"
    assert re.match(r"\d\d:\d\d:\d\d  mine      round 2: 400 / 400 queries", end)
    assert re.fullmatch(r"\d\d:\d\d:\d\d  run       last", last)
    assert out == "result\n"
    assert "\x1b[?25l" not in shown  # a killed process would leave a terminal without a cursor


def test_ctrl_c_leaves_a_clean_terminal():
    """Half a bar before the prompt of the shell."""
    shown, _, code = _shown("stop", stop=True)
    assert code in (INTERRUPTED, -signal.SIGINT)
    assert "━" in shown
    assert not [line for line in _screen(shown) if "━" in line or "queries" in line]


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ([], {"TERM": "dumb"}),
        ([], {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}),
        (["quiet"], {}),
    ],
)
def test_where_no_bar_can_be_there_is_no_escape_code(arguments, environment):
    """`[2K[1A` in the log of a job, or in an editor's terminal; a bar for who asked for quiet."""
    shown, out, _ = _shown(*arguments, **environment)
    assert "\x1b" not in shown
    assert ("400 / 400 queries" in shown) == (not arguments)
    assert out == "result\n"


def test_a_pipe_gets_lines_without_escape_codes():
    """A log file full of bars, also where the environment asks for colours."""
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, env=environment
    )
    assert "\x1b" not in done.stderr
    assert "400 / 400 queries" in done.stderr


def test_no_color_is_obeyed():
    """Colours for somebody who cannot read them."""
    shown, _, _ = _shown(NO_COLOR="1")
    assert "━" in shown
    assert not re.search(r"\x1b\[[0-9;]*m", shown.replace("\x1b[0m", ""))
    assert re.search(r"\x1b\[[0-9;]*m", _shown()[0])
