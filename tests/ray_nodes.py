"""Ray nodes of a test's own, as processes on this machine: they can be killed, or come and go."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ray._private.services import get_node_ip_address
from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue]

from tests.helpers import free_port

RAY = Path(sys.executable).with_name("ray")
_ALIVE = 0  # the state of a node as the head's table has it
# The fake provider's own names for the head.
_HEAD_TYPE = "ray.head.default"
_HEAD_ID = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"
_PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
_SECONDS_TO_START = 120
_OF_REAL_MACHINES: dict[str, Any] = {
    "auth": {},
    "docker": {},
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
    "initialization_commands": [],
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
}

ENVIRONMENT = {  # of the driver too
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",  # see `ray_cluster`
    "RAY_raylet_start_wait_time_s": "100",  # a busy machine takes more than the default of 30
}


@contextlib.contextmanager
def ray_head(num_cpus: int, worker_types: Mapping[str, Any] | None = None) -> Iterator[str]:
    """A head node for the length of a `with` block; all nodes end with it.

    Args:
        num_cpus: of the head.
        worker_types: what an autoscaler may start, on this machine: a name to `resources`,
            `min_workers` and `max_workers`. None: there is no autoscaler.

    Yields:
        Its address, for `RAY_ADDRESS`.
    """
    folder = Path(tempfile.mkdtemp(prefix="nodes-", dir="/tmp"))  # short enough for sockets
    address = f"{get_node_ip_address()}:{free_port()}"
    command = [
        "--head",
        "--include-dashboard=false",
        f"--port={address.rpartition(':')[2]}",
        f"--temp-dir={folder}",
    ]
    environment: dict[str, str] = {}
    if worker_types is not None:
        document = _autoscaling(address, num_cpus, worker_types)
        (folder / "autoscaling.json").write_text(json.dumps(document))
        command.append(f"--autoscaling-config={folder}/autoscaling.json")
        environment |= {
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_FAKE_CLUSTER": "1",
            # The older autoscaler does not end idle nodes of this provider.
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": _HEAD_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD_ID,
        }
    try:
        with _node(folder / "head.log", num_cpus, command, environment) as node:
            _wait_for_nodes(1, address, node, folder / "head.log")
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def ray_node(address: str, num_cpus: int) -> Iterator[None]:
    """A further node for the length of a `with` block; it may be dead before.

    Args:
        address: of the head.
        num_cpus: of the node.
    """
    log = Path(tempfile.mkstemp(prefix="node-", suffix=".log")[1])
    number = len(alive_nodes(address)) + 1
    try:
        with _node(log, num_cpus, [f"--address={address}"], {}) as node:
            _wait_for_nodes(number, address, node, log)
            yield
    finally:
        log.unlink()


def alive_nodes(address: str) -> list[str]:
    """The ids of the nodes that the head believes to be alive."""
    found = GcsClient(address=address).get_all_node_info()
    return sorted(node.hex() for node, info in found.items() if info.state == _ALIVE)


@contextlib.contextmanager
def _node(
    log: Path, num_cpus: int, options: list[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen]:
    command = [
        RAY,
        "start",
        "--block",
        f"--num-cpus={num_cpus}",
        "--object-store-memory=100000000",
        "--disable-usage-stats",
        *options,
    ]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **ENVIRONMENT, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for_nodes(number: int, address: str, node: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while True:
        assert node.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        if _answers(address) and len(alive_nodes(address)) >= number:
            return
        time.sleep(0.2)  # Ray's own processes are nice, a busy loop would starve them


def _answers(address: str) -> bool:
    host, port = address.split(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def _autoscaling(address: str, num_cpus: int, types: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an autoscaler whose nodes are processes here, and end when idle for 6 s.

    Ray has a name for this provider, but its wheel lacks the defaults that belong to the name.
    """
    head = {"resources": {"CPU": num_cpus}, "node_config": {}, "max_workers": 0}
    workers = {name: {"node_config": {}, **values} for name, values in types.items()}
    return {
        "cluster_name": "nodes-of-a-test",
        "max_workers": sum(values["max_workers"] for values in types.values()),
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 0.1,
        "provider": {
            "type": "external",
            "module": _PROVIDER,
            "gcs_address": address,
            "head_node_id": _HEAD_ID,
            "launch_multiple": True,
        },
        "available_node_types": {_HEAD_TYPE: head, **workers},
        "head_node_type": _HEAD_TYPE,
        **_OF_REAL_MACHINES,
    }
