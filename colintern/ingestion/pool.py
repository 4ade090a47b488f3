"""Worker processes: a page that crashes the renderer, or hangs it, costs only that page.

Each worker is an executor of one process. So when a process dies, the item that killed it is known
and the other workers are not disturbed. (In Pebble's pool the workers share one channel: one that
dies while it sends its result leaves the channel locked, and the whole pool ends. It also starts
all processes at once, even for a single item.)
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from colintern.ingestion.orphans import die_with_the_parent

# A page takes a tenth of a second, the slowest maps about ten seconds: what takes longer hangs.
# A part that is only slow loses nothing: its pages are tried again one by one.
SECONDS_PER_PART = 600.0
SECONDS_PER_PAGE = 120.0

Work = TypeVar("Work")
Result = TypeVar("Result")


class CrashedError(Exception):
    """The process that did this work has died; the message says why, in a few words."""


@dataclass(frozen=True)
class _Task(Generic[Work]):
    """An item in the hands of a worker."""

    item: Work
    worker: ProcessPoolExecutor
    began: float


class Processes:
    """Up to `num_processes` workers, each started when it is first needed.

    None outlives this process.
    """

    def __init__(self, num_processes: int) -> None:
        self._num_processes = num_processes
        self._idle: list[ProcessPoolExecutor] = []
        self._all: list[ProcessPoolExecutor] = []
        self._not_ours: set[BaseProcess] = set()
        # Workers end with the thread that started them: this one lives as long as the pool.
        self._starter = ThreadPoolExecutor(1)

    def __enter__(self) -> "Processes":
        self._not_ours = set(multiprocessing.active_children())
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:  # after Ctrl-C nobody waits for a page that takes minutes
            for process in set(multiprocessing.active_children()) - self._not_ours:
                process.kill()
        for worker in self._all:
            worker.shutdown(cancel_futures=True)
        self._starter.shutdown()

    def each(
        self, function: Callable[[Work], Result], work: Iterable[Work], seconds: float
    ) -> Iterator[tuple[Work, Result | CrashedError]]:
        """`function` of every item, in the order in which they finish.

        Args:
            function: of one item; what it raises is raised here.
            work: the items; one is taken when a worker is free for it.
            seconds: the time for one item; after that its process is killed.

        Yields:
            The item and its result, or `CrashedError` for one whose process died.
        """
        waiting = iter(work)
        busy: dict[Future[Result], _Task[Work]] = {}
        self._hand_out(function, waiting, seconds, busy)
        while busy:
            done, _ = wait(busy, return_when=FIRST_COMPLETED)
            finished = [(future, busy.pop(future)) for future in done]
            results = [self._result(future, task, seconds) for future, task in finished]
            self._hand_out(function, waiting, seconds, busy)
            yield from zip((task.item for _, task in finished), results, strict=True)

    def _hand_out(
        self,
        function: Callable[[Work], Result],
        waiting: Iterator[Work],
        seconds: float,
        busy: dict[Future[Result], _Task[Work]],
    ) -> None:
        """Give an item to each free worker, until there are no items."""
        while len(busy) < self._num_processes:
            try:
                item = next(waiting)
            except StopIteration:
                return
            worker = self._idle.pop() if self._idle else self._started()
            future = worker.submit(_bounded, function, item, seconds)
            busy[future] = _Task(item, worker, time.monotonic())

    def _result(
        self, future: Future[Result], task: _Task[Work], seconds: float
    ) -> Result | CrashedError:
        try:
            result = future.result()
        except BrokenProcessPool:
            self._all.remove(task.worker)
            task.worker.shutdown()
            if time.monotonic() - task.began >= seconds:
                return CrashedError(f"the renderer does not finish in {seconds:g} seconds")
            return CrashedError("it crashes the renderer")
        self._idle.append(task.worker)
        return result

    def _started(self) -> ProcessPoolExecutor:
        worker = ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), initializer=_set_up_worker
        )
        self._all.append(worker)
        # The first work starts the process, in the thread that hands it in.
        self._starter.submit(worker.submit, os.getpid).result()
        return worker


def _bounded(function: Callable[[Work], Result], item: Work, seconds: float) -> Result:
    """`function` of `item`, in a worker; the kernel ends the process when the time is over.

    This works also inside a C library that never returns to Python.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return function(item)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _set_up_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's
    die_with_the_parent()
    _silence()


def _silence() -> None:
    """Let nothing onto the terminal: what PDFium, libtiff and Pillow remark on damaged files.

    C libraries write to the file descriptor. An error of ours goes to the driver as a result.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
