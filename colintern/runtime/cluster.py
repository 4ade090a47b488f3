"""Joining a Ray cluster, or starting a local one, and keeping Ray's own log out of ours."""

import contextlib
import logging
import math
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import ray
import torch
from ray._private import worker as ray_worker
from ray._private.state import state
from ray.exceptions import RayError, RayTaskError

from colintern import log, storage
from colintern.config.schema import Config
from colintern.errors import ColInternError, one_line
from colintern.runtime import temporary
from colintern.runtime.errors import ClusterError, cause_of
from colintern.runtime.probe import check_answers
from colintern.runtime.resources import Request, cpus_wanted, shortage
from colintern.runtime.shared import check_shared_storage

# Two OpenMP teams that wait by spinning slow each other down tenfold on a busy machine. Arrow's own
# allocators keep what is freed: 20 to 40 MB of a process that reads manifests of a million pages.
# Tasks that Ray kills for want of memory are tried for ever by default, without a word.
WORKER_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "RAY_TRAIN_V2_ENABLED": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "RAY_task_oom_retries": "12",  # each after a longer pause: some minutes in all
}

# Ray's C++ code says it on standard error when the level is set, whatever the level.
_LEVEL_SAID = b"Set ray log level from environment variable"

_SOCKET_BYTES = 103 if sys.platform == "darwin" else 107  # of an AF_UNIX address
_RAY_SOCKET = "session_2026-01-31_23-59-59_999999_9999999/sockets/plasma_store"  # the longest


class Cluster:
    """The Ray cluster of a run; joined or started when it is first needed.

    `RAY_ADDRESS` set: that cluster. Not set: a local one of our own, never one that happens to run
    on this machine.

    Args:
        config: where the run and its stores are, which all nodes have to see.
        requests: of the stages that this driver may run, for which it must be large enough.
    """

    def __init__(self, config: Config, requests: Sequence[Request]) -> None:
        self._config = config
        self._requests = requests
        self._is_connected = False
        self._temporary: str | None = None

    def ensure(self) -> None:
        """Connect, the first time."""
        if ray.is_initialized():
            return
        began = time.monotonic()
        os.environ.update(WORKER_ENVIRONMENT)
        pa.set_memory_pool(pa.system_memory_pool())  # here, where Arrow is imported already
        address = os.environ.get("RAY_ADDRESS")
        self._is_connected = True  # or half way: a start that fails leaves processes
        with _own_sigterm():
            self._connect(address)
        if not log.is_verbose():
            _quiet_ray()
        where = f"cluster at {address}" if address else "local cluster"
        log.say("ray", "%s ready in %.0f s", where, time.monotonic() - began)
        self._check_size(may_grow=bool(address))
        check_shared_storage([storage.absolute(self._config.run.root), self._config.features_root])

    def _connect(self, address: str | None) -> None:
        if address:
            _join(address)
            return
        root = _root_for_sockets(tempfile.gettempdir())
        os.environ["TMPDIR"] = root  # Ray's dashboard opens sockets of Python's in it
        temporary.remove_abandoned(root)
        self._temporary = temporary.make_folder(root)
        _start_local(self._requests, self._temporary)

    def _check_size(self, *, may_grow: bool) -> None:
        """Say what the cluster lacks; Ray would wait for it without a word.

        Raises:
            ClusterError: it will never have it.
        """
        lacking = shortage(self._requests, ray.cluster_resources())
        if lacking and not may_grow:  # started with the CPUs that are wanted: GPUs are lacking
            raise ClusterError(
                f"{lacking}; lower it, set cluster.use_gpu=false, or join a cluster with GPUs "
                "by RAY_ADDRESS"
            )
        if lacking and (never := shortage(self._requests, _resources_of_all_nodes())):
            raise ClusterError(f"{never} when all of its nodes have come; lower it, or add nodes")
        if lacking:
            log.say("ray", "%s now; waiting for the rest", lacking)

    def close(self, *, keep_logs: bool = False) -> None:
        """Disconnect; a local cluster of ours ends, and its logs go unless they are wanted."""
        if self._is_connected:
            ray.shutdown()
            ray_worker._worker_logs_enabled = True  # as it was; see `_how_much_ray_says`
            self._is_connected = False
        if self._temporary and keep_logs:
            temporary.keep(self._temporary)
            log.say("ray", "its logs are in %s", self._temporary)
        elif self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary = None


