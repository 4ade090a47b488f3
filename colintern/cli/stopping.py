"""What ends a command from outside: Ctrl-C, SIGTERM, and SIGHUP when its terminal is closed.

The first signal ends the command in order: leases are given back, Ray is ended, temporary folders
go. That takes some seconds, in which a second one, of an impatient hand, would leave all of it
behind: it is ignored. A third ends the process at once.
"""

import contextlib
import os
import signal
from types import FrameType
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT
_WORDS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "terminal closed",
}
_LAST = 3  # so many signals end the process at once


class StopSignals:
    """Listens to the signals that end a command.

    Attributes:
        first: the signal that came first; None while none has come.
    """

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self._num_received = 0
        self._has_started = False

    def listen(self) -> None:
        """Listen from now on."""
        for number in _WORDS:
            # Shells start a process in the background so that it ignores SIGINT; a job's driver
            # has to hear it. A process that is to outlive its terminal (`nohup`) ignores SIGHUP.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._receive)

    def has_started(self) -> None:
        """From now on there is something to put in order before the end."""
        self._has_started = True

    @property
    def code(self) -> int:
        """The exit code of a command that a signal has ended."""
        return 128 + self.first if self.first else INTERRUPTED

    @property
    def line(self) -> str:
        """What is said at the end."""
        return f"{_WORDS[self.first or signal.SIGINT]}; run the same command again to continue"

    def _receive(self, number: int, _: FrameType | None) -> None:
        self._num_received += 1
        self.first = self.first or signal.Signals(number)
        if not self._has_started or self._num_received >= _LAST:
            self._end_at_once()
        if self._num_received > 1:
            return
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(self.code)

    def _end_at_once(self) -> NoReturn:
        """End without unwinding: an import that is broken off would be told as an error of it."""
        with contextlib.suppress(OSError):  # the terminal is gone
            begin = "\n" if os.isatty(2) else ""  # behind ^C, or a bar that nobody takes away
            os.write(2, f"{begin}{self.line}\n".encode())
        os._exit(self.code)
