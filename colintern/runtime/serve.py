"""An application on Ray Serve: replicas that answer questions in batches, and a front for HTTP.

The front is one process with the ASGI application, which asks the replicas. So a replica is busy
with nothing but its model, and what is asked while it works waits to be answered together.
"""

import asyncio
import io
import logging
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
)
from ray.serve.handle import DeploymentHandle

from colintern import log
from colintern.config.schema import Config
from colintern.errors import BusyError, ColInternError, UserError, one_line
from colintern.runtime.cluster import cluster_of
from colintern.runtime.collected_lines import CollectedLines
from colintern.runtime.errors import ClusterError, cause_of
from colintern.runtime.resources import Request

MAX_BATCH = 16  # questions that a replica answers together
_MAX_ONGOING = 2 * MAX_BATCH  # of a replica: the next batch waits beside it
_MAX_WAITING = 128  # questions that no replica has taken yet; more are refused
_STOP_SECONDS = 20  # that questions in hand get at the end
_RELEASE_SECONDS = 10  # that the address gets to be free again after that
_LOOK_SECONDS = 2
_DRAIN_LOOK_SECONDS = 0.05
_ANSWER_SECONDS = 10

_APPLICATION, _FRONT, _REPLICA = "colintern", "front", "model"
_QUIET: dict[str, Any] = {"log_level": "ERROR", "enable_access_log": False}

Answer = Callable[[Sequence[Any]], list[Any]]
Ask = Callable[[Any], Awaitable[Any]]
MakeApp = Callable[[Ask, Callable[[], Awaitable[bool]]], Any]


@dataclass(frozen=True)
class Served:
    """What is served, and where. Everything in it travels to other processes.

    Attributes:
        open_answer: called once by each replica, and gives what answers several questions at once;
            an error of ours among the answers is raised to whoever has asked.
        make_app: makes the ASGI application of the front.
        host: where the front listens.
        port: at which it listens.
        replicas: how many there are.
    """

    open_answer: Callable[[], Answer]
    make_app: MakeApp
    host: str
    port: int
    replicas: int


