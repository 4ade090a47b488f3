"""A process is known by more than its number."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from colintern.storage import process
from colintern.storage.process import is_alive, this_process


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"started": "1"}, False),  # another one has the number now
        ({"pid": 2**22 + 1}, False),  # above the largest process id
        ({"pid": 2**80}, False),
        ({"started": ""}, None),
        ({"machine": "0" * 12}, None),
    ],
)
def test_alive_gone_or_unknown(changes, expected):
    """A number that is used again taken for the process that had it; a guess about elsewhere."""
    assert is_alive(replace(this_process(), **changes)) is expected


def test_a_child_that_was_forked_off_is_another_process():
    """What a forked worker leaves behind under the name of its parent, which lives on."""
    mine = this_process()
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, str(this_process().pid).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 100)) == child != mine.pid


def test_a_process_whose_end_nobody_has_noticed_is_gone():
    """A killed driver whose parent does not wait for it, taken for a living one."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    seen = replace(this_process(), pid=child.pid, started=process._started(child.pid))
    assert is_alive(seen) is True
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(seen) is False
    child.wait()
    assert is_alive(seen) is False


def test_where_there_is_no_proc_ps_is_asked(monkeypatch, tmp_path):
    """A system without /proc, on which every lease has to be watched for a minute."""
    answers = {"Ss": "Ss   Thu Nov 26 02:11:43 2026\n", "Z": "Z    Thu Nov 26 02:11:43 2026\n"}

    def ps(state: str):
        def run(command, **_):
            assert command[-1] == "7"
            return subprocess.CompletedProcess(command, 0, answers.get(state, ""), "")

        return run

    monkeypatch.setattr(process, "Path", lambda name: Path(tmp_path, "none"))
    monkeypatch.setattr(subprocess, "run", ps("Ss"))
    first = process._started(7)
    assert first == process._started(7) != ""
    monkeypatch.setattr(subprocess, "run", ps("Z"))
    assert process._started(7) == process._ENDED
    monkeypatch.setattr(subprocess, "run", ps("unknown"))
    assert process._started(7) == ""
