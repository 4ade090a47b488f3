"""A bar with the time left at the bottom of a terminal, by rich; lines appear above it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_DRAWS_A_SECOND = 4
_WIDTH = 24

_drawn: Bar | None = None


def drawn() -> Bar | None:
    """The bar that is drawn at this moment; there is at most one."""
    return _drawn


class Bar:
    """A bar, from `open` until it is closed; then nothing of it stays on the terminal.

    Args:
        title: what stands before it.
    """

    def __init__(self, title: str) -> None:
        # Imported now: a tenth of a second, which only those wait for who see a bar.
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = _console()
        self._progress = Progress(
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(_WIDTH),
            TextColumn("{task.fields[said]}", markup=False),
            console=self._console,
            transient=True,
            refresh_per_second=_DRAWS_A_SECOND,
            redirect_stdout=False,  # results go there, perhaps into a file
        )
        self._task = self._progress.add_task(title, total=None, said="")

    @classmethod
    def open(cls, title: str) -> Bar | None:
        """A bar that is drawn from now on; None where another one is."""
        global _drawn
        if _drawn is not None:
            return None
        _drawn = cls(title)
        _drawn._progress.start()
        return _drawn

    def show(self, done: int, total: int | None, said: str) -> None:
        """Show how far it is.

        Args:
            done: so many of `total` are done.
            total: None where nobody knows; the bar only says then that something happens.
            said: what stands behind it.
        """
        self._progress.update(self._task, completed=done, total=total, said=said)

    def write_above(self, line: str) -> None:
        """Write a line above the bar, as it is: a long one is not cut into several."""
        self._console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        global _drawn
        _drawn = None
        self._progress.stop()


def _console() -> Console:
    """Standard error, whose cursor stays visible: a process that is killed cannot bring it back."""
    from rich.console import Console

    class _CursorStays(Console):
        def show_cursor(self, show: bool = True) -> bool:
            return False

    return _CursorStays(file=sys.stderr)