def check_port_is_free(host: str, port: int) -> None:
    """Make sure that this machine can listen there.

    Raises:
        UserError: it cannot.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise UserError(
            f"--host {host} --port {port}: cannot listen there ({one_line(error)}); "
            "choose another one"
        ) from error


def request_of_replicas(config: Config, replicas: int) -> Request:
    """What the replicas ask of the cluster."""
    cluster = config.cluster
    return Request("--replicas", replicas, cluster.cpus_per_worker, cluster.use_gpu)


def serve_until_stopped(served: Served, config: Config, told: str) -> None:
    """Serve until a signal ends the process; then questions in hand are still answered.

    Args:
        served: what, and where.
        config: of the run; says what a replica needs.
        told: what is served, for the line that says that it is.

    Raises:
        UserError: the address is taken, or the cluster cannot do it.
    """
    request = request_of_replicas(config, served.replicas)
    joins = "RAY_ADDRESS" in os.environ
    if not joins:
        check_port_is_free(served.host, served.port)
    with cluster_of(config, [request]) as cluster:
        cluster.ensure()
        with serving(served, request, stays=joins) as front:
            _say_lines(serve.get_deployment_handle(_REPLICA, _APPLICATION))
            log.say(
                "serve", "http://%s:%d  %s; Ctrl-C ends it", _shown(served.host), served.port, told
            )
            _watch(front)


@contextmanager
def serving(served: Served, request: Request, *, stays: bool) -> Iterator[DeploymentHandle]:
    """The application for the length of a `with` block, on the cluster that is connected.

    Args:
        served: what, and where.
        request: of the replicas.
        stays: whether the cluster goes on after that; then Ray Serve is ended on it.

    Yields:
        The handle of the front.

    Raises:
        ClusterError: Ray Serve is in use there, or a replica cannot start.
    """
    if serve.status().proxies:
        raise ClusterError(
            "Ray Serve runs on this cluster already, and has one address for all; end it with "
            "`serve shutdown`, or unset RAY_ADDRESS to start a cluster of your own"
        )
    logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
    options = {"host": served.host, "port": served.port}
    with _ray_serve(served, stays):
        try:
            serve.start("HeadOnly", http_options=options, logging_config=_QUIET)
        except TimeoutError as error:  # of a machine that is too busy
            raise ClusterError(f"Ray Serve: {one_line(error)}; run the command again") from error
        front = _deployed(served, request)  # where it fails, no controller may be there to ask
        try:
            yield front
        finally:
            _drain(front)
            serve.delete(_APPLICATION)


@contextmanager
def _ray_serve(served: Served, stays: bool) -> Iterator[None]:
    """Ends Ray Serve after a `with` block; where the cluster does not stay, it goes with that."""
    try:
        yield
    finally:
        if stays:
            with redirect_stdout(io.StringIO()):  # Ray tells that the controller's calls fail
                serve.shutdown()
            _wait_until_nobody_listens(served.host, served.port)


def _wait_until_nobody_listens(host: str, port: int) -> None:
    """Ray Serve says that it has ended while the process that listens is still being killed.

    Where that process is on another machine, nobody listens on this one, and there is no wait.
    """
    deadline = time.monotonic() + _RELEASE_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, port), timeout=_LOOK_SECONDS).close()
        except OSError:
            return
        time.sleep(_DRAIN_LOOK_SECONDS)


def _drain(front: DeploymentHandle) -> None:
    """Have the questions that the front has in hand answered, and no new ones taken."""
    with suppress(TimeoutError, RayError, RayServeException):
        front.drain.remote().result(timeout_s=_STOP_SECONDS)


def _deployed(served: Served, request: Request) -> DeploymentHandle:
    make_replica = serve.deployment(
        name=_REPLICA,
        num_replicas=served.replicas,
        max_ongoing_requests=_MAX_ONGOING,
        max_queued_requests=_MAX_WAITING,
        graceful_shutdown_timeout_s=_STOP_SECONDS,
        ray_actor_options={
            "num_cpus": request.cpus_per_worker,
            "num_gpus": request.gpus_per_worker,
        },
    )
    make_front = serve.deployment(
        name=_FRONT,
        max_ongoing_requests=10_000,  # the replicas' queue is the bound
        graceful_shutdown_timeout_s=_STOP_SECONDS,
        ray_actor_options={"num_cpus": 0},
    )
    replicas = make_replica(_Replica).bind(served.open_answer)
    bound = make_front(serve.ingress()(_Front)).bind(replicas, served.make_app)
    try:
        return serve.run(bound, name=_APPLICATION, logging_config=_QUIET)
    except RuntimeError as error:
        raise ClusterError(f"--replicas: a replica cannot start: {_reason(error)}") from error


class _Replica:
    """Answers questions, a batch at a time, in a thread: its event loop goes on taking them.

    Args:
        open_answer: of `Served`.
    """

    def __init__(self, open_answer: Callable[[], Answer]) -> None:
        self._lines = CollectedLines()
        self._answer = open_answer()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.0)
    async def answer(self, questions: list[Any]) -> list[Any]:
        """The answers; an error of ours is an answer too."""
        return await asyncio.to_thread(self._answer, questions)

    def lines(self) -> list[str]:
        """What was logged since this was asked for the last time."""
        return self._lines.take()


class _Front:
    """The ASGI application, in a process of its own.

    Args:
        replicas: the handle of those who answer.
        make_app: of `Served`.
    """

    def __init__(self, replicas: DeploymentHandle, make_app: MakeApp) -> None:
        self._replicas, self._make_app = replicas, make_app
        self._num_in_hand, self._is_ending = 0, False
        self._lines = CollectedLines()

    def __serve_build_asgi_app__(self) -> Any:
        """Called by Ray Serve."""
        return self._make_app(self._ask, self._is_ready)

    def lines(self) -> list[str]:
        """What was logged since this was asked for the last time."""
        return self._lines.take()

    async def drain(self) -> None:
        """Take no more questions, and wait until those in hand are answered."""
        self._is_ending = True
        while self._num_in_hand:
            await asyncio.sleep(_DRAIN_LOOK_SECONDS)

    async def _ask(self, question: Any) -> Any:
        """The answer of a replica.

        Raises:
            BusyError: too many questions wait, there is no replica to answer, or it is the end.
            ColInternError: that is the answer.
        """
        if self._is_ending:
            raise BusyError("the server is ending")
        self._num_in_hand += 1
        try:
            return await self._asked(question)
        finally:
            self._num_in_hand -= 1

    async def _asked(self, question: Any) -> Any:
        try:
            answer = await self._replicas.answer.remote(question)
        except BackPressureError as error:
            raise BusyError("too many questions are waiting; ask again later") from error
        except RayTaskError as error:  # what the replica raised: a fault of the program
            raise cause_of(error) from error
        except (DeploymentUnavailableError, RayServeException, RayError) as error:
            raise BusyError("the replica that was asked is gone; ask again later") from error
        if isinstance(answer, ColInternError):
            raise answer
        return answer

    async def _is_ready(self) -> bool:
        """Whether a replica is there; it is not asked itself, as it may have much to do."""
        status = await asyncio.to_thread(serve.status)
        states = status.applications[_APPLICATION].deployments[_REPLICA].replica_states
        return any(number for state, number in states.items() if state == "RUNNING")


def _say_lines(handle: DeploymentHandle) -> None:
    """Say here what one process of a deployment has logged."""
    for line in handle.lines.remote().result(timeout_s=_ANSWER_SECONDS):
        part, _, message = line.partition(" ")
        log.say(part, "%s", message.strip())


def _watch(front: DeploymentHandle) -> None:
    """Say what the front logs, until a signal raises something here."""
    never = threading.Event()
    while not never.wait(_LOOK_SECONDS):
        try:
            _say_lines(front)
        except (TimeoutError, RayError, RayServeException):
            log.warn_once("serve", "the server did not answer for a while; Ray starts it again")


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _reason(error: RuntimeError) -> str:
    """The last line of a message that has the trace of another process in it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else one_line(error)
