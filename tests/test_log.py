"""Lines for people and records for programs."""

import json

import pytest

from colintern import log


@pytest.fixture
def lines(capsys):
    """The lines on standard error so far, without their time of day."""
    return lambda: [line.split("  ", 1)[1] for line in capsys.readouterr().err.splitlines()]


def test_a_message_is_one_line_under_its_part(lines):
    """Columns that do not stand below each other; half a message on a line of its own."""
    log.set_up()
    log.say("train", "step %d", 3)
    log.say("evaluate", "a\nb")
    assert lines() == ["train     step 3", "evaluate  a b"]


def test_set_up_again_doubles_no_line(lines):
    """Every line twice, after a command that sets up the log and calls another that does."""
    log.set_up()
    log.set_up()
    log.say("run", "done")
    assert lines() == ["run       done"]


def test_a_warning_is_given_once(lines):
    """A thousand lines of the same warning, one for each batch; or the second one swallowed."""
    log.set_up()
    for message in ("slow", "100 % full", "slow"):
        log.warn_once("store", message)
    assert lines() == ["store     warning: slow", "store     warning: 100 % full"]


def test_records_are_written_together_and_only_finite_ones(tmp_path):
    """`NaN` in a file that JSON readers refuse, or half a record for whoever reads meanwhile."""
    path = tmp_path / "log.jsonl"
    records = log.JsonLines(str(path))
    records.add({"step": 1, "loss": 0.5})
    assert not path.exists()
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.add({"step": 2, "loss": float("nan")})
    records.add({"step": 3, "loss": 0.25})
    records.save()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 3]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (37_123_456_789_000, "37.1 TB")],
)
def test_sizes_are_in_powers_of_ten(size, text):
    """37 TB told as 33.8, in units that disks and object stores are not sold in."""
    assert log.size_text(size) == text
