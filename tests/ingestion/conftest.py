"""Work in the test's own process, except where processes are what is tested."""

import pytest

from colintern.ingestion.pool import Processes


@pytest.fixture
def worker_processes() -> None:
    """Asked for by a test whose work must be done by real workers."""


@pytest.fixture(autouse=True)
def in_this_process(request, monkeypatch) -> None:
    """Starting a worker takes about two seconds a test."""
    if "worker_processes" not in request.fixturenames:
        monkeypatch.setattr(
            Processes, "each", lambda _, do, work, __: ((one, do(one)) for one in work)
        )
