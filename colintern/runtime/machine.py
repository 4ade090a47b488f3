"""The machine, or the Ray cluster, that this driver works on."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ray

from colintern.records.machine import Machine, machine_here

_KIND = "accelerator_type:"  # of a resource that Ray gives a node by the name of its GPUs


def machine_of_driver(*, use_gpu: bool) -> Machine:
    """All nodes of the cluster that was joined, as they are now, or this machine.

    Args:
        use_gpu: whether the run uses GPUs; those of other runs are not counted.
    """
    if not ray.is_initialized():
        return machine_here()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return machine_of(nodes, use_gpu=use_gpu, is_joined="RAY_ADDRESS" in os.environ)


def machine_of(nodes: Sequence[Mapping[str, Any]], *, use_gpu: bool, is_joined: bool) -> Machine:
    """The machine by the resources of nodes, as Ray counts them.

    Args:
        nodes: of each, the amounts by their names.
        use_gpu: whether GPUs are counted.
        is_joined: whether it is somebody's cluster. Of a local one of ours, which is told to have
            as many CPUs as the stages ask for, only the GPUs are taken.
    """
    gpus: Counter[str] = Counter()
    for resources in nodes if use_gpu else ():
        if number := int(resources.get("GPU", 0)):
            kinds = [name.removeprefix(_KIND) for name in resources if name.startswith(_KIND)]
            gpus[" ".join(kinds) or "of a kind that Ray does not name"] += number
    here = replace(machine_here(), gpus=dict(sorted(gpus.items())))
    if not is_joined:
        return here

    def total(*names: str) -> int:
        return int(sum(resources.get(name, 0) for resources in nodes for name in names))

    memory = total("memory", "object_store_memory")
    return replace(here, cpus=total("CPU"), memory_bytes=memory, nodes=len(nodes))
