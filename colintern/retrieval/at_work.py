"""Who does the heavy work of a command that uses a finished run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from colintern.retrieval.finished import FinishedRun
from colintern.runs.runner import requests
from colintern.runs.stages import Encode
from colintern.runs.workers import Workers
from colintern.runtime.cluster import on_machines_here
from colintern.runtime.workers import ray_workers


@contextmanager
def workers_for(
    run: FinishedRun, workers: Workers | None = None
) -> Iterator[tuple[FinishedRun, Workers]]:
    """Workers for the length of a `with` block, and the run as they can work for it.

    Args:
        run: a finished run, whose settings say how many workers there are.
        workers: who works; None takes those of a Ray cluster, which is joined or started only when
            there is something to do. On this machine alone that is one worker.
    """
    if workers is not None:
        yield run, workers
        return
    config = on_machines_here(run.config)
    with ray_workers(config, requests(config, [Encode])) as on_ray:
        yield replace(run, config=config), on_ray
