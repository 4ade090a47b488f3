"""The log of a run folder."""

import re

import pytest

from colintern import log, storage
from colintern.errors import LeaseLostError


def _free() -> None:
    """Nobody has taken over."""


def _words(path) -> list[str]:
    """The lines of a log without their dates, which all of them have."""
    lines = path.read_text().splitlines()
    found = [re.fullmatch(r"[-\d]{10} [:\d]{8} [+-]\d{4}  (.*)", line) for line in lines]
    return [line[1] if line else "a line without a date" for line in found]


def test_all_that_is_said_is_kept_and_added_to(tmp_path):
    """Lines before the run folder is known that are lost; a second command that begins anew.

    Also what `-q` hides, and details.
    """
    path = tmp_path / "log.txt"
    log.set_up(log.QUIET)
    log.say("config", "read")
    with log.kept(str(path), _free):
        log.say("train", "step %d", 3)
        log.save()
        assert len(_words(path)) == 2
        log.detail("run", "took 3 s")
        log.warn_once("data", "100 % full")
    log.say("run", "of another run")
    assert _words(path) == [
        "config    read",
        "train     step 3",
        "run       took 3 s",
        "data      warning: 100 % full",
    ]
    with log.kept(str(path), _free):
        log.say("run", "again")
    assert _words(path)[4:] == ["run       of another run", "run       again"]


def test_what_ended_the_work_is_its_last_line(tmp_path):
    """A log that stops in the middle, and nobody knows whether by Ctrl-C or by a full disk."""
    path = tmp_path / "log.txt"
    with pytest.raises(KeyboardInterrupt), log.kept(str(path), _free):
        raise KeyboardInterrupt
    assert _words(path) == ["end       KeyboardInterrupt()"]


def test_a_driver_that_was_taken_over_writes_nothing(tmp_path):
    """The log of the new driver, written over by the old one."""

    def lost() -> None:
        raise LeaseLostError("taken over")

    path = tmp_path / "log.txt"
    with log.kept(str(path), lost):
        log.say("run", "late")
    assert not path.exists()


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path):
    """A run of hours that fails for its log; a log of months that is lost for one read."""
    (tmp_path / "log.txt").mkdir()
    with log.kept(str(tmp_path / "log.txt"), _free):
        log.say("run", "on")
    assert list(tmp_path.iterdir()) == [tmp_path / "log.txt"]


def test_the_log_stands_on_an_object_store_too(bucket):
    """A log that is opened for appending, which S3 does not know."""
    path = storage.join(bucket, "run", "log.txt")
    for word in ("first", "second"):
        with log.kept(path, _free):
            log.say("run", word)
    lines = storage.read_bytes(path).decode().splitlines()
    assert [line.split()[-1] for line in lines] == ["first", "second"]
