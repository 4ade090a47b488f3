"""News from workers to the driver: progress that is shown as it happens, whatever the node."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from colintern import log

News = Mapping[str, Any]
_POLL_SECONDS = 0.5


@ray.remote(num_cpus=0)
class _Relay:
    def __init__(self) -> None:
        self._news: list[News] = []

    def tell(self, news: News) -> None:
        self._news.append(news)

    def take(self) -> list[News]:
        news, self._news = self._news, []
        return news


class Teller:
    """The workers' end; small, and can be sent to them."""

    def __init__(self, relay: Any) -> None:
        self._relay = relay

    def __call__(self, news: News) -> None:
        """Send `news` and go on without waiting."""
        self._relay.tell.remote(dict(news))


@contextmanager
def relayed(show: Callable[[News], None]) -> Iterator[Teller]:
    """A `Teller` for workers; what they tell is shown on the driver until the block ends."""
    # Machines of workers may vanish, and take what runs on them along.
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
            for news in found:
                show(news)
            if is_last:
                return

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield Teller(relay)
    finally:
        done.set()
        thread.join(timeout=5)
        ray.kill(relay)
