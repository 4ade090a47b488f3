"""Processes that train together."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from typing import Any

import pytest
import torch
import torch.distributed as dist

from tests.helpers import free_port

_SECONDS = 100  # one rank that failed leaves the others waiting no longer


class Ranks:
    """Processes that stay from one test to the next: each takes seconds to import torch.

    Their group does not stay: every call makes a new one, and ends it.
    """

    def __init__(self) -> None:
        self._processes: list[ProcessPoolExecutor] = []

    def run(self, function: Callable[..., None], world_size: int, *arguments: Any) -> None:
        """Call `function(rank, world_size, *arguments)` in a gloo group of so many processes."""
        while len(self._processes) < world_size:
            self._processes.append(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        port = free_port()
        calls = [
            process.submit(_in_group, function, rank, world_size, port, arguments)
            for rank, process in enumerate(self._processes[:world_size])
        ]
        for call in calls:
            call.result(timeout=2 * _SECONDS)

    def close(self) -> None:
        """Tell all to end; nobody waits until they have."""
        for process in self._processes:
            process.shutdown(wait=False)


@pytest.fixture(scope="package")
def ranks() -> Iterator[Ranks]:
    """Up to four processes, started when they are first needed."""
    started = Ranks()
    yield started
    started.close()


def _in_group(
    function: Callable[..., None], rank: int, world_size: int, port: int, arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"tcp://127.0.0.1:{port}",
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=_SECONDS),
    )
    try:
        function(rank, world_size, *arguments)
    finally:
        dist.destroy_process_group()
