"""Joining a Ray cluster, or starting a local one, and keeping Ray's own log out of ours."""

import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from colintern import log, storage
from colintern.config import Config
from colintern.errors import ColInternError, StorageError, UserError
from colintern.lease import Held
from colintern.runtime.resources import cpus_wanted, shortage

# Two OpenMP teams that wait by spinning slow each other down tenfold on a busy machine.
_WORKER_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "RAY_TRAIN_V2_ENABLED": "1"}

_SOCKET_BYTES = 103 if sys.platform == "darwin" else 107  # of an AF_UNIX address
_RAY_SOCKET = "session_2026-01-31_23-59-59_999999_9999999/sockets/plasma_store"  # the longest
_TEMPORARY_PREFIX = "colintern-ray-"
_RANDOM_CHARACTERS = 8  # that `tempfile.mkdtemp` appends


class ClusterError(UserError):
    """The cluster cannot be joined, is too small, or its nodes do not share storage."""


class Cluster:
    """The Ray cluster of a run; joined or started when it is first needed.

    `RAY_ADDRESS` set: that cluster. Not set: a local one of our own, never one that happens to run
    on this machine.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._is_ours = False
        self._temporary: str | None = None

    def ensure(self) -> None:
        """Connect, the first time."""
        if ray.is_initialized():
            return
        began = time.monotonic()
        os.environ.update(_WORKER_ENVIRONMENT)
        address = os.environ.get("RAY_ADDRESS")
        self._is_ours = True  # from here on: a start that fails half way leaves processes
        with _own_sigterm():
            self._connect(address)
        _quiet_ray()
        where = f"cluster at {address}" if address else "local cluster"
        log.say("ray", "%s ready in %.0f s", where, time.monotonic() - began)
        _check_size(self._config, may_grow=bool(address))
        _check_shared_storage([storage.absolute(self._config.run.root), self._config.features_root])

    def _connect(self, address: str | None) -> None:
        if address:
            _join(address)
            return
        root = _root_for_sockets(tempfile.gettempdir())
        os.environ["TMPDIR"] = root  # Ray's dashboard opens sockets of Python's in it
        self._temporary = tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX, dir=root)
        _start_local(self._config, self._temporary)

    def close(self, *, keep_logs: bool = False) -> None:
        """Disconnect; a local cluster of ours ends, and its logs go unless they are wanted."""
        if self._is_ours:
            ray.shutdown()
            self._is_ours = False
        if self._temporary and keep_logs:
            log.say("ray", "its logs are in %s", self._temporary)
        elif self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary = None


@contextlib.contextmanager
def cluster_of(config: Config) -> Iterator[Cluster]:
    """A cluster for the length of a `with` block."""
    cluster = Cluster(config)
    try:
        yield cluster
    except (ColInternError, KeyboardInterrupt) as error:
        if isinstance(error, RayTaskError):
            raise _original(error) from None
        raise
    except Exception:
        cluster.close(keep_logs=True)
        raise
    finally:
        cluster.close()


def _original(error: BaseException) -> BaseException:
    """What a task raised on purpose: Ray's own error of the same class shows its traceback."""
    while isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    return error


def device_of(use_gpu: bool) -> str:
    """The torch device of a worker."""
    return "cuda" if use_gpu else "cpu"


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """Where the driver is: machines of workers may vanish, and take their actors with them."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)


def unshared(held: Held) -> ClusterError | None:
    """On a worker, before it works: the error of a node that does not see the driver's lease.

    The driver asks the nodes that are there when it starts; this asks those that came later.
    """
    if held.is_seen():
        return None
    return ClusterError(
        f"{held.folder}: node {ray.util.get_node_ip_address()} does not read what "
        "the driver writes there; use shared storage for run.root and features.root"
    )


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep the handler of SIGTERM: `ray.init` sets its own, which exits with 15 instead of 143."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and handler is not None:  # None: it was not set from Python
            signal.signal(signal.SIGTERM, handler)


def _join(address: str) -> None:
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": _WORKER_ENVIRONMENT},
        )
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ClusterError(
            f"RAY_ADDRESS={address}: cannot join that cluster ({reason}); "
            "unset it to start a local one"
        ) from error


def _root_for_sockets(wanted: str) -> str:
    """`wanted`, or /tmp where Ray's sockets would have too long names in it."""
    name = _TEMPORARY_PREFIX + _RANDOM_CHARACTERS * "x"
    socket = os.path.join(wanted, name, _RAY_SOCKET)
    return wanted if len(os.fsencode(socket)) <= _SOCKET_BYTES else "/tmp"


def _start_local(config: Config, temporary: str) -> None:
    """A cluster on this machine, large enough for the workers that the configuration asks for."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else C++ advice on standard error
    ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, cpus_wanted(config)),
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=temporary,
    )


def _check_size(config: Config, *, may_grow: bool) -> None:
    """Say what the cluster lacks; Ray would wait for it without a word.

    Raises:
        ClusterError: it will never have it.
    """
    lacking = shortage(config, ray.cluster_resources())
    if lacking and not may_grow:  # started with the CPUs that are wanted: GPUs are lacking
        raise ClusterError(
            f"{lacking}; lower it, set cluster.use_gpu=false, or join a cluster with GPUs "
            "by RAY_ADDRESS"
        )
    if lacking:
        log.say("ray", "%s now; waiting for the rest", lacking)


def _quiet_ray() -> None:
    """Ray's progress bars and advice would drown our lines; its errors stay."""
    for name in ("ray", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings are about its own settings: that bars are off, that actors have arguments.
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _check_shared_storage(roots: Sequence[str]) -> None:
    """On several nodes, make sure that each of them reads what the driver writes."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) < 2:
        return
    for root in sorted(set(roots)):
        path, token = storage.join(root, f"shared-{uuid.uuid4().hex}"), uuid.uuid4().hex.encode()
        storage.write_bytes(path, token)
        try:
            for node in nodes:
                if _read_on(node, path) != token:
                    raise ClusterError(
                        f"{root}: node {node['NodeManagerAddress']} does not read what the driver "
                        "writes there; use shared storage for run.root and features.root"
                    )
        finally:
            storage.delete(path)


def _read_on(node: Mapping[str, Any], path: str) -> bytes | None:
    """What a node reads at `path`; None where there is no such file.

    Raises:
        ClusterError: it cannot read there, with its reason.
    """
    read = ray.remote(num_cpus=0)(_read_if_there)
    strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    try:
        return ray.get(read.options(scheduling_strategy=strategy).remote(path))
    except RayTaskError as error:
        reason = " ".join(str(_original(error)).split())
        raise ClusterError(f"node {node['NodeManagerAddress']}: {reason}") from error


def _read_if_there(path: str) -> bytes | None:
    try:
        return storage.read_bytes(path)
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
