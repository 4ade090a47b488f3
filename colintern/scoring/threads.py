"""Threads for many small matrix products: each product is computed by one thread.

So a result does not depend on the number of threads, and threads do not wait for each other, as
they mostly would inside one small product.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def on_threads(function: Callable[[T], R], items: Iterable[T], device: torch.device) -> list[R]:
    """The results of `function` for all items, in their order.

    Args:
        function: called for one item at a time in each thread.
        items: what it is called with.
        device: on a CPU as many threads work as torch may use (`torch.set_num_threads`); on a GPU
            only the calling thread.
    """
    num_threads = torch.get_num_threads() if device.type == "cpu" else 1
    if num_threads == 1:
        return [function(item) for item in items]
    return list(_threads(num_threads).map(function, items))


@cache
def _threads(number: int) -> ThreadPoolExecutor:
    """Threads that live as long as the process; torch computes with one thread inside each.

    A new thread takes over the number of torch threads that was set last, in any thread. So all of
    ours start now and set it to 1 for themselves; then it is set back for the calling thread.
    """
    threads = ThreadPoolExecutor(number, "maxsim", _compute_alone)
    all_started = Barrier(number)  # each thread waits for all the others, so all must start
    list(threads.map(lambda _: all_started.wait(), range(number)))
    torch.set_num_threads(number)
    return threads


def _compute_alone() -> None:
    torch.get_num_threads()  # read first: torch sets it lazily and would overwrite the next line
    torch.set_num_threads(1)
