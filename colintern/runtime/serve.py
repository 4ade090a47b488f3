"""An application on Ray Serve, started and ended: see `deployments` for what its processes do."""

import io
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from colintern import log
from colintern.config.schema import Config
from colintern.errors import one_line
from colintern.runtime.cluster import cluster_of
from colintern.runtime.deployments import (
    APPLICATION,
    FRONT,
    MAX_BATCH,
    REPLICA,
    Answer,
    Front,
    MakeApp,
    Replica,
)
from colintern.runtime.errors import ClusterError, cause_of
from colintern.runtime.resources import Request

_MAX_ONGOING = 2 * MAX_BATCH  # of a replica: the next batch waits beside it
_MAX_WAITING = 128  # questions that no replica has taken yet; more are refused
_STOP_SECONDS = 20  # that questions in hand get at the end
_RELEASE_SECONDS = 10  # that the address gets to be free again after that
_RELEASE_LOOK_SECONDS = 0.05
_LOOK_SECONDS = 2
_ANSWER_SECONDS = 10

_QUIET: dict[str, Any] = {"log_level": "ERROR", "enable_access_log": False}
_NO_ANSWER = (TimeoutError, RayError, RayServeException)


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

    @property
    def url(self) -> str:
        """Where the front is found."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


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
        UserError: the cluster cannot do it.
    """
    request = request_of_replicas(config, served.replicas)
    joins = "RAY_ADDRESS" in os.environ
    with cluster_of(config, [request]) as cluster:
        cluster.ensure()
        with serving(served, request, stays=joins) as front:
            with suppress(*_NO_ANSWER):
                _say_lines(serve.get_deployment_handle(REPLICA, APPLICATION))
            log.say("serve", "%s  %s; Ctrl-C ends it", served.url, told)
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
        ClusterError: Ray Serve is in use there, cannot listen, or a replica cannot start.
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
            front = _deployed(served, request)
        except (TimeoutError, RayError) as error:
            raise ClusterError(
                f"{served.url}: Ray Serve cannot listen there ({one_line(cause_of(error))}); the "
                "address may be taken, or the machine too busy: choose another --port, or try "
                "again later"
            ) from error
        try:
            yield front
        finally:
            _end(front)


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
        time.sleep(_RELEASE_LOOK_SECONDS)


def _end(front: DeploymentHandle) -> None:
    """Have the questions that the front has in hand answered, and no new ones taken."""
    with suppress(*_NO_ANSWER):
        front.drain.remote().result(timeout_s=_STOP_SECONDS)
    with suppress(*_NO_ANSWER):
        serve.delete(APPLICATION)


def _deployed(served: Served, request: Request) -> DeploymentHandle:
    make_replica = serve.deployment(
        name=REPLICA,
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
        name=FRONT,
        max_ongoing_requests=10_000,  # the replicas' queue is the bound
        graceful_shutdown_timeout_s=_STOP_SECONDS,
        ray_actor_options={"num_cpus": 0},
    )
    replicas = make_replica(Replica).bind(served.open_answer)
    bound = make_front(serve.ingress()(Front)).bind(replicas, served.make_app)
    try:
        return serve.run(bound, name=APPLICATION, logging_config=_QUIET)
    except RuntimeError as error:
        raise ClusterError(f"a replica cannot start: {_reason(error)}") from error


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
        except _NO_ANSWER:
            log.warn_once("serve", "the server did not answer for a while; Ray starts it again")


def _reason(error: RuntimeError) -> str:
    """What a process of the application has raised; else what Ray Serve says."""
    application = serve.status().applications.get(APPLICATION)
    deployments = application.deployments.values() if application else ()
    raised = (last_line(deployment.message) for deployment in deployments)
    return next(filter(None, raised), one_line(error))


def last_line(message: str) -> str:
    """What has been raised, of a message that ends with a trace; empty if it is."""
    lines = message.split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return re.sub(r"^colintern\.[\w.]+: ", "", last)  # our messages say all
