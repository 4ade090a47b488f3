"""Progress from workers to the driver, shown as it happens, whatever node they are on."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from colintern import log

Progress = Mapping[str, Any]
_POLL_SECONDS = 0.5


@ray.remote(num_cpus=0)
class _Relay:
    def __init__(self) -> None:
        self._waiting: list[Progress] = []

    def tell(self, progress: Progress) -> None:
        self._waiting.append(progress)

    def take(self) -> list[Progress]:
        taken, self._waiting = self._waiting, []
        return taken


class Reporter:
    """The workers' end; small, and can be sent to them."""

    def __init__(self, relay: Any) -> None:
        self._relay = relay

    def __call__(self, progress: Progress) -> None:
        """Send `progress` and go on without waiting."""
        self._relay.tell.remote(dict(progress))


@contextmanager
def relayed(show: Callable[[Progress], None]) -> Iterator[Reporter]:
    """A `Reporter` for workers; what they report is shown on the driver until the block ends."""
    # The driver's own node: another one may vanish, with all that runs on it.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    relay: Any = _Relay.options(scheduling_strategy=here).remote()  # pyright: ignore[reportAttributeAccessIssue]
    done = threading.Event()

    def poll() -> None:
        while True:
            is_last = done.wait(_POLL_SECONDS)
            try:
                found = ray.get(relay.take.remote())
            except RayActorError:
                log.say("ray", "the progress of this stage is lost; its work goes on")
                return
            for progress in found:
                show(progress)
            if is_last:
                return

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield Reporter(relay)
    finally:
        done.set()
        thread.join(timeout=5)
        ray.kill(relay)
