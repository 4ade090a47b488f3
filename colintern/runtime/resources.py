"""What a stage asks of a Ray cluster. Ray waits silently for what a cluster does not have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from colintern.config.schema import Config

ENCODE_WORKERS = "cluster.encode_workers"


@dataclass(frozen=True)
class Request:
    """So many workers, and what each of them needs.

    Attributes:
        setting: the setting that says how many, for messages.
        num_workers: as many as there may be; 0 for work in the driver's own process.
        cpus_per_worker: CPUs of each.
        uses_gpu: whether each has a GPU of its own.
        least_workers: as many as there have to be; None for all.
        helpers_per_worker: tasks of one CPU that each wants beside it.
    """

    setting: str
    num_workers: int
    cpus_per_worker: int = 1
    uses_gpu: bool = False
    least_workers: int | None = None
    helpers_per_worker: int = 0

    @property
    def needed_workers(self) -> int:
        """As many as there have to be."""
        return self.num_workers if self.least_workers is None else self.least_workers

    @property
    def asked(self) -> str:
        """The setting and its value."""
        least, most = self.least_workers, self.num_workers
        return f"{self.setting}={most if least is None else [least, most]}"

    @property
    def gpus_per_worker(self) -> int:
        """GPUs of each worker."""
        return 1 if self.uses_gpu else 0

    @property
    def device(self) -> str:
        """The torch device of each worker."""
        return "cuda" if self.uses_gpu else "cpu"


class Asking(Protocol):
    """A stage, as far as it asks for workers.

    Attributes:
        workers_setting: the setting that says how many it has; None for none.
    """

    workers_setting: ClassVar[str | None]


def request_of(stage: Asking, config: Config) -> Request:
    """What a stage asks of Ray: no workers, for one that works in the driver."""
    setting, cluster = stage.workers_setting, config.cluster
    if setting is None:
        return Request("", 0)
    section, key = setting.split(".")
    value: int | tuple[int, int] = getattr(getattr(config, section), key)
    least, most = (None, value) if isinstance(value, int) else value
    helpers = 1 if setting == ENCODE_WORKERS else 0
    return Request(setting, most, cluster.cpus_per_worker, cluster.use_gpu, least, helpers)


def cpus_wanted(requests: Sequence[Request]) -> int:
    """The CPUs of the stage that needs the most, helpers included.

    Not those of workers that may come: on one machine there are as many as it has CPUs for.
    """
    each = (one.needed_workers * (one.cpus_per_worker + one.helpers_per_worker) for one in requests)
    return max(each, default=0)


def shortage(requests: Sequence[Request], resources: Mapping[str, float]) -> str | None:
    """Which setting asks for more than there is, and of what; None when there is enough.

    Args:
        requests: of the stages that will run, one after the other.
        resources: of the whole cluster, by Ray's names (`ray.cluster_resources()`).
    """
    if not requests:
        return None
    largest = max(requests, key=lambda one: one.needed_workers)
    wanted = {
        "GPU": largest.needed_workers * largest.gpus_per_worker,
        "CPU": largest.needed_workers * largest.cpus_per_worker,
    }
    for resource, number in wanted.items():
        if (found := resources.get(resource, 0)) < number:
            asked = f"{number} {resource}{'s' if number > 1 else ''}"
            return f"{largest.asked} asks for {asked}, the cluster has {int(found)}"
    return None
