"""Training on Ray Train: a group of workers runs the same round."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import ray.train
import ray.train.torch
import torch
import torch.distributed as dist
from pyarrow.fs import FSSpecHandler, PyFileSystem
from ray.train import FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchTrainer

from colintern import storage
from colintern.errors import ColInternError, LeaseLostError, NonFiniteError, StorageError
from colintern.records.lease import Held
from colintern.runtime.relay import Relay, Reporter
from colintern.runtime.resources import Request
from colintern.runtime.shared import why_not_to_work
from colintern.runtime.work import Tell
from colintern.training.loop import RoundInputs, RoundTask, open_round, train_round
from colintern.training.worker import Worker

_MAX_FAILURES = 3  # lost machines; a round starts again from its first step
# NonFiniteError: on all workers in the same step. LeaseLostError: only on rank 0, after the last
# collective.
_MET_BY_ALL = (NonFiniteError, LeaseLostError)


@dataclass(frozen=True)
class _Job:
    """What every worker gets."""

    task: RoundTask
    held: Held
    num_threads: int
    tell: Reporter


def train(
    task: RoundTask,
    request: Request,
    held: Held,
    show: Tell,
) -> None:
    """Train one round; its heads and log are on storage when this returns.

    Args:
        task: the round.
        request: how many processes, and what each needs; 0 trains in this one.
        held: the lease of the run folder, where Ray Train's own files go too.
        show: told about the progress.

    Raises:
        ColInternError: our own errors of the round, such as a loss that is not finite.
    """
    with (
        closing(Relay()) as relay,
        relay.showing(show) as tell,
        _scratch(held.folder) as (file_system, folder),
    ):
        trainer = TorchTrainer(
            _worker,
            train_loop_config={"job": _Job(task, held, request.cpus_per_worker, tell)},
            scaling_config=ScalingConfig(
                num_workers=request.num_workers,
                use_gpu=request.uses_gpu,
                resources_per_worker={"CPU": request.cpus_per_worker},
            ),
            run_config=RunConfig(
                name=f"round-{task.round_number}",
                storage_path=folder,
                storage_filesystem=file_system,
                failure_config=FailureConfig(max_failures=_MAX_FAILURES),
            ),
        )
        error = _fitted(trainer)
    if error is not None:
        raise error


def _fitted(trainer: TorchTrainer) -> ColInternError | None:
    """Fit in a thread: in the main one Ray Train would replace the handler of Ctrl-C for good.

    Returns:
        Our own error that ended the round: of all workers, or of one after all attempts.
    """
    outcome: Future[ColInternError | None] = Future()

    def fit() -> None:
        try:
            outcome.set_result(trainer.fit().return_value)
        except BaseException as error:  # handed over to the waiting thread, which raises it
            outcome.set_exception(error)

    threading.Thread(target=fit, daemon=True).start()
    try:
        return outcome.result()
    except WorkerGroupError as error:
        return _cause(error)


def _cause(error: WorkerGroupError) -> ColInternError:
    """Our own error that one worker raised: the others only say that they lost it.

    Raises:
        WorkerGroupError: `error`, when none of them did.
    """
    for failure in error.worker_failures.values():
        if isinstance(failure, ColInternError):
            return failure
    raise error


@contextmanager
def _scratch(run_path: str) -> Iterator[tuple[PyFileSystem, str]]:
    """Where Ray Train keeps its files: in the run folder, which all nodes share.

    Yields:
        The file system that the run is on, as Ray Train takes it, and the folder inside it.
    """
    folder = storage.join(run_path, "ray-train")
    file_system, inner = storage.file_system_of(folder)
    try:
        yield PyFileSystem(FSSpecHandler(file_system)), inner
    finally:
        with suppress(StorageError):  # what is left there harms nobody
            storage.delete_folder(folder)


def _worker(config: dict[str, Any]) -> ColInternError | None:
    """Train as one of the group.

    Returns:
        What ends the round on every worker alike. It is not raised: Ray would treat an exception as
        a lost machine and try again.

    Raises:
        ColInternError: what this worker has met alone. The others wait for it in their next
            collective, so Ray has to end the group, and may start it again.
    """
    job: _Job = config["job"]
    torch.set_num_threads(job.num_threads)
    context = ray.train.get_context()
    worker = Worker(
        rank=context.get_world_rank(),
        world_size=context.get_world_size() if dist.is_initialized() else 1,
        device=str(ray.train.torch.get_device()),
    )
    inputs = _opened(job, worker)
    if isinstance(inputs, ColInternError):
        return inputs
    try:
        train_round(job.task, inputs, worker, job.tell, job.held.check)
    except ColInternError as error:
        if worker.world_size > 1 and not isinstance(error, _MET_BY_ALL):
            raise
        return error
    return None


def _opened(job: _Job, worker: Worker) -> RoundInputs | ColInternError:
    """The round's inputs; or, the same on every worker, why one of them cannot use them."""
    inputs: RoundInputs | None = None
    error: ColInternError | None = why_not_to_work(job.held)
    if error is None:
        try:
            inputs = open_round(job.task)
        except ColInternError as found:
            error = found
    errors = [error]
    if worker.world_size > 1:
        errors = [None] * worker.world_size
        dist.all_gather_object(errors, error)
    told = next((found for found in errors if found), None)
    if told is not None:
        return told
    assert inputs is not None
    return inputs
