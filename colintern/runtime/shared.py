"""Whether all nodes see the same storage, and whether the driver still has its lease."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from colintern import storage
from colintern.errors import ColInternError, LeaseLostError, StorageError, one_line
from colintern.records.lease import Held
from colintern.runtime.errors import ClusterError, cause_of
from colintern.storage.local_files import temporary_name


def check_shared_storage(roots: Sequence[str]) -> None:
    """On several nodes, make sure that each of them reads what the driver writes."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) < 2:
        return
    for root in sorted(set(roots)):
        storage.remove_abandoned(root, deep=False)
        path, token = storage.join(root, temporary_name("shared")), uuid.uuid4().hex.encode()
        storage.write_bytes(path, token)
        try:
            for node in nodes:
                if _read_on(node, path) != token:
                    raise _not_shared(root, node["NodeManagerAddress"])
        finally:
            with suppress(StorageError):  # it harms nobody, and what was found out is told
                storage.delete(path)


def why_not_to_work(held: Held) -> ColInternError | None:
    """Asked on a worker before it starts: the reason why it must not, or None.

    The driver has asked the nodes that were there when it started. Nodes that came later are asked
    here; and another driver may have taken over meanwhile.
    """
    if not held.is_seen():
        return _not_shared(held.folder, ray.util.get_node_ip_address())
    try:
        held.check()
    except LeaseLostError as error:
        return error
    return None


def _not_shared(folder: str, node: str) -> ClusterError:
    return ClusterError(
        f"{folder}: node {node} does not read what the driver writes there; "
        "use shared storage for run.root, features.root and --out"
    )


def _read_on(node: Mapping[str, Any], path: str) -> bytes | None:
    """What a node reads at `path`; None where there is no such file.

    Raises:
        ClusterError: it cannot read there, with its reason.
    """
    read = ray.remote(num_cpus=0)(storage.read_bytes_if_there)
    strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    try:
        return ray.get(read.options(scheduling_strategy=strategy).remote(path))
    except RayTaskError as error:
        reason = one_line(cause_of(error))
        raise ClusterError(f"node {node['NodeManagerAddress']}: {reason}") from error
