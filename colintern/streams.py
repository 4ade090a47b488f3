"""Streams of items: packed into batches by size, and read ahead of their consumer."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def packed(
    items: Iterable[T],
    size_of: Callable[[T], float],
    limit: float,
    *,
    max_items: int | None = None,
) -> Iterator[list[T]]:
    """Cut `items`, in their order, into lists that are as full as the limits allow.

    Args:
        items: read only as far as the next list needs.
        size_of: the size of one item, in any unit.
        limit: of the sizes of a list together, in the same unit; an item that is larger stands
            alone.
        max_items: how many a list may hold; None for any number.
    """
    batch: list[T] = []
    filled: float = 0
    for item in items:
        size = size_of(item)
        is_full = filled + size > limit or len(batch) == max_items
        if batch and is_full:
            yield batch
            batch, filled = [], 0
        batch.append(item)
        filled += size
    if batch:
        yield batch


def pipelined(started: Iterable[Callable[[], T]], ahead: int = 2) -> Iterator[T]:
    """The results of work that is started ahead, in order.

    Args:
        started: each call waits for the result of one piece of work; asking for it starts the work.
        ahead: how many more pieces are started before the first result is waited for.
    """
    waiting: deque[Callable[[], T]] = deque()
    for pending in started:
        waiting.append(pending)
        if len(waiting) > ahead:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


def read_ahead(items: Iterator[T], ahead: int) -> Iterator[T]:
    """The same items, of which up to `ahead` are read in a thread while one is worked on.

    An error in reading is raised where its item would come. Reading stops when the consumer does.
    """
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(ahead)
    abandoned = threading.Event()

    def put(entry: tuple[bool, Any]) -> None:
        while not abandoned.is_set():
            try:
                return ready.put(entry, timeout=0.1)
            except queue.Full:
                continue

    def read() -> None:
        try:
            for item in items:
                put((True, item))
                if abandoned.is_set():
                    return
            put((False, None))
        except BaseException as error:  # handed over to the consumer, which raises it
            put((False, error))

    threading.Thread(target=read, daemon=True).start()
    try:
        while True:
            is_item, value = ready.get()
            if is_item:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        abandoned.set()
