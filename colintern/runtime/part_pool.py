"""Parts of some work, made by actors of Ray; `parts` says what a part is."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
import torch
from ray.exceptions import OutOfMemoryError, RayActorError

from colintern import log
from colintern.config.schema import Config
from colintern.errors import ColInternError
from colintern.records.lease import Held
from colintern.runtime.cluster import Cluster, device_of
from colintern.runtime.errors import WorkersDiedError
from colintern.runtime.parts import Maker, OpenMaker, Part
from colintern.runtime.shared import why_not_to_work

_MOST_DEATHS = 3  # of workers that had the same part, or, one after the other, none yet
_LOST = (RayActorError, OutOfMemoryError)


class RayPartsCrew:
    """See `parts.PartsCrew`: as many actors as `cluster.encode_workers`, each with a part in hand.

    All are asked for at once, as an autoscaler sees; work starts with the first that comes. One
    that dies is replaced, and its part is made again.

    Args:
        cluster: where they are; joined or started when there is something to make.
        config: how many, and what each of them needs.
    """

    def __init__(self, cluster: Cluster, config: Config) -> None:
        self._cluster = cluster
        self._wanted = config.cluster

    def make(self, parts: Sequence[Part], open_maker: OpenMaker, held: Held) -> Iterator[Part]:
        """Make parts wherever there is a worker free.

        Raises:
            ColInternError: what went wrong in one of them.
            WorkersDiedError: the same part has ended several workers.
        """
        self._cluster.ensure()
        wanted = self._wanted
        worker = _PartWorker.options(  # pyright: ignore[reportAttributeAccessIssue]
            num_cpus=wanted.cpus_per_worker, num_gpus=1 if wanted.use_gpu else 0
        )
        arguments = open_maker, device_of(wanted.use_gpu), wanted.cpus_per_worker, held
        num_workers = min(wanted.most_encode_workers, len(parts))
        pool = _Pool(lambda: worker.remote(*arguments), num_workers)
        try:
            yield from pool.made(parts)
        finally:
            pool.close()


class _Pool:
    """Workers, and what each of them has in hand: a part, or None while it starts.

    Args:
        start: starts a worker.
        num_workers: how many there are to be.
    """

    def __init__(self, start: Callable[[], Any], num_workers: int) -> None:
        self._start = start
        self._at_work: dict[Any, tuple[Any, Part | None]] = {}  # by the answer that is waited for
        self._deaths: Counter[str] = Counter()
        for _ in range(num_workers):
            self._begin()

    def made(self, parts: Sequence[Part]) -> Iterator[Part]:
        """The parts, as they are made."""
        waiting = deque(parts)
        num_left = len(waiting)
        while num_left:
            (answer,), _ = ray.wait(list(self._at_work), num_returns=1)
            worker, part = self._at_work.pop(answer)
            try:
                error: ColInternError | None = ray.get(answer)
            except _LOST:
                ray.kill(worker)  # it may only be out of reach
                self._count_death(part)
                if part is not None:
                    waiting.appendleft(part)
                self._begin()
                continue
            if error is not None:
                raise error
            self._deaths.pop(_named(part), None)
            if waiting:
                following = waiting.popleft()
                self._at_work[worker.make.remote(following)] = worker, following
            else:
                ray.kill(worker)
            if part is not None:
                num_left -= 1
                yield part

    def close(self) -> None:
        """End the workers that are left, and give their resources back."""
        for worker, _ in self._at_work.values():
            ray.kill(worker)
        self._at_work.clear()

    def _begin(self) -> None:
        worker = self._start()
        self._at_work[worker.start.remote()] = worker, None

    def _count_death(self, part: Part | None) -> None:
        name = _named(part)
        self._deaths[name] += 1
        if self._deaths[name] >= _MOST_DEATHS:
            raise WorkersDiedError(
                f"{self._deaths[name]} workers have died of {name}; has the node too little "
                "memory? Ray's logs there tell more"
            )
        log.say("ray", "a worker was lost (%s); another one starts", name)


def _named(part: Part | None) -> str:
    """What a worker has in hand, in words."""
    return "starting" if part is None else f"making {part.path}"


@ray.remote(max_restarts=0)
class _PartWorker:
    """Answers with what went wrong on purpose: Ray would put its own traceback around it."""

    def __init__(self, open_maker: OpenMaker, device: str, num_threads: int, held: Held) -> None:
        torch.set_num_threads(num_threads)
        self._open_maker, self._device, self._held = open_maker, device, held
        self._maker: Maker | None = None

    def start(self) -> ColInternError | None:
        if error := why_not_to_work(self._held):
            return error
        try:
            self._maker = self._open_maker(self._device)
        except ColInternError as error:
            return error
        return None

    def make(self, part: Part) -> ColInternError | None:
        if error := why_not_to_work(self._held):
            return error
        assert self._maker is not None
        try:
            self._maker(part)
        except ColInternError as error:
            return error
        return None
