"""The share of its time that a model has nothing to do."""

import threading

import pytest

from colintern.runtime import model_clock
from colintern.runtime.model_clock import ModelClock, ModelTime


@pytest.fixture
def time(monkeypatch) -> list[float]:
    """The seconds that the clock shows."""
    now = [100.0]
    monkeypatch.setattr(model_clock.time, "monotonic", lambda: now[0])
    return now


def test_a_model_waits_for_inputs_and_between_turns_but_not_before_its_first(time):
    """Time to start taken for waiting; or a model that idles between shards, and nobody knows."""

    def prepared(*seconds: float):
        for one in seconds:
            time[0] += one
            yield one

    clock = ModelClock()
    assert clock.read() == ModelTime(0.0, 0.0)
    with clock.turn():
        for _ in clock.fed(prepared(50.0, 2.0)):
            time[0] += 10.0  # the model runs
    assert clock.read() == ModelTime(22.0, 2.0)
    time[0] += 3.0
    with clock.turn():
        for _ in clock.fed(prepared(0.0)):
            time[0] += 10.0
    assert clock.read() == ModelTime(35.0, 5.0)


def test_a_turn_without_inputs_to_wait_for_is_all_work(time):
    """Questions, which nobody prepares, counted as waiting."""
    clock = ModelClock()
    with clock.turn():
        time[0] += 7.0
    assert clock.read() == ModelTime(7.0, 0.0)


def test_one_shard_has_the_model_at_a_time_and_gives_it_back_when_it_fails():
    """Two forward passes at once, that do not fit into a GPU; or a shard that waits for ever."""
    clock, order = ModelClock(), []

    def second() -> None:
        with clock.turn():
            order.append("second")

    other = threading.Thread(target=second, daemon=True)

    def first() -> None:
        with clock.turn():
            other.start()
            other.join(0.2)
            order.append("first")
            raise KeyError

    with pytest.raises(KeyError):
        first()
    other.join(5)
    assert order == ["first", "second"]
