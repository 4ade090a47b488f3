"""What a driver notes of the machines that it works on."""

import pytest

from colintern.records.machine import Machine, machine_here
from colintern.runtime.machine import machine_of

_GIB = 1_024**3
_HEAD = {"CPU": 2.0, "memory": 3.0 * _GIB, "object_store_memory": 1.0 * _GIB, "node:10.0.0.1": 1.0}
_H100 = {**_HEAD, "CPU": 16.0, "GPU": 2.0, "accelerator_type:H100": 1.0}


@pytest.mark.parametrize(
    ("use_gpu", "is_joined", "nodes", "gpus"),
    [
        (True, True, 3, {"H100": 4}),
        (False, True, 3, {}),  # another run's GPUs
        (True, False, None, {"H100": 4}),
    ],
)
def test_a_cluster_is_told_by_all_of_its_nodes(use_gpu, is_joined, nodes, gpus):
    """The head node for the whole cluster; CPUs that a local Ray was only told to have."""
    found = machine_of([_HEAD, _H100, _H100], use_gpu=use_gpu, is_joined=is_joined)
    here = machine_here()
    assert (found.nodes, dict(found.gpus), found.platform) == (nodes, gpus, here.platform)
    expected = (34, 12 * _GIB) if is_joined else (here.cpus, here.memory_bytes)
    assert (found.cpus, found.memory_bytes) == expected


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (Machine("Linux x86_64", 1, 8 * 10**9), "Linux x86_64, 1 CPU, 8.0 GB of memory"),
        (
            Machine("Linux x86_64", 34, 12 * 10**9, {"A100": 1, "H100": 4}, 3),
            "a Ray cluster of 3 nodes, Linux x86_64, 34 CPUs, 12.0 GB of memory, "
            "5 GPUs (A100, 4 x H100)",
        ),
    ],
)
def test_a_machine_in_words(machine, words):
    """GPUs without their number, or another word for each report."""
    assert machine.told() == words
