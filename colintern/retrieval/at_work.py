"""Who does the heavy work of a command that uses a finished run."""

from collections.abc import Iterator
from contextlib import contextmanager

from colintern.config.schema import Config
from colintern.runs.runner import requests
from colintern.runs.stages import Encode
from colintern.runs.workers import Workers
from colintern.runtime.cluster import on_machines_here
from colintern.runtime.workers import ray_workers


@contextmanager
def workers_for(config: Config, workers: Workers | None = None) -> Iterator[tuple[Config, Workers]]:
    """Workers for the length of a `with` block, and the settings that they can work with.

    Args:
        config: of a finished run; says how many workers there are.
        workers: who works; None takes those of a Ray cluster, which is joined or started only when
            there is something to do. On this machine alone that is one worker.
    """
    if workers is not None:
        yield config, workers
        return
    config = on_machines_here(config)
    with ray_workers(config, requests(config, [Encode])) as on_ray:
        yield config, on_ray
