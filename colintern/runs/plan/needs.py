"""Memory and disk that a run needs, and what would go wrong, in sentences."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from colintern import storage
from colintern.config.schema import Config
from colintern.runs.plan.machine import Machine
from colintern.runs.plan.sizes import DatasetSizes, embedding_bytes
from colintern.runs.plan.work import StageWork, StepWork

# Measured (`python -m benchmarks.scale`); beside what Python, torch and Ray take, about 1 GB.
_DRIVER_BYTES_PER_PAGE = 432
_DRIVER_BYTES_PER_QUERY = 519  # while it mines
_TRAINING_BYTES_PER_PAGE = 128
_SEARCH_BYTES_PER_PAGE = 24  # of the whole corpus, in each worker
_MOST_PAGES = 2**31 - 1  # rows are counted with 32 bits
_FLOAT_BYTES = 4
_SMALLER = "make features smaller (features.dtype=int8, features.pca_dim, features.merge=2)"


@dataclass(frozen=True)
class Needs:
    """Bytes that are needed, where nothing is shared.

    Attributes:
        driver: in the driver.
        training_worker: in each training process, for what it knows of all pages.
        training_step: in each training process, for the features of its share of a step.
        search_worker: in each worker that mines or evaluates, for what it knows of all pages.
        search_embeddings: in each of them, for its part of the largest corpus.
        num_search_workers: how many of them there are.
        store: on storage, for the tensors of features.
        free_disk: where the store will stand; None for an object store.
    """

    driver: int
    training_worker: int
    training_step: int
    search_worker: int
    search_embeddings: int
    num_search_workers: int
    store: int
    free_disk: int | None


def needs_of(
    config: Config,
    sizes: list[DatasetSizes],
    *,
    width: int,
    store: int,
    num_search_workers: int,
    num_step_tokens: int,
) -> Needs:
    """What a run needs.

    Args:
        config: of the run.
        sizes: of all datasets, train first.
        width: numbers per stored token.
        store: bytes of the features.
        num_search_workers: that share a corpus.
        num_step_tokens: of a training process in a step.
    """
    train, largest = sizes[0], max(found.pages.tokens for found in sizes)
    most_pages = max(found.pages.items for found in sizes)
    return Needs(
        driver=_DRIVER_BYTES_PER_PAGE * most_pages
        + _DRIVER_BYTES_PER_QUERY * train.num_judged_queries,
        training_worker=_TRAINING_BYTES_PER_PAGE * train.pages.items,
        training_step=num_step_tokens * width * _FLOAT_BYTES,
        search_worker=_SEARCH_BYTES_PER_PAGE * most_pages,
        search_embeddings=embedding_bytes(largest, config.heads.dim) // num_search_workers,
        num_search_workers=num_search_workers,
        store=store,
        free_disk=_free_disk(config.features_root),
    )


def warnings_of(
    config: Config,
    machine: Machine,
    sizes: list[DatasetSizes],
    stages: list[StageWork],
    step: StepWork,
    needs: Needs,
    worker_memory: int,
) -> Iterator[str]:
    """What would fail, or would be better done otherwise, each with what to do.

    Args:
        config: of the run.
        machine: where it runs.
        sizes: of all datasets.
        stages: all of them, encoding first.
        step: a training step.
        needs: memory and disk.
        worker_memory: bytes that a worker may take.
    """
    for found in sizes:
        if found.pages.items > _MOST_PAGES:
            yield f"{found.name}: more than {_MOST_PAGES:,} pages in one dataset; divide it"
    if needs.free_disk is not None and needs.store > needs.free_disk:
        yield (
            f"the store takes {needs.store / 1e9:,.1f} GB, and {config.features_root} has "
            f"{needs.free_disk / 1e9:,.1f} GB free: set features.root to larger storage, or "
            f"{_SMALLER}"
        )
    if step.read_seconds > step.recompute_seconds:
        yield (
            f"a training step reads its features in {step.read_seconds:.2g} s, and the backbone "
            f"would compute them in {step.recompute_seconds:.2g} s: use faster storage, or "
            f"{_SMALLER}"
        )
    yield from _memory_warnings(machine, needs, worker_memory)
    yield from _feeding_warning(machine, sizes, stages[0])


def _memory_warnings(machine: Machine, needs: Needs, worker_memory: int) -> Iterator[str]:
    """Where a process, or a GPU, would need more memory than it has."""
    device = machine.memory_bytes or worker_memory
    own = 0 if machine.is_gpu else needs.search_worker
    for what, needed, limit, remedy in (
        ("the driver", needs.driver, worker_memory, "run it on a larger machine"),
        (
            "what a training worker knows of all pages",
            needs.training_worker,
            worker_memory,
            "take larger machines",
        ),
        (
            "the features of a training step, in each worker,",
            needs.training_step,
            device,
            "lower training.global_batch or training.negatives_per_query, or raise "
            "training.num_workers",
        ),
        (
            "a search worker's part of the embeddings",
            needs.search_embeddings + own,
            device,
            _more_search_workers(needs, device - own),
        ),
    ):
        if needed > limit:
            yield f"{what} needs {needed / 1e9:,.1f} GB of {limit / 1e9:,.1f} GB: {remedy}"


def _more_search_workers(needs: Needs, limit: int) -> str:
    if limit <= 0:
        return "take larger machines"
    embeddings = needs.search_embeddings * needs.num_search_workers
    return f"raise cluster.mining_workers to {math.ceil(embeddings / limit)}, each on its own"


def _feeding_warning(
    machine: Machine, sizes: list[DatasetSizes], encode: StageWork
) -> Iterator[str]:
    """Whether GPUs would wait for pages."""
    if not machine.is_gpu:
        return
    rate = machine.teraflops * 1e12 * machine.shares.encoding * machine.num_devices
    tiling = sum(found.tile_bytes for found in sizes) / machine.tiling_bytes_per_second
    cores = math.ceil(tiling / (encode.flops / rate) / machine.num_devices) if encode.flops else 0
    if cores > machine.cores_per_device:
        yield (
            f"a GPU would wait for its pages: cutting them takes about {cores} CPU cores for each "
            f"GPU, and cluster.cpus_per_worker is {machine.cores_per_device}"
        )


def _free_disk(root: str) -> int | None:
    """Free bytes where a local folder stands, or will stand."""
    if not storage.is_local(root):
        return None
    path = Path(storage.local_path(root))
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    return shutil.disk_usage(there).free
