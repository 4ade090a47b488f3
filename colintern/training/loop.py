"""One round: heads in, training over stored features, heads and log out."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from colintern.config.schema import TrainingConfig
from colintern.data.triples import read_triples
from colintern.errors import ColInternError, one_line
from colintern.features.catalog import Catalog
from colintern.log import JsonLines, say
from colintern.model.heads import Heads, HeadsInfo, load_heads, save_heads
from colintern.scoring.fused import kernel_on
from colintern.streams import read_ahead
from colintern.training.batch import Batch, build_batch
from colintern.training.examples import GlobalBatch, TrainingSet
from colintern.training.finite import FiniteGuard
from colintern.training.schedule import learning_rate
from colintern.training.step import StepResult, train_step
from colintern.training.strategy import make_strategy
from colintern.training.worker import Worker

_LOG_SECONDS = 5.0  # between lines for people; the JSON log has every step
_BATCHES_AHEAD = 2

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


@dataclass(frozen=True)
class RoundInputs:
    """What a worker reads before it meets the others: the pairs, and the heads to start from."""

    training_set: TrainingSet
    heads: Heads


def open_round(task: RoundTask) -> RoundInputs:
    """Read what the round starts from.

    Raises:
        ColInternError: the features, the heads or the triples cannot be used.
    """
    return RoundInputs(open_training_set(task), load_heads(task.first_heads)[0])


def train_round(
    task: RoundTask,
    inputs: RoundInputs,
    worker: Worker,
    observe: Observer,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Train one round; every worker of the group calls this with its own `worker`.

    Args:
        task: the round.
        inputs: what `open_round` has read for it; its heads are trained in place.
        worker: this worker.
        observe: told about a step now and then, on the first worker.
        check: called before anything is written; raises when it must not be.

    Raises:
        NonFiniteError: on every worker in the same step.
        StorageError: features cannot be read, perhaps on this worker only.
    """
    # Inputs
    training_set, heads = inputs.training_set, inputs.heads.to(worker.device)
    epochs = task.training.epochs_of_round(task.round_number)
    num_steps = training_set.num_steps(task.training.global_batch, epochs)
    strategy = make_strategy(heads, task.training, worker)
    guard = FiniteGuard(worker)
    log = _StepLog(task.log_path, kernel_on(worker.device))

    with _saved(log, check) if worker.is_first else nullcontext():
        for batch in read_ahead(_batches(training_set, task, epochs, worker), _BATCHES_AHEAD):
            # The step
            rate = learning_rate(batch.step, num_steps, task.training)
            result = train_step(heads, strategy, batch, rate, task.training, worker, guard)

            # The log, on the first worker
            if worker.is_first:
                log.add(batch, rate, result)
                is_shown = log.is_due() or batch.step == num_steps
                if is_shown and (line := log.fetch_last()):
                    observe({**line, "steps": num_steps})
        guard.look()

    # The result
    if worker.is_first:
        check()
        save_heads(heads.cpu(), task.heads_folder, task.info)


def open_training_set(task: RoundTask) -> TrainingSet:
    """The training pairs, with the mined negatives of the round."""
    view, store = task.catalog.train()
    if not task.triples or not task.training.negatives_per_query:
        return TrainingSet(view, store)
    mined = ((triple.query_id, triple.negs) for triple in read_triples(task.triples))
    return TrainingSet(view, store, mined)


def _batches(
    training_set: TrainingSet, task: RoundTask, epochs: int, worker: Worker
) -> Iterator[Batch]:
    planned: Iterator[GlobalBatch] = training_set.batches(
        task.training.global_batch,
        epochs,
        task.training.negatives_per_query,
        seed=f"{task.seed} {task.round_number}",
    )
    return (build_batch(training_set, batch, worker) for batch in planned)


class _StepLog:
    """The JSON-lines log of the steps that updated the heads.

    A step's results stay on the device until somebody looks at them. A GPU works on behind the
    host: only what is fetched is done. So the seconds of a step are the mean over the steps that
    were fetched together.

    Args:
        path: where it is saved.
        maxsim: which MaxSim the steps are computed with, `plain` or `fused`.
    """

    def __init__(self, path: str, maxsim: str) -> None:
        self._lines = JsonLines(path)
        self._maxsim = maxsim
        self._waiting: list[tuple[dict[str, Any], int, StepResult]] = []
        self._last_fetch = time.monotonic()

    def add(self, batch: Batch, rate: float, result: StepResult) -> None:
        """Note a step."""
        line = {"step": batch.step, "epoch": batch.epoch, "lr": rate, "maxsim": self._maxsim}
        self._waiting.append((line, len(batch.global_page_lengths), result))

    def is_due(self) -> bool:
        """Whether people have waited long enough for a line."""
        return time.monotonic() - self._last_fetch > _LOG_SECONDS

    def fetch_last(self) -> dict[str, Any]:
        """Fetch what waits on the device; returns the last step's line, or nothing."""
        steps = [step for step in self._waiting if step[2].updated]
        found = [
            {**line, "loss": result.loss.item(), "grad_norm": result.grad_norm.item()}
            for line, _, result in steps
        ]
        began, self._last_fetch = self._last_fetch, time.monotonic()
        seconds = max(self._last_fetch - began, 1e-9) / max(len(self._waiting), 1)
        for line, (_, num_pairs, _) in zip(found, steps, strict=True):
            line |= {
                "pairs_per_second": round(num_pairs / seconds, 1),
                "seconds": round(seconds, 4),
            }
            self._lines.add(line)
        self._waiting.clear()
        return found[-1] if found else {}

    def save(self) -> None:
        """Write all lines so far to storage."""
        try:
            self.fetch_last()  # fails when the GPU itself has failed
        finally:
            self._lines.save()


@contextmanager
def _saved(log: _StepLog, check: Callable[[], None]) -> Iterator[None]:
    """Save the log at the end, also of a round that fails: it shows how the loss went there.

    What made the round fail is raised; a log that cannot be saved then as well is only told. The
    log of a driver that has taken over stays.

    Raises:
        StorageError: the round is done and its log cannot be saved.
        LeaseLostError: the round is done and another driver has taken over.
    """
    try:
        yield
    except BaseException:
        try:
            check()
            log.save()
        except (ColInternError, RuntimeError) as second:  # RuntimeError: the GPU itself has failed
            say("train", "the log of this round is not saved: %s", one_line(second))
        raise
    check()
    log.save()
