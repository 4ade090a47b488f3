"""Packing and reading ahead."""

import threading

import pytest

from colintern.streams import packed, pipelined, read_ahead


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([3, 3, 3], [[3, 3], [3]]),
        ([7, 1], [[7, 1]]),
        ([9, 1, 1], [[9], [1, 1]]),  # larger than the limit, and alone
        ([1, 9, 1], [[1], [9], [1]]),
        ([0, 8, 0, 1], [[0, 8, 0], [1]]),
    ],
)
def test_packs_as_much_as_the_limit_allows(sizes, expected):
    """A batch above its budget, an item that is lost, or an empty batch for one that is large."""
    assert list(packed(sizes, int, 8)) == expected


def test_a_batch_holds_no_more_items_than_it_may():
    """Thousands of tiny items in one batch; or a count that goes on behind a full batch."""
    assert list(packed([1] * 5, int, 8, max_items=2)) == [[1, 1], [1, 1], [1]]
    assert list(packed([5, 4, 1, 1, 1], int, 8, max_items=2)) == [[5], [4, 1], [1, 1]]


def test_packing_reads_no_further_than_it_must():
    """A whole corpus in memory before its first batch."""
    read = []

    def items():
        for number in range(10):
            read.append(number)
            yield number

    next(packed(items(), lambda _: 1, 2))
    assert read == [0, 1, 2]


def test_work_is_started_ahead_and_comes_in_order():
    """Workers that wait for each other, or results of another batch."""
    started = []

    def work():
        for number in range(5):
            started.append(number)
            yield lambda number=number: number

    results = pipelined(work(), ahead=2)
    assert next(results) == 0
    assert started == [0, 1, 2]
    assert list(results) == [1, 2, 3, 4]


def test_reads_ahead_in_order_and_hands_errors_over():
    """A damaged shard that ends training without a word, or before its turn."""

    def items():
        yield from range(3)
        raise ValueError("damaged")

    found = read_ahead(items(), 1)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="damaged"):
        next(found)


def test_reading_ends_with_its_consumer():
    """A thread that holds a store open after training has stopped."""
    before = threading.active_count()
    found = read_ahead(iter(range(1_000)), 2)
    next(found)
    found.close()
    for thread in threading.enumerate()[before:]:
        thread.join(timeout=5)
    assert threading.active_count() == before
