"""One round: heads in, training over stored features, heads and log out."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from colintern.config import TrainingConfig
from colintern.data.triples import read_triples
from colintern.features.catalog import Catalog
from colintern.log import JsonLines
from colintern.model.heads import HeadsInfo, load_heads, save_heads
from colintern.training.batch import Batch, build_batch
from colintern.training.examples import GlobalBatch, TrainingSet
from colintern.training.place import Place
from colintern.training.schedule import learning_rate
from colintern.training.step import StepResult, train_step
from colintern.training.strategy import make_strategy

_LOG_SECONDS = 5.0  # between lines for people; the JSON log has every step
_BATCHES_AHEAD = 2
T = TypeVar("T")

Observer = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class RoundTask:
    """Everything that one round is made from; small, and can be sent to workers.

    Attributes:
        round_number: from 1.
        seed: the run's.
        catalog: where the training features are.
        first_heads: the folder of the heads that the round starts from.
        triples: the mined negatives; None trains on in-batch negatives only.
        info: what is written beside the heads.
        heads_folder: where the trained heads go.
        log_path: where the JSON-lines log goes.
    """

    round_number: int
    seed: int
    catalog: Catalog
    training: TrainingConfig
    first_heads: str
    triples: str | None
    info: HeadsInfo
    heads_folder: str
    log_path: str


def train_round(task: RoundTask, place: Place, observe: Observer) -> None:
    """Train one round; every worker of the group calls this with its own `place`.

    Args:
        task: the round.
        place: this worker.
        observe: told about a step now and then, on the first worker.
    """
    # Inputs
    training_set = open_training_set(task)
    epochs = task.training.epochs_of_round(task.round_number)
    num_steps = training_set.num_steps(task.training.global_batch, epochs)
    heads = load_heads(task.first_heads)[0].to(place.device)
    strategy = make_strategy(heads, task.training, place)
    log = _StepLog(task.log_path)
    clock = _Clock()

    try:
        for batch in _prefetched(_batches(training_set, task, epochs, place)):
            # The step
            rate = learning_rate(batch.step, num_steps, task.training)
            result = train_step(heads, strategy, batch, rate, task.training, place)

            # The log, on the first worker
            if place.is_first:
                log.add(_log_line(batch, rate, clock), result)
                if clock.is_due() or batch.step == num_steps:
                    observe({**log.fetch_last(), "steps": num_steps})
    finally:
        if place.is_first:
            log.save()  # also of a round that fails: it shows how the loss went there

    # The result
    if place.is_first:
        save_heads(heads.cpu(), task.heads_folder, task.info)


def open_training_set(task: RoundTask) -> TrainingSet:
    """The training pairs, with the mined negatives of the round."""
    view, store = task.catalog.train()
    mined = {}
    if task.triples and task.training.negatives_per_query:
        mined = {triple.query_id: triple.negs for triple in read_triples(task.triples)}
    return TrainingSet(view, store, mined)


def _batches(
    training_set: TrainingSet, task: RoundTask, epochs: int, place: Place
) -> Iterator[Batch]:
    planned: Iterator[GlobalBatch] = training_set.batches(
        task.training.global_batch,
        epochs,
        task.training.negatives_per_query,
        seed=f"{task.seed} {task.round_number}",
    )
    return (build_batch(training_set, batch, place) for batch in planned)


class _Clock:
    """Times steps, and says when a line for people is due."""

    def __init__(self) -> None:
        self._step_began = self._last_line = time.monotonic()

    def lap(self) -> float:
        """Seconds since the last lap."""
        began, self._step_began = self._step_began, time.monotonic()
        return self._step_began - began

    def is_due(self) -> bool:
        if time.monotonic() - self._last_line < _LOG_SECONDS:
            return False
        self._last_line = time.monotonic()
        return True


class _StepLog:
    """The JSON-lines log; a step's results stay on the device until somebody looks at them."""

    def __init__(self, path: str) -> None:
        self._lines = JsonLines(path)
        self._waiting: list[tuple[dict[str, Any], StepResult]] = []

    def add(self, line: dict[str, Any], result: StepResult) -> None:
        """Note a step."""
        self._waiting.append((line, result))

    def fetch_last(self) -> dict[str, Any]:
        """Fetch what waits on the device; returns the last step's line."""
        line: dict[str, Any] = {}
        for numbers, result in self._waiting:
            found = {"loss": result.loss.item(), "grad_norm": result.grad_norm.item()}
            line = {**numbers, **found}
            self._lines.add(line)
        self._waiting.clear()
        return line

    def save(self) -> None:
        """Write all lines so far to storage."""
        self.fetch_last()
        self._lines.save()


def _log_line(batch: Batch, rate: float, clock: _Clock) -> dict[str, Any]:
    seconds = clock.lap()
    return {
        "step": batch.step,
        "epoch": batch.epoch,
        "lr": rate,
        "pairs_per_second": round(len(batch.global_page_lengths) / max(seconds, 1e-9), 1),
        "seconds": round(seconds, 4),
    }


def _prefetched(items: Iterator[T]) -> Iterator[T]:
    """The same items, read in a thread while the last one is being worked on."""
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(_BATCHES_AHEAD)
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
