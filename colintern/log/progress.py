"""How far a pass of work is: a bar with the time left on a terminal, lines elsewhere.

All passes are told alike: reading data, ingest, encoding, training, mining, evaluation.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from colintern.log import bar, journal, lines

# A line comes at each quarter, and after a pause, which grows: often while somebody looks on, and
# not thousands of them in a night.
_LEAST_SECONDS = 2.0
_PAUSES = ((60, 10), (600, 20), (float("inf"), 60))
_QUARTERS = 4
_SECONDS_A_DRAW = 0.1


class Progress:
    """Counts what is done and tells it, from the first call until the end of a `with` block.

    A pass that ends without an error has a last line, on a terminal too. Threads may share it.

    Args:
        part: of the work, as `say` takes it.
        what: is done, in a few words; may be empty.
        unit: what is counted, in the plural.
        total: how many there are; None if it is not known, or not yet.
        tells_rate: whether to say how many are done a second.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        part: str,
        what: str,
        unit: str,
        total: int | None = None,
        *,
        tells_rate: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._part, self._what, self._unit, self._total = part, what, unit, total
        self._tells_rate, self._clock = tells_rate, clock
        self._lock = threading.RLock()
        self._done = self._quarter = 0
        self._short = self._more = ""
        self._began = self._said = clock()
        self._drawn = float("-inf")
        self._from = self._began, 0  # since when the rate counts, and what was done then
        self._has_begun = self._is_closed = False
        self._bar: bar.Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._is_closed = True
            if self._bar is not None:
                self._bar.close()
            if kind is None and self._has_begun:
                lines.say(self._part, "%s", self._line(is_last=True))

    def at_work(self, done: int = 0) -> None:
        """What comes before the work has ended, such as loading a model: the rate counts from now.

        Args:
            done: what is done by now, and tells nothing of the rate.
        """
        with self._lock:
            self._from = self._clock(), done

    def add(self, count: int, short: str = "", more: str = "") -> None:
        """So many more are done; arguments as of `reach`."""
        with self._lock:
            self.reach(self._done + count, short=short, more=more)

    def reach(
        self, done: int, total: int | None = None, *, short: str = "", more: str = ""
    ) -> None:
        """So many are done.

        Args:
            done: in all. With 0, or fewer than before, a pass begins, and its time counts from
                here.
            total: how many there are; None for as many as was said before.
            short: what else there is to say, for the bar too.
            more: what lines say besides.
        """
        with self._lock:
            if self._is_closed:
                return
            if done < self._done or (done == 0 and not self._has_begun):
                self._began = self._said = self._clock()
                self._from, self._quarter = (self._began, done), 0
            self._done, self._total = done, self._total if total is None else total
            self._short, self._more = short, more
            self._show()

    def _show(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            title = f"{self._part:<9} {self._what}".rstrip()
            self._bar = bar.Bar.open(title) if lines.draws_bars() else None
        now = self._clock()
        quarter = self._done * _QUARTERS // self._total if self._total else 0
        if self._is_line_due(now, quarter):
            self._said, self._quarter = now, quarter
            if self._bar is None:
                lines.say(self._part, "%s", self._line())
            else:  # whoever sees a bar has no need of the line; the log of the run has it
                journal.note(f"{self._part:<9} {self._line()}")
        if self._bar is not None and now - self._drawn >= _SECONDS_A_DRAW:
            self._drawn = now
            self._bar.show(self._done, self._total, self._words())

    def _is_line_due(self, now: float, quarter: int) -> bool:
        if self._done == self._total:  # the end has a line of its own
            return False
        pause = next(pause for until, pause in _PAUSES if now - self._began < until)
        since = now - self._said
        return since >= pause or (quarter > self._quarter and since >= _LEAST_SECONDS)

    def _line(self, *, is_last: bool = False) -> str:
        what = f"{self._what}: " if self._what else ""
        return what + self._words(is_line=True, is_last=is_last)

    def _words(self, *, is_line: bool = False, is_last: bool = False) -> str:
        now, (since, before) = self._clock(), self._from
        rate = (self._done - before) / max(now - since, 1e-9)
        of_total = "" if self._total is None else f" / {self._total:,}"
        words = [f"{self._done:,}{of_total} {self._unit}", self._short]
        if is_line:
            words.append(self._more)
        if rate and self._tells_rate:
            words.append(f"{_number(rate)} {self._unit}/s")
        if is_last:
            words.append(f"in {_duration(now - self._began)}")
        elif rate and self._total and self._total > self._done:
            words.append(f"{_duration((self._total - self._done) / rate)} left")
        return "   ".join(filter(None, words))


def _number(rate: float) -> str:
    if rate >= 100:
        return f"{rate:,.0f}"
    return f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"


def _duration(seconds: float) -> str:
    """`0:07`, `12:30` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
