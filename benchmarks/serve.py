"""A served run under load, against its bare retriever on the same machine.

Prints a table: queries per second of `Retriever.search` in a loop, one query at a time; then of
`colintern serve` with clients on loopback, each of which asks its next question when it has the
answer to the last one, with the 50th and 99th percentile of their waiting. The clients are threads
of one process, which shares the cores with the server and with Ray's own processes. Every answer
must be 200 and name the same best page as the retriever. Questions are those of the dataset.
RUN is a finished run; that of `make demo` if none is given.

    python benchmarks/serve.py [RUN] [--clients 64] [--seconds 30] [--replicas 1]
"""

import argparse
import http.client
import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from colintern.data.canonical import CanonicalDataset
from colintern.retrieval.retriever import Retriever

_START_SECONDS = 300
_DEPTH = 10
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def ask_retriever(
    retriever: Retriever, texts: list[str], seconds: float
) -> tuple[float, dict[str, str]]:
    """Queries per second, and the best page of each query that was asked."""
    retriever.search(texts[:1], _DEPTH)  # loads the model
    best: dict[str, str] = {}
    began = time.perf_counter()
    for number, text in enumerate(itertools.cycle(texts), start=1):
        (hits,) = retriever.search([text], _DEPTH)
        best[text] = hits[0].page_id
        if time.perf_counter() - began > seconds:
            return number / (time.perf_counter() - began), best
    raise ValueError("no queries")


@contextmanager
def served(run: str, port: int, replicas: int) -> Iterator[None]:
    """`colintern serve` for the length of a `with` block, once it is ready."""
    command = [sys.executable, "-m", "colintern.cli", "serve", run, "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--replicas", str(replicas)], env={**os.environ, **ENVIRONMENT}
    )
    try:
        _wait(process, port)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _wait(process: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass  # it does not listen yet
        finally:
            connection.close()
        time.sleep(0.5)
    raise SystemExit("the server did not start")


class Load:
    """Clients that ask one question after the other.

    Attributes:
        waits: seconds that each answer took.
        errors: what went wrong.
        best: the best page of each question.
    """

    def __init__(self, port: int, texts: list[str]) -> None:
        self.waits: list[float] = []
        self.errors: list[str] = []
        self.best: dict[str, str] = {}
        self._port, self._texts = port, itertools.cycle(texts)
        self._lock = threading.Lock()

    def run(self, clients: int, seconds: float) -> float:
        """Ask for some time; the queries per second that were answered."""
        began = time.perf_counter()
        threads = [
            threading.Thread(target=self._ask_until, args=(began + seconds,))
            for _ in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(self.waits) / (time.perf_counter() - began)

    def _ask_until(self, end: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        while time.perf_counter() < end:
            with self._lock:
                text = next(self._texts)
            began = time.perf_counter()
            try:
                body = json.dumps({"query": text, "k": _DEPTH})
                connection.request("POST", "/search", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                document = json.loads(answer.read())
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(repr(error))
                connection.close()
                continue
            if answer.status != 200:
                self.errors.append(f"{answer.status} {document}")
                continue
            self.waits.append(time.perf_counter() - began)
            self.best[text] = document["hits"][0]["page_id"]
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", nargs="?", default="runs/demo")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--replicas", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)  # as a replica has it
    retriever = Retriever.open(options.run)
    folder = retriever.run.dataset(retriever.dataset).path
    texts = list(dict.fromkeys(query.text for query in CanonicalDataset(folder).queries()))
    bare, wanted = ask_retriever(retriever, texts, options.seconds)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    load = Load(port, texts)
    with served(options.run, port, options.replicas):
        rate = load.run(options.clients, options.seconds)
    both = wanted.keys() & load.best.keys()
    differ = sum(wanted[text] != load.best[text] for text in both)
    cuts = statistics.quantiles(load.waits, n=100)
    print("| what | queries per second | p50 | p99 | errors |")
    print("|---|---|---|---|---|")
    print(f"| bare retriever, one at a time | {bare:.1f} | {1 / bare:.3f} s | | |")
    print(
        f"| served, {options.clients} clients, replicas: {options.replicas} | {rate:.1f} "
        f"| {cuts[49]:.2f} s | {cuts[98]:.2f} s | {len(load.errors)} |"
    )
    print(f"\n{rate / bare:.2f} of the bare retriever; {len(load.waits):,} answers; ", end="")
    print(f"{differ} of {len(both):,} best pages differ")
    if load.errors or differ:
        raise SystemExit(f"first error: {load.errors[:1]}")


if __name__ == "__main__":
    main()
