"""Work in processes of its own: a page that crashes the renderer costs that page."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class CrashedError(Exception):
    """The process that did this work has died."""


class Processes:
    """Up to `num_processes` workers, started when they are first needed."""

    def __init__(self, num_processes: int) -> None:
        self._num_processes = num_processes
        self._pool = _pool(num_processes)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def each(
        self, function: Callable[[Work], Result], work: Sequence[Work]
    ) -> Iterator[tuple[Work, Result | CrashedError]]:
        """`function` of every item, as they are finished.

        When a process dies, what was not finished is done again, one item in a process at a time,
        so that the item that kills it is known.

        Yields:
            The item and its result, or `CrashedError` for one that killed its process.
        """
        places = {self._pool.submit(function, item): place for place, item in enumerate(work)}
        left = dict.fromkeys(places.values())
        try:
            for future in as_completed(places):
                result = future.result()
                del left[places[future]]
                yield work[places[future]], result
        except BrokenProcessPool:
            self._pool = _pool(self._num_processes)
            for place in left:
                yield work[place], alone(function, work[place])


def alone(function: Callable[[Work], Result], item: Work) -> Result | CrashedError:
    """`function` of one item in a process of its own."""
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return CrashedError()


def _pool(num_processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        num_processes, multiprocessing.get_context("spawn"), initializer=_leave_ctrl_c_to_the_driver
    )


def _leave_ctrl_c_to_the_driver() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
