"""What runs in the processes of Ray Serve: replicas that answer in batches, and a front for HTTP.

The front is one process with the ASGI application, which asks the replicas. So a replica is busy
with nothing but its model, and what is asked while it works waits to be answered together. The
front imports no torch: it starts sooner, in a third of the memory.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
)
from ray.serve.handle import DeploymentHandle

from colintern.errors import BusyError, ColInternError
from colintern.runtime.collected_lines import CollectedLines
from colintern.runtime.errors import cause_of

APPLICATION, FRONT, REPLICA = "colintern", "front", "model"
MAX_BATCH = 16  # questions that a replica answers together
_DRAIN_LOOK_SECONDS = 0.05
_READY_SECONDS = 1  # that an answer of the controller counts: anybody may ask for it

Answer = Callable[[Sequence[Any]], list[Any]]
Ask = Callable[[Any], Awaitable[Any]]
MakeApp = Callable[[Ask, Callable[[], Awaitable[bool]]], Any]


class Replica:
    """Answers questions, a batch at a time, in a thread: its event loop goes on taking them.

    Args:
        open_answer: of `Served`.
    """

    def __init__(self, open_answer: Callable[[], Answer]) -> None:
        self._lines = CollectedLines()
        self._answer = open_answer()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.0)
    async def answer(self, questions: list[Any]) -> list[Any]:
        """The answers; an error of ours is an answer too."""
        return await asyncio.to_thread(self._answer, questions)

    def lines(self) -> list[str]:
        """What was logged since this was asked for the last time."""
        return self._lines.take()


class Front:
    """The ASGI application, in a process of its own.

    Args:
        replicas: the handle of those who answer.
        make_app: of `Served`.
    """

    def __init__(self, replicas: DeploymentHandle, make_app: MakeApp) -> None:
        self._replicas, self._make_app = replicas, make_app
        self._num_in_hand, self._is_ending = 0, False
        self._looking, self._next_look, self._has_replica = asyncio.Lock(), 0.0, False
        self._lines = CollectedLines()

    def __serve_build_asgi_app__(self) -> Any:
        """Called by Ray Serve."""
        return self._make_app(self._ask, self._is_ready)

    def lines(self) -> list[str]:
        """What was logged since this was asked for the last time."""
        return self._lines.take()

    async def drain(self) -> None:
        """Take no more questions, and wait until those in hand are answered."""
        self._is_ending = True
        while self._num_in_hand:
            await asyncio.sleep(_DRAIN_LOOK_SECONDS)

    async def _ask(self, question: Any) -> Any:
        """The answer of a replica.

        Raises:
            BusyError: too many questions wait, there is no replica to answer, or it is the end.
            ColInternError: that is the answer.
        """
        if self._is_ending:
            raise BusyError("the server is ending")
        self._num_in_hand += 1
        try:
            return await self._asked(question)
        finally:
            self._num_in_hand -= 1

    async def _asked(self, question: Any) -> Any:
        try:
            answer = await self._replicas.answer.remote(question)
        except BackPressureError as error:
            raise BusyError("too many questions are waiting; ask again later") from error
        except RayTaskError as error:  # what the replica raised: a fault of the program
            raise cause_of(error) from error
        except (DeploymentUnavailableError, RayServeException, RayError) as error:
            raise BusyError("the replica that was asked is gone; ask again later") from error
        if isinstance(answer, ColInternError):
            raise answer
        return answer

    async def _is_ready(self) -> bool:
        """Whether a replica is there; it is not asked itself, as it may have much to do."""
        async with self._looking:
            if time.monotonic() >= self._next_look:
                self._has_replica = await asyncio.to_thread(_has_replica)
                self._next_look = time.monotonic() + _READY_SECONDS
        return self._has_replica and not self._is_ending


def _has_replica() -> bool:
    try:
        states = serve.status().applications[APPLICATION].deployments[REPLICA].replica_states
    except (KeyError, RayError, RayServeException):  # on its way to the end, or gone
        return False
    return any(number for state, number in states.items() if state == "RUNNING")
