"""Progress from workers to the driver, shown as it happens, whatever node they are on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from colintern import log
from colintern.runtime.work import Progress, Tell

_POLL_SECONDS = 0.5


@ray.remote(num_cpus=0)
class _RelayActor:
    def __init__(self) -> None:
        self._waiting: list[tuple[int, Progress]] = []

    def tell(self, block: int, progress: Progress) -> None:
        self._waiting.append((block, progress))

    def take(self) -> list[tuple[int, Progress]]:
        taken, self._waiting = self._waiting, []
        return taken


class Reporter:
    """The workers' end; small, and can be sent to them."""

    def __init__(self, actor: Any, block: int) -> None:
        self._actor = actor
        self._block = block

    def __call__(self, progress: Progress) -> None:
        """Send `progress` and go on without waiting."""
        self._actor.tell.remote(self._block, dict(progress))


class Relay:
    """An actor that keeps what workers report until the driver shows it, one stage at a time."""

    def __init__(self) -> None:
        # On the driver's own node and (soft=True would only prefer it) no other: those may vanish.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._block = 0  # the number of the block in which things are shown
        self._actor: Any = _RelayActor.options(scheduling_strategy=here).remote()  # pyright: ignore[reportAttributeAccessIssue]

    @contextmanager
    def showing(self, show: Tell) -> Iterator[Reporter]:
        """A `Reporter` for workers; what they report is shown until the block ends.

        What arrives later is not taken for the next block's.
        """
        self._block += 1
        done = threading.Event()
        thread = threading.Thread(target=self._poll, args=(show, done), daemon=True)
        thread.start()
        try:
            yield Reporter(self._actor, self._block)
        finally:
            done.set()
            thread.join(timeout=5)

    def close(self) -> None:
        """End the actor."""
        ray.kill(self._actor)

    def _poll(self, show: Tell, done: threading.Event) -> None:
        while True:
            is_last = done.wait(_POLL_SECONDS)
            try:
                found = ray.get(self._actor.take.remote())
            except RayActorError:
                log.say("ray", "progress is no longer shown; the work continues")
                return
            for block, progress in found:
                if block == self._block:
                    show(progress)
            if is_last:
                return
