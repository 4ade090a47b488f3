"""How far a pass is, in lines; `test_bar` has the terminal."""

import logging
import threading

import pytest

from colintern import log


@pytest.fixture
def said(caplog):
    """The lines so far."""
    caplog.set_level(logging.INFO, "colintern")
    return lambda: [record.getMessage() for record in caplog.records]


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "at_least", "at_most"), [(1, 1, 1), (12, 4, 5), (60, 6, 9), (36_000, 600, 660)]
)
def test_a_pass_is_told_now_and_then(said, seconds, at_least, at_most):
    """An evaluation without a line; twelve lines of a minute; a night told in twenty thousand."""
    clock, total = _Clock(), max(100, seconds)
    with log.Progress("evaluate", "round 1  dev", "queries", total, clock=clock) as progress:
        for _ in range(total):
            clock.now += seconds / total
            progress.add(1)
    lines = said()
    assert at_least <= len(lines) <= at_most
    assert all(line.startswith("evaluate  round 1  dev: ") for line in lines)
    assert lines[-1].split(": ", 1)[1].startswith(f"{total:,} / {total:,} queries")


def test_a_line_has_counts_rate_and_time_left(said):
    """Twelve hours of lines without a word of when it ends."""
    clock = _Clock()
    with log.Progress("encode", "", "items", 4_000, clock=clock) as progress:
        clock.now = 100.0  # workers start
        progress.at_work()
        clock.now = 110.0
        progress.reach(1_000, short="1 / 4 shards", more="64 tokens")
        clock.now = 140.0
        progress.reach(4_000, short="4 / 4 shards")
    assert said() == [
        "encode    1,000 / 4,000 items   1 / 4 shards   64 tokens   100 items/s   0:30 left",
        "encode    4,000 / 4,000 items   4 / 4 shards   100 items/s   in 2:20",
    ]


def test_a_pass_without_a_total_is_told_too(said):
    """A division by nothing; a dataset whose size nobody knows, copied in silence."""
    clock = _Clock()
    with log.Progress("data", "copying", "pages", clock=clock) as progress:
        for _ in range(3):
            clock.now += 10
            progress.add(25)
    assert said()[0] == "data      copying: 25 pages   2.5 pages/s"
    assert said()[-1] == "data      copying: 75 pages   2.5 pages/s   in 0:30"


def test_a_pass_that_begins_again_counts_anew(said):
    """Minus 300 queries a second, after a machine was lost and the search was begun again."""
    clock = _Clock()
    with log.Progress("mine", "", "queries", clock=clock) as progress:
        for done, now in ((0, 50), (900, 80), (0, 100), (100, 110), (1_000, 200)):
            clock.now = float(now)
            progress.reach(done, 1_000)
    assert said()[-2] == "mine      100 / 1,000 queries   10.0 queries/s   1:30 left"
    assert said()[-1] == "mine      1,000 / 1,000 queries   10.0 queries/s   in 1:40"


def test_nothing_done_and_a_failure_have_no_last_line(said):
    """`0 pages` of a pass with nothing to do; `1 / 9 pages in 0:00` of one that has failed."""
    with log.Progress("ingest", "drawing", "pages", 0):
        pass
    progress = log.Progress("ingest", "drawing", "pages", 9)
    with pytest.raises(ZeroDivisionError), progress:
        _fail_after(progress)
    progress.add(1)  # of a worker that has not heard of it
    assert said() == []


def _fail_after(progress: log.Progress) -> None:
    progress.add(1)
    raise ZeroDivisionError


def test_threads_share_a_pass(said):
    """Items that are lost between the thread of the driver and that which polls workers."""
    with log.Progress("encode", "", "items", 4_000) as progress:
        threads = [
            threading.Thread(target=lambda: [progress.add(1) for _ in range(1_000)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert said()[-1].startswith("encode    4,000 / 4,000 items")
