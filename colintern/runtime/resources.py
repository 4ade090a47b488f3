"""What the stages ask of a Ray cluster; for what it does not have, Ray waits without a word."""

from collections.abc import Mapping, Sequence
from typing import Literal

from colintern.config.schema import Config

Stage = Literal["encode", "train", "search"]  # searching is mining and evaluation
STAGES: tuple[Stage, ...] = ("encode", "train", "search")


def cpus_wanted(config: Config) -> int:
    """The CPUs of the stage that asks for the most."""
    num_workers = max(_workers(config, stage)[1] for stage in STAGES)
    return num_workers * config.cluster.cpus_per_worker


def shortage(
    config: Config, resources: Mapping[str, float], stages: Sequence[Stage] = STAGES
) -> str | None:
    """Which setting asks for more than there is, and of what; None when there is enough.

    Args:
        config: the stages' workers, and what each of them asks for.
        resources: of the whole cluster, by Ray's names (`ray.cluster_resources()`).
        stages: those that will run.
    """
    setting, num_workers = max(
        (_workers(config, stage) for stage in stages), key=lambda one: one[1]
    )
    wanted = {
        "GPU": num_workers if config.cluster.use_gpu else 0,
        "CPU": num_workers * config.cluster.cpus_per_worker,
    }
    for resource, number in wanted.items():
        found = int(resources.get(resource, 0))
        if found < number:
            asked = f"{number} {resource}{'s' if number > 1 else ''}"
            return f"{setting}={num_workers} asks for {asked}, the cluster has {found}"
    return None


def _workers(config: Config, stage: Stage) -> tuple[str, int]:
    """The setting that says how many workers a stage has, and its value."""
    settings: dict[Stage, tuple[str, int]] = {
        "encode": ("cluster.encode_workers", config.cluster.encode_workers),
        "train": ("training.num_workers", config.training.num_workers),
        "search": ("cluster.mining_workers", config.cluster.mining_workers),
    }
    return settings[stage]
