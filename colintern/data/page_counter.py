"""A line of progress every few seconds, for work on many pages."""

import time

from colintern import log

_SECONDS = 2.0


class PageCounter:
    """Counts pages and says how many are done, how fast.

    Args:
        part: of the work, as `log.say` takes it.
        what: the words behind the number: `pages written`.
        total: number of pages; None if it is unknown.
    """

    def __init__(self, part: str, what: str, total: int | None = None) -> None:
        self._part = part
        self._what = what
        self._total = total
        self._done = 0
        self._began = self._last = time.monotonic()

    def add(self, count: int) -> None:
        """Count pages that are done."""
        self._done += count
        now = time.monotonic()
        if now - self._last > _SECONDS or self._done == self._total:
            self._last = now
            of_total = "" if self._total is None else f" / {self._total:,}"
            rate = self._done / max(now - self._began, 1e-9)
            shown = f"{self._done:,}{of_total} {self._what}"
            log.say(self._part, "%s   %.1f pages/s", shown, rate)
