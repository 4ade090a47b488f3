"""The finished run behind the API, without Ray."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from colintern.retrieval.retriever import Retriever
from colintern.retrieval.serving.answering import Answering
from colintern.retrieval.serving.api import make_app
from tests.local_run import NoWorkers
from tests.retrieval.serving.helpers import AskHere, is_ready


@pytest.fixture(scope="session")
def retriever(root) -> Retriever:
    """The test set of the run, opened."""
    return Retriever.open(str(root / "runs" / "run"), workers=NoWorkers())


@pytest.fixture(scope="session")
def answering(retriever) -> Answering:
    """What a replica has."""
    return Answering(retriever)


@pytest.fixture(scope="session")
def api(answering):
    """The application as loopback gets it."""
    return make_app(AskHere(answering), is_ready, None)


@pytest.fixture
def client(api) -> Iterator[TestClient]:
    """A client on loopback."""
    with TestClient(api, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield client