@contextlib.contextmanager
def cluster_of(config: Config, requests: Sequence[Request]) -> Iterator[Cluster]:
    """A cluster for the length of a `with` block; arguments as of `Cluster`."""
    cluster = Cluster(config, requests)
    try:
        yield cluster
    except (ColInternError, KeyboardInterrupt) as error:
        if isinstance(error, RayTaskError):  # shows its traceback
            raise cause_of(error) from None
        raise
    except Exception:
        cluster.close(keep_logs=True)
        raise
    finally:
        cluster.close()


def on_machines_here(config: Config) -> Config:
    """A run's settings, changed so that this machine can use the finished run.

    A cluster that is joined gets the settings unchanged: it should have what they ask for. On this
    machine alone, and without a GPU, encoding is asked of one worker on the CPU.
    """
    if "RAY_ADDRESS" in os.environ or torch.cuda.is_available():
        return config
    cluster = config.cluster.model_copy(update={"use_gpu": False, "encode_workers": 1})
    return config.model_copy(update={"cluster": cluster})


def device_of(use_gpu: bool) -> str:
    """The torch device of a worker."""
    return "cuda" if use_gpu else "cpu"


def _resources_of_all_nodes() -> dict[str, float]:
    """What a cluster will have when all nodes have come that its autoscaler may start.

    Infinitely much, where no autoscaler has told: nodes may be added by hand.
    """
    now, most = ray.cluster_resources(), state.get_max_resources_from_cluster_config()
    if most is None:
        return {"CPU": math.inf, "GPU": math.inf}
    return {name: max(now.get(name, 0), most.get(name, 0)) for name in ("CPU", "GPU")}


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
    log.say("ray", "joining the cluster at %s (RAY_ADDRESS)", address)
    check_answers(address)
    try:
        with _without_lines(_LEVEL_SAID):
            ray.init(
                address=address,
                **_how_much_ray_says(),
                runtime_env={"env_vars": WORKER_ENVIRONMENT},
            )
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise ClusterError(
            f"RAY_ADDRESS={address}: cannot join that cluster ({one_line(error)}); "
            "unset it to start a local one"
        ) from error


def _root_for_sockets(wanted: str) -> str:
    """`wanted`, or /tmp where Ray's sockets would have too long names in it."""
    name = temporary.PREFIX + temporary.NUM_RANDOM_CHARACTERS * "x"
    socket = os.path.join(wanted, name, _RAY_SOCKET)
    return wanted if len(os.fsencode(socket)) <= _SOCKET_BYTES else "/tmp"


def _start_local(requests: Sequence[Request], folder: str) -> None:
    """A cluster on this machine, large enough for the workers that are asked for."""
    with _without_lines(_LEVEL_SAID):
        ray.init(
            address="local",
            num_cpus=max(os.cpu_count() or 1, cpus_wanted(requests)),
            **_how_much_ray_says(),
            _temp_dir=folder,
        )


def _how_much_ray_says() -> dict[str, Any]:
    """Arguments of `ray.init`; with `-v` Ray says all that it says by itself."""
    if log.is_verbose():
        return {"log_to_driver": True, "logging_level": logging.INFO}
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else C++ advice on standard error
    # What the cluster tells every driver, such as that a task is tried again: Ray prints it to
    # standard output among our results, whatever `log_to_driver` says.
    ray_worker._worker_logs_enabled = False
    return {"log_to_driver": False, "logging_level": logging.ERROR}


@contextlib.contextmanager
def _without_lines(words: bytes) -> Iterator[None]:
    """Keep lines with these words off standard error, those of C++ code too.

    All other lines come when the block ends.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held_back:
        stderr = os.dup(2)
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held_back.seek(0)
            for line in held_back:
                if words not in line:
                    os.write(2, line)


def _quiet_ray() -> None:
    """Ray's progress bars and advice would drown our lines; its errors stay."""
    for name in ("ray", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings are about its own settings: that bars are off, that actors have arguments.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
