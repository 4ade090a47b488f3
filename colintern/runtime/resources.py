"""What the stages ask of a Ray cluster; for what it does not have, Ray waits without a word."""

from collections.abc import Mapping

from colintern.config import Config


def cpus_wanted(config: Config) -> int:
    """The CPUs of the stage that asks for the most."""
    return max(_workers(config).values()) * config.cluster.cpus_per_worker


def shortage(config: Config, resources: Mapping[str, float]) -> str | None:
    """Which setting asks for more than there is, and of what; None when there is enough.

    Args:
        config: the stages' workers, and what each of them asks for.
        resources: of the whole cluster, by Ray's names (`ray.cluster_resources()`).
    """
    workers = _workers(config)
    setting = max(workers, key=lambda name: workers[name])
    wanted = {
        "GPU": workers[setting] if config.cluster.use_gpu else 0,
        "CPU": cpus_wanted(config),
    }
    for resource, number in wanted.items():
        found = int(resources.get(resource, 0))
        if found < number:
            asked = f"{number} {resource}{'s' if number > 1 else ''}"
            return f"{setting}={workers[setting]} asks for {asked}, the cluster has {found}"
    return None


def _workers(config: Config) -> dict[str, int]:
    """The most workers at one time of each stage, by the setting."""
    return {
        "cluster.encode_workers": config.cluster.encode_workers,
        "cluster.mining_workers": config.cluster.mining_workers,
        "training.num_workers": config.training.num_workers,
    }
