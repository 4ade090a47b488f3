"""The log of a process that nobody sees, kept for whoever asks for it."""

import logging
from collections import deque

_MAX_LINES = 100  # between two looks; older ones go


class CollectedLines(logging.Handler):
    """Our log in this process, kept until somebody asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: deque[str] = deque(maxlen=_MAX_LINES)
        logger = logging.getLogger("colintern")
        logger.handlers[:] = [self]
        logger.setLevel(logging.INFO)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._kept.append(record.getMessage())

    def take(self) -> list[str]:
        """The lines, once."""
        return [self._kept.popleft() for _ in range(len(self._kept))]
