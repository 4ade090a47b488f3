"""Lines for people."""

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


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (log.QUIET, ["warning: odd"]),
        (log.NORMAL, ["said", "warning: odd"]),
        (log.VERBOSE, ["told", "said", "warning: odd"]),
    ],
)
def test_how_much_is_shown(lines, level, words):
    """`-q` that lets lines through or swallows warnings; `-v` that shows nothing more."""
    log.set_up(level)
    log.detail("run", "told")
    log.say("run", "said")
    log.warn_once("run", "odd")
    assert lines() == [f"run       {word}" for word in words]
    assert log.is_verbose() == (level == log.VERBOSE)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (37_123_456_789_000, "37.1 TB")],
)
def test_sizes_are_in_powers_of_ten(size, text):
    """37 TB told as 33.8, in units that disks and object stores are not sold in."""
    assert log.size_text(size) == text
