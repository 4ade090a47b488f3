"""From the deaths of processes to the item that kills, and no further."""

from collections.abc import Iterator
from itertools import count

import pytest

from colintern.features.attempts import Attempt, Histories, Process, ShardHistory

ITEMS = [f"item{number}" for number in range(6)]


def _attempt(history: ShardHistory, killers: set[str], accident: str | None = None) -> Attempt:
    """A process at work on the shard, which dies of `killers`, and by accident in trying an item.

    As the encoder does it; a shard that comes out is ended.
    """
    attempt = history.begin()
    left = [item for item in ITEMS if item not in attempt.survived | attempt.killers]
    if attempt.is_careful:
        for item in left:
            history.alone(item)
            if item in killers or item == accident:
                return attempt
            history.survive(item)
        history.checked()
    if not killers - attempt.killers:
        history.end()
    return attempt


@pytest.mark.parametrize("killers", [set(), {"item0"}, {"item2", "item5"}])
@pytest.mark.parametrize("accident", [None, "item1"])
def test_the_items_that_kill_are_found_and_no_others(killers, accident):
    """A whole shard given up for one page; or a page left out that a machine's end has hit."""
    history = ShardHistory()
    attempts = [_attempt(history, killers)]
    while attempts[-1].killers != killers:
        assert len(attempts) < 12
        attempts.append(_attempt(history, killers, accident if len(attempts) == 2 else None))
        assert not attempts[-1].is_hopeless
    assert attempts[-1].killers == killers
    assert len(attempts) <= 1 + 2 + 2 * len(killers) + (accident is not None)


def test_a_shard_that_came_out_or_told_its_error_starts_afresh():
    """Deaths counted where nobody died: shards that are begun again by another start."""
    history = ShardHistory()
    for _ in range(5):
        assert history.begin().num_deaths == 0
        history.end()


def test_deaths_that_no_item_explains_end():
    """A shard that kills every process as a whole, tried for ever."""
    history = ShardHistory()
    attempts = [_attempt(history, {"the batch"})]
    for _ in range(20):
        attempt = history.begin()
        if attempt.is_hopeless:
            break
        if attempt.is_careful:
            history.checked()
        attempts.append(attempt)
    assert len(attempts) == 6
    assert sum(attempt.is_careful for attempt in attempts) == 1
    assert not any(attempt.killers for attempt in attempts)


def _processes() -> Iterator[Process]:
    return (Process(f"process{number}", "node") for number in count())


def test_a_shard_is_not_given_up_for_what_its_neighbour_dies_of():
    """A run ended because a worker had two shards in hand, and one of them has several killers."""
    histories, killers = Histories(lambda _: False), {"item1", "item3", "item5"}
    for process in _processes():
        attempt, neighbour = (histories.begin(path, process) for path in ("shard", "neighbour"))
        assert not attempt.is_hopeless
        assert not neighbour.is_hopeless
        assert not neighbour.killers
        if attempt.killers == killers:
            break
        for item in ITEMS if attempt.is_careful else ():
            if item not in attempt.survived | attempt.killers:
                histories.alone("shard", item)
                if item in killers:
                    break
                histories.survive("shard", item)


def test_machines_that_vanish_never_cost_a_page():
    """A good page listed as bad because spot machines were taken away while it was tried alone."""
    lost = {"lost"}
    histories = Histories(lost.__contains__)
    attempts = []
    for number, node in enumerate(["node", "node", *["lost"] * 9, "node"]):
        attempts.append(histories.begin("shard", Process(str(number), node)))
        if attempts[-1].is_careful:
            histories.alone("shard", "item0")
    assert attempts[-1].num_deaths == 2
    assert not attempts[-1].killers
