"""What encoding workers are at: an actor that outlives them knows what a dead one had begun."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from colintern import log
from colintern.features.attempts import Attempt, Histories, Process

if TYPE_CHECKING:
    from colintern.features.progress import EncodingProgress

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Doings:
    """What the workers are at.

    Attributes:
        num_begun: workers that have come.
        num_ready: those of them that have loaded the backbone.
        num_items: encoded items of shards that are not written yet.
    """

    num_begun: int
    num_ready: int
    num_items: int


@ray.remote(num_cpus=0)
class _TrackerActor:
    def __init__(self) -> None:
        self._histories = Histories(_is_lost)
        # Of each worker, since it was last ready.
        self._starts: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        self._ready: set[str] = set()
        self._items: Counter[str] = Counter()

    def starting(self, worker: str, process: str, node: str) -> list[str]:
        dead = [process for process, node in self._starts[worker] if not _is_lost(node)]
        self._starts[worker].append((process, node))
        return dead

    def ready(self, worker: str) -> None:
        self._starts[worker].clear()
        self._ready.add(worker)

    def begin(self, path: str, worker: str, process: Process) -> Attempt:
        self._ready.add(worker)  # after a restart of this actor nobody has told it
        self._items[path] = 0
        return self._histories.begin(path, process)

    def alone(self, path: str, item: str) -> None:
        self._histories.alone(path, item)

    def survive(self, path: str, item: str) -> None:
        self._histories.survive(path, item)

    def checked(self, path: str) -> None:
        self._histories.checked(path)

    def count(self, path: str, num_items: int) -> None:
        self._items[path] += num_items

    def end(self, path: str) -> None:
        self._histories.end(path)
        self._items.pop(path, None)

    def doings(self) -> Doings:
        num_begun = len(self._ready | set(self._starts))
        return Doings(num_begun, len(self._ready), self._items.total())


def _is_lost(node: str) -> bool:
    return not any(one["NodeID"] == node and one["Alive"] for one in ray.nodes())


class Tracker:
    """The workers' end; small, and can be sent to them.

    Args:
        actor: the actor.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def starting(self, worker: str, process: str) -> list[str]:
        """A worker begins to load the backbone.

        Args:
            worker: which it is, whatever process it has.
            process: which process, for messages.

        Returns:
            Its processes that have died since it last was ready, but for those whose machine is
            gone.
        """
        node = ray.get_runtime_context().get_node_id()
        return ray.get(self._actor.starting.remote(worker, process, node))

    def ready(self, worker: str) -> None:
        """It has loaded the backbone."""
        self._actor.ready.remote(worker)

    def begin(self, path: str) -> Attempt:
        """A worker begins a shard; see `Histories`."""
        context = ray.get_runtime_context()
        process = Process(context.get_worker_id(), context.get_node_id())
        return ray.get(self._actor.begin.remote(path, context.get_actor_id() or "", process))

    def count(self, path: str, num_items: int) -> None:
        """The model has done so many more items of a shard."""
        self._actor.count.remote(path, num_items)

    @contextmanager
    def alone(self, path: str, item: str) -> Iterator[None]:
        """What the worker may not survive, because of one item."""
        ray.get(self._actor.alone.remote(path, item))
        yield
        self._actor.survive.remote(path, item)

    def checked(self, path: str) -> None:
        """All items of a shard were tried alone."""
        ray.get(self._actor.checked.remote(path))

    def end(self, path: str) -> None:
        """A worker has ended a shard."""
        self._actor.end.remote(path)


@contextmanager
def tracking(progress: EncodingProgress, num_workers: int) -> Iterator[Tracker]:
    """A tracker for the length of a `with` block, in which it is said what the workers are at.

    Args:
        progress: says it.
        num_workers: how many of them are asked for.
    """
    # On the driver's own node and (soft=True would only prefer it) no other: those may vanish.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # If it dies it forgets who has died of what; the work goes on.
    actor: Any = _TrackerActor.options(  # pyright: ignore[reportAttributeAccessIssue]
        scheduling_strategy=here, max_restarts=-1, max_task_retries=-1
    ).remote()
    done = threading.Event()
    arguments = actor, progress, num_workers, done
    thread = threading.Thread(target=_say_doings, args=arguments, daemon=True)
    thread.start()
    try:
        yield Tracker(actor)
    finally:
        done.set()
        thread.join(timeout=5)
        ray.kill(actor)


def _say_doings(
    actor: Any, progress: EncodingProgress, num_workers: int, done: threading.Event
) -> None:
    is_at_work = False
    while not done.wait(_POLL_SECONDS):
        try:
            doings: Doings = ray.get(actor.doings.remote())
        except RayActorError:
            log.say("encode", "progress is no longer shown; the work continues")
            return
        if doings.num_ready and not is_at_work:
            is_at_work = True
            progress.at_work()
        progress.tell(doings.num_items, _in_words(doings, num_workers))


def _in_words(doings: Doings, num_workers: int) -> str:
    """What there is to say besides the progress; empty when all workers are at work."""
    if not doings.num_begun:
        return f"waiting for {num_workers} worker{'s' if num_workers > 1 else ''}"
    if not doings.num_ready:
        return "loading the backbone"
    if doings.num_ready < num_workers:
        return f"{doings.num_ready} of {num_workers} workers"
    return ""
