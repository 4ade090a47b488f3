"""Work in processes of its own: a page that crashes the renderer costs that page."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class CrashedError(Exception):
    """The process that did this work has died."""


def in_processes(
    function: Callable[[Work], Result], work: Sequence[Work], num_processes: int
) -> Iterator[tuple[Work, Result | CrashedError]]:
    """`function` of every item, as they are finished.

    When a process dies, what was not finished is done again, one item in a process at a time, so
    that the item that kills it is known.

    Yields:
        The item and its result, or `CrashedError` for one that killed its process.
    """
    left = dict.fromkeys(range(len(work)))
    try:
        for place, result in _all(function, work, num_processes):
            del left[place]
            yield work[place], result
    except BrokenProcessPool:
        for place in left:
            yield work[place], _alone(function, work[place])


def _all(
    function: Callable[[Work], Result], work: Sequence[Work], num_processes: int
) -> Iterator[tuple[int, Result]]:
    if not work:
        return
    pool = _pool(min(num_processes, len(work)))
    try:
        places: dict[Future[Result], int] = {
            pool.submit(function, item): place for place, item in enumerate(work)
        }
        for future in as_completed(places):
            yield places[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(function: Callable[[Work], Result], item: Work) -> Result | CrashedError:
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
