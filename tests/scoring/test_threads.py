"""The threads of a search: what they give, and what they leave alone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
import torch

from colintern.scoring import threads
from colintern.scoring.threads import on_threads

CPU = torch.device("cpu")


@pytest.fixture
def two_threads():
    threads._threads.cache_clear()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def test_results_come_in_the_order_of_the_items(two_threads):
    """Scores under another page's index, because a thread that began later was faster."""
    second_is_done = Event()

    def first_is_last(item: int) -> int:
        if item == 0:
            assert second_is_done.wait(60)
        if item == 1:
            second_is_done.set()
        return 10 * item

    assert on_threads(first_is_last, range(5), CPU) == [0, 10, 20, 30, 40]


def test_the_threads_of_the_process_are_left_alone(two_threads):
    """Every thread that starts after a search computes on one core; or ours on all of them."""
    both = Barrier(2)
    own = on_threads(lambda _: both.wait() >= 0 and torch.get_num_threads(), "ab", CPU)
    assert own == [1, 1]
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 2
