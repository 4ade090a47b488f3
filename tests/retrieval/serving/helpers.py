"""Answers in this process, in place of the replicas."""

import asyncio
from typing import Any

from colintern.retrieval.serving.answering import Answering


class AskHere:
    """Asks an open run of this process.

    Args:
        answering: the run.
    """

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def __call__(self, question: Any) -> Any:
        """The answer; errors are raised."""
        (answer,) = await asyncio.to_thread(self._answering.answer, [question])
        if isinstance(answer, Exception):
            raise answer
        return answer


class Raises:
    """Answers every question with an error.

    Args:
        error: the error.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __call__(self, question: Any) -> Any:
        """Raise it."""
        raise self._error


async def is_ready() -> bool:
    """Always."""
    return True
