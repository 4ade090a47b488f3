"""A finished run behind Ray Serve: the same answers, bounds on what waits, an end in order."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayTaskError

from colintern.retrieval.finished import open_finished
from colintern.retrieval.retriever import Retriever
from colintern.retrieval.serving.serve import ServeSettings, served_run
from colintern.runs import loop
from colintern.runtime import serve as on_serve
from colintern.runtime.errors import ClusterError
from colintern.runtime.resources import Request
from colintern.runtime.serve import last_line, request_of_replicas, serving
from tests.helpers import free_port
from tests.local_run import NoWorkers, QuickWorkers, make_config

TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    """A finished run."""
    root = tmp_path_factory.mktemp("served")
    loop.run(make_config(root), QuickWorkers())
    return str(root / "runs" / "run")


def _ask(port: int, path: str, body: Any = None, token: str = TOKEN) -> tuple[int, Any, Any]:
    """Status, headers, and the body as JSON if it is one."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        data = answer.read()
        is_json = answer.headers["content-type"] == "application/json"
        return answer.status, answer.headers, json.loads(data) if is_json else data


def test_a_replica_asks_for_what_a_worker_has(tmp_path):
    """Replicas that compute on the CPU of a machine with GPUs, or that take more than there is."""
    config = make_config(tmp_path, cluster={"use_gpu": True, "cpus_per_worker": 3})
    assert request_of_replicas(config, 2) == Request("--replicas", 2, 3, True)


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        ("colintern.errors.UserError: memory of 1 kB: allow more", "memory of 1 kB: allow more"),
        ("torch.OutOfMemoryError: CUDA: 2 GiB", "torch.OutOfMemoryError: CUDA: 2 GiB"),
    ],
)
def test_why_a_replica_cannot_start(raised, words):
    """`Failed to update the deployments`, and the reason in a log that is deleted."""
    message = f"The deployment failed. Error:\nray::model()\n  File x, line 1\n{raised}\n"
    assert last_line(message) == words
    assert last_line("") == ""


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("HTTP proxies not available after 60s."),
        RayTaskError("ready", "a trace", RuntimeError("Failed to bind")).as_instanceof_cause(),
    ],
)
def test_where_ray_serve_cannot_listen_is_told(monkeypatch, error):
    """Fifty lines of Ray's for a port that is in use on the head node, or a machine too busy."""

    def start(*_, **__):
        raise error

    monkeypatch.setattr(on_serve.serve, "status", lambda: SimpleNamespace(proxies={}))
    monkeypatch.setattr(on_serve.serve, "start", start)
    served = on_serve.Served(list, _small_app, "::1", 8_000, 1)
    words = r"http://\[::1\]:8000: Ray Serve cannot listen there \((HTTP proxies|Failed to bind)"
    with pytest.raises(ClusterError, match=words):
        serving(served, Request("--replicas", 1), stays=False).__enter__()


@pytest.mark.ray
def test_a_served_run_answers_as_its_retriever(ray_cluster, run):
    """Other pages over HTTP; a queue without an end; Ray Serve that stays on somebody's cluster."""
    settings = ServeSettings("127.0.0.1", free_port(), TOKEN)
    served = served_run(open_finished(run), settings)
    port, request = settings.port, Request("--replicas", 1)
    retriever = Retriever.open(run, workers=NoWorkers())
    with serving(served, request, stays=True):
        with pytest.raises(ClusterError, match="Ray Serve runs on this cluster already"):
            serving(served, request, stays=True).__enter__()
        texts = [f"question {number}" for number in range(24)]
        wanted = [[vars(hit) for hit in hits] for hits in retriever.search(texts, 4)]
        with ThreadPoolExecutor(24) as clients:
            asked = ({"query": text, "k": 4} for text in texts)
            answers = list(clients.map(lambda body: _ask(port, "/search", body), asked))
        assert [status for status, *_ in answers] == [200] * 24
        assert [body["hits"] for *_, body in answers] == wanted
        assert _ask(port, "/healthz")[2] == {"status": "ok"}
        status, headers, page = _ask(port, "/page?id=p001")
        assert (status, headers["content-type"]) == (200, "image/png")
        assert page == retriever.page_images(["p001"])["p001"]
        assert _ask(port, "/heatmap?id=p001&query=question")[2].startswith(b"\x89PNG")
        assert _ask(port, "/page?id=p999")[0] == 404
        assert _ask(port, "/search", {"query": "a"}, "wrong")[0] == 401
    with pytest.raises(OSError, match="refused"):
        _ask(port, "/healthz")


class _Slow:
    """Answers when a file is there.

    Args:
        go: the file.
    """

    def __init__(self, go: Path) -> None:
        self._go = go

    def __call__(self, questions) -> list[Any]:
        while not self._go.exists():
            time.sleep(0.01)
        return [f"{question} of {len(questions)}" for question in questions]


def _small_app(ask, is_ready):
    """An application that passes on what it is asked."""
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse

    from colintern.errors import BusyError

    app = FastAPI()

    @app.get("/")
    async def answer(text: str) -> JSONResponse:
        try:
            return JSONResponse(await ask(text))
        except BusyError as error:
            return JSONResponse(str(error), 503)

    return app


@pytest.mark.ray
def test_too_many_questions_are_refused_and_the_rest_answered_together(
    ray_cluster, tmp_path, monkeypatch
):
    """Clients that wait for minutes behind each other; questions dropped at the end."""
    waiting = 64
    monkeypatch.setattr(on_serve, "_MAX_WAITING", waiting)
    go, port = tmp_path / "go", free_port()
    served = on_serve.Served(lambda: _Slow(go), _small_app, "127.0.0.1", port, 1)
    # On a busy machine questions wait that are on their way to a replica: then fewer are taken.
    num_more = 2 * on_serve._MAX_ONGOING + waiting
    with ThreadPoolExecutor(waiting + num_more) as clients:
        with serving(served, Request("--replicas", 1), stays=True):
            asked = [clients.submit(_ask, port, f"/?text=q{n}") for n in range(waiting)]
            more = [clients.submit(_ask, port, f"/?text=more{n}") for n in range(num_more)]
            deadline = time.monotonic() + 60
            while not any(one.done() for one in (*asked, *more)):
                assert time.monotonic() < deadline
            threading.Timer(1, go.touch).start()  # while the application is ending
        answers = [one.result() for one in (*asked, *more)]
    refused = [body for status, _, body in answers if status == 503]
    answered = [body for status, _, body in answers if status == 200]
    assert len(refused) + len(answered) == waiting + num_more
    assert len(answered) >= waiting
    assert refused
    too_many = "too many questions are waiting; ask again later"
    assert too_many in refused
    assert set(refused) <= {too_many, "the server is ending"}
    assert not all(answer.endswith("of 1") for answer in answered)


@pytest.mark.ray
def test_ctrl_c_ends_a_server_with_one_line(run, tmp_path):
    """Replicas that stay, a trace, or lines of Ray's around ours."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "colintern.cli", "serve", run, "--port", str(port)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "Ctrl-C ends it" in line:
                break
        assert f"http://127.0.0.1:{port}  searches test, round" in lines[-1]
        assert _ask(port, "/search", {"query": "question"})[0] == 200
        process.send_signal(signal.SIGINT)
        _, after = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode == 130
    assert after.splitlines() == ["interrupted; run the same command again to continue"]
    assert [line.split()[1] for line in lines] == ["ray", "retriever", "serve"]
    assert not list(tmp_path.glob("colintern-ray-*"))
