"""Pages are prepared in tasks of their own, ahead of the model, on whatever node has a CPU free.

How much memory that takes in the object store does not depend on the corpus. A worker has two
shards in hand, and of each as many batches ahead as it asks for, and the next. The shard that has
the model also keeps the batch before until it has the next. So it is at most

    workers x (2 x ahead + 3) x batch_tokens / tokens of a tile x 3 x height x width bytes.

With InternVL3-1B, whose tiles have 256 tokens and 448 x 448 pixels, a batch of 16,384 tokens is 64
tiles, 39 MB: 0.27 GB a worker with 2 batches ahead, 1.4 GB with 16, which is the most.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayTaskError,
    WorkerCrashedError,
)

from colintern.features.preparing import PageBatch, PreparedPages, joined, prepare, refused
from colintern.model.tiles import Tiler
from colintern.runtime.errors import WorkersDiedError, cause_of

_KILLS = "its decoding kills the process"
_LEAST_AHEAD, _MOST_AHEAD = 2, 16
_RETRIES_OF_A_BATCH, _RETRIES_OF_A_PAGE = 1, 2
_PATIENCE_SECONDS = 30.0
_DEATHS_OF_A_MACHINE = (NodeDiedError, ObjectLostError)
_DEATHS = (WorkerCrashedError, OutOfMemoryError, *_DEATHS_OF_A_MACHINE)
_MOST_MACHINES = 10  # that are lost over one page, each of them for all of its tries


@dataclass(frozen=True)
class Supply:
    """How a worker has its pages prepared.

    Attributes:
        ahead: batches that are prepared, or in work, besides the one in use.
        num_cpus: of each task; 0 where the workers have all CPUs there are, and will ever be.
    """

    ahead: int
    num_cpus: int


def supply(
    num_workers: int, cpus_per_worker: int, *, may_grow: bool, is_starved: bool = False
) -> Supply:
    """What the cluster has to offer now to each of some workers.

    Args:
        num_workers: as many as there may be.
        cpus_per_worker: the CPUs that each of them keeps for itself.
        may_grow: whether more nodes may come, if tasks wait for CPUs.
        is_starved: whether tasks have waited for a CPU in vain; they ask for one again when one is
            free.
    """
    cpus = int(ray.cluster_resources().get("CPU", 0))
    free = cpus - num_workers * cpus_per_worker
    ahead = min(max(free // num_workers, _LEAST_AHEAD), _MOST_AHEAD)
    asks = ray.available_resources().get("CPU", 0) >= 1 if is_starved else may_grow or free >= 1
    return Supply(ahead, 1 if asks else 0)


class PreparedAhead:
    """The batches of a shard in their order, prepared ahead of whoever takes them.

    The first are begun at once.

    Args:
        batches: the pages.
        tiler: makes tiles of them.
        wanted: how far ahead, and with which CPUs.
        starved: set when tasks have waited for a CPU in vain; no other shard then waits again.
    """

    def __init__(
        self,
        batches: Iterable[PageBatch],
        tiler: Tiler,
        wanted: Supply,
        starved: threading.Event | None = None,
    ) -> None:
        self._batches = iter(batches)
        self._tiler = tiler
        self._ahead = wanted.ahead
        self._num_cpus = wanted.num_cpus
        self._starved = starved or threading.Event()
        self._begun: deque[tuple[PageBatch, Any]] = deque()
        self._begin()

    def __iter__(self) -> Iterator[PreparedPages]:
        while self._begun:
            batch, task = self._begun.popleft()
            yield self._result(batch, task)
            self._begin()

    def _begin(self) -> None:
        """Begin tasks up to the batch that is `ahead` of the next."""
        while len(self._begun) <= self._ahead and (batch := next(self._batches, None)):
            self._begun.append((batch, self._task(batch, _RETRIES_OF_A_BATCH)))

    def _task(self, batch: PageBatch, max_retries: int) -> Any:
        task: Any = _prepare.options(num_cpus=self._num_cpus, max_retries=max_retries)  # pyright: ignore[reportAttributeAccessIssue]
        return task.remote(batch, self._tiler)

    def _result(self, batch: PageBatch, task: Any) -> PreparedPages:
        """A prepared batch; of one whose process has died, the pages are tried one by one.

        Raises:
            DatasetError: a page is not the one that was listed.
        """
        try:
            return self._got(batch, task, _RETRIES_OF_A_BATCH)
        except _DEATHS:
            return joined([self._alone(page) for page in batch.single()])

    def _alone(self, page: PageBatch) -> PreparedPages:
        """A page in a task of its own; a bad one if the process dies of it each time.

        Raises:
            WorkersDiedError: machines were lost each time; or Ray has killed the process each time
                because its machine was short of memory, which others may have taken.
        """
        for _ in range(_MOST_MACHINES):
            try:
                return self._got(page, self._task(page, _RETRIES_OF_A_PAGE), _RETRIES_OF_A_PAGE)
            except WorkerCrashedError:
                return refused(page, self._tiler, _KILLS)
            except OutOfMemoryError as error:
                raise WorkersDiedError(
                    f"page {page.page_ids[0]}: whoever decodes it is killed, as its machine is "
                    "short of memory; use machines with more, or fewer cluster.encode_workers"
                ) from error
            except _DEATHS_OF_A_MACHINE:
                continue
        raise WorkersDiedError(
            f"page {page.page_ids[0]}: the machine was lost each of {_MOST_MACHINES} times that "
            "it was decoded; is the cluster stable?"
        )

    def _got(self, batch: PageBatch, task: Any, max_retries: int) -> PreparedPages:
        """The result of a task.

        If it does not come, all are begun again without a CPU of their own: others may have taken
        every CPU, for longer than anybody should wait.
        """
        patience = 0 if self._starved.is_set() else _PATIENCE_SECONDS
        if self._num_cpus and not ray.wait([task], timeout=patience)[0]:
            self._num_cpus = 0
            self._starved.set()
            again = self._task(batch, max_retries)
            for _, waiting in self._begun:
                ray.cancel(waiting)
            self._begun = deque(
                (later, self._task(later, _RETRIES_OF_A_BATCH)) for later, _ in self._begun
            )
            (task, *_), _ = ray.wait([task, again])
        try:
            return ray.get(task)
        except RayTaskError as error:
            raise cause_of(error) from None


@ray.remote
def _prepare(batch: PageBatch, tiler: Tiler) -> PreparedPages:
    return prepare(batch, tiler)
