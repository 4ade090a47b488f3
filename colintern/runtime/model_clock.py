"""How much of its time a model has had nothing to do."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ModelTime:
    """What a model's time went into, since its first batch.

    Attributes:
        seconds: from when its first batch was ready to when its last shard was done.
        waited_seconds: of them, those in which nothing was ready for it.
    """

    seconds: float
    waited_seconds: float


class ModelClock:
    """Gives a model to one shard after the other, and measures how long it waits."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._began: float | None = None
        self._ended = self._waited = 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The model is ours; others wait."""
        with self._turn:
            entered = time.monotonic()
            if self._began is not None:
                self._waited += entered - self._ended
            try:
                yield
            finally:
                self._ended = time.monotonic()
                self._began = entered if self._began is None else self._began

    def fed(self, inputs: Iterable[T]) -> Iterator[T]:
        """The same inputs; in our turn, the model waits until each is there."""
        waiting = iter(inputs)
        while True:
            asked = time.monotonic()
            try:
                found = next(waiting)
            except StopIteration:
                return
            finally:
                now = time.monotonic()
                if self._began is not None:
                    self._waited += now - asked
            if self._began is None:
                self._began = now
            yield found

    def read(self) -> ModelTime:
        """The time so far."""
        seconds = 0.0 if self._began is None else self._ended - self._began
        return ModelTime(max(seconds, 0.0), self._waited)
