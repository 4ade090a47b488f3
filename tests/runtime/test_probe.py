"""A cluster that is not there is one line in seconds, where Ray tries for a quarter of an hour."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from colintern.runtime.errors import ClusterError
from colintern.runtime.probe import check_answers

_SETTINGS = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x7f\xff\xff\xff"


@contextmanager
def _server(answer: bytes | None) -> Iterator[str]:
    """Something that sends `answer` to whoever connects, or nothing for None."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                if answer is not None:
                    connection.sendall(answer)
                else:
                    ended.wait(10)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        thread.join()


@pytest.mark.parametrize("prefix", ["", "ray://"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad\r\n", "not Ray"),
        (b"", "not Ray|connection reset"),
        (None, "no answer in 1 s"),
    ],
)
def test_what_is_not_ray_is_refused(prefix, answer, words):
    """A web server, or a port that swallows everything, that Ray waits for for minutes."""
    began = time.monotonic()
    with (
        _server(answer) as address,
        pytest.raises(ClusterError, match=f"RAY_ADDRESS={prefix}{address}.*{words}.*unset it"),
    ):
        check_answers(f"{prefix}{address}", seconds=1)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_nothing_at_an_address_is_refused(prefix):
    """847 seconds before a wrong port is named."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{prefix}127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ClusterError, match="connection refused"):
        check_answers(address)


@pytest.mark.parametrize("address", ["http://head:8265", "head:port", ":6379", "ray://head:x"])
def test_what_is_no_address_is_told(address):
    """The dashboard's address, the likeliest mistake, as an error of Ray's about a port."""
    with pytest.raises(ClusterError, match="must be HOST:PORT"):
        check_answers(address)


def test_what_speaks_as_ray_does_is_joined():
    """A cluster that answers and is refused by the check."""
    with _server(_SETTINGS) as address:
        check_answers(address)
    check_answers("auto")


@pytest.mark.ray
def test_a_real_cluster_answers(ray_cluster):
    """Ray that does not speak as the check believes, so that no cluster can be joined any more."""
    import ray

    check_answers(ray.get_runtime_context().gcs_address)
