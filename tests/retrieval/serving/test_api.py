"""The API by itself, against its own OpenAPI document."""

import base64
import hashlib
import io
import json
import re

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from PIL import Image
from starlette.testclient import TestClient

from colintern.errors import BusyError, DatasetError
from colintern.retrieval.serving.api import make_app
from colintern.retrieval.serving.limits import MAX_BODY_BYTES, MAX_CHARACTERS, MAX_QUERIES
from tests.retrieval.serving.helpers import AskHere, Raises, is_ready

TOKEN = "a-secret-of-sixteen"
LOOPBACK = {"Host": "127.0.0.1"}


OPERATIONS = [
    ("POST", "/search"),
    ("POST", "/embed"),
    ("GET", "/page"),
    ("GET", "/heatmap"),
    ("GET", "/healthz"),
]


@pytest.fixture(scope="module")
def schema(api):
    """The OpenAPI document that the API gives, and the API."""
    return schemathesis.openapi.from_asgi("/openapi.json", api, headers=LOOPBACK)


def test_the_document_has_every_operation(schema):
    """A path that the test below does not try."""
    found = [result.ok() for result in schema.get_all_operations()]
    assert {(one.method.upper(), one.path) for one in found} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        (method, path, mode)
        for method, path in OPERATIONS
        for mode in schemathesis.GenerationMode
        if path != "/healthz" or mode.is_positive  # it takes nothing that could be wrong
    ],
)
def test_the_api_is_what_its_document_says(schema, method, path, mode):
    """A 500 for a request that nobody has thought of, or an answer that no client expects."""
    tried = []

    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=HealthCheck)
    def ask(case):
        tried.append(case.call_and_validate(headers=LOOPBACK).status_code)

    ask()
    assert len(tried) >= (1 if path == "/healthz" else 10)


def test_a_search_is_that_of_the_retriever(client, retriever):
    """Another page, score or order over HTTP than on the command line."""
    answer = client.post("/search", json={"query": "question 3", "k": 4})
    assert answer.status_code == 200
    (hits,) = retriever.search(["question 3"], 4)
    assert answer.json() == {
        "round": retriever.round,
        "dataset": "test",
        "hits": [vars(hit) for hit in hits],
    }
    assert len(client.post("/search", json={"query": "question 3"}).json()["hits"]) == 6


def test_embeddings_are_those_of_the_retriever(client, retriever):
    """Numbers that JSON has rounded, or queries in another order."""
    texts = ["question 3", "a", "which page?"]
    answer = client.post("/embed", json={"queries": texts})
    found = [np.array(token_QE, np.float32) for token_QE in answer.json()["embeddings"]]
    for token_QE, wanted in zip(found, retriever.embed_queries(texts), strict=True):
        assert np.array_equal(token_QE, wanted)


def test_a_page_and_its_heat_map(client, retriever):
    """A picture of another page, or a map that is the page itself."""
    page = client.get("/page", params={"id": "p002"})
    assert page.content == retriever.page_images(["p002"])["p002"]
    assert page.headers["content-type"] == "image/png"
    assert page.headers["x-content-type-options"] == "nosniff"
    small = client.get("/page", params={"id": "p002", "width": 16})
    assert Image.open(io.BytesIO(small.content)).size == (16, 16)
    asked = {"id": "p002", "query": "which question"}
    whole = client.get("/heatmap", params=asked)
    words = [client.get("/heatmap", params=asked | {"word": number}) for number in (1, 2)]
    assert {one.headers["content-type"] for one in (whole, *words)} == {"image/png"}
    assert len({page.content, whole.content, *(one.content for one in words)}) == 4


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/search", {"query": " \n"}, 422, "query: empty query"),
        ("POST", "/search", {"query": "x" * 2_049}, 422, "query: query of 2,049 characters; the l"),
        ("POST", "/search", {"query": "\ud800"}, 422, "query: "),
        ("POST", "/search", {"query": "a", "k": 101}, 422, "k: "),
        ("POST", "/search", {"query": "a", "k": 0}, 422, "k: "),
        ("POST", "/search", {"query": "a", "k": "5"}, 422, "k: "),
        ("POST", "/search", {"query": "a", "top": 5}, 422, "top: "),
        ("POST", "/search", {}, 422, "query: Field required"),
        ("POST", "/search", [], 422, "body: "),
        ("POST", "/embed", {"queries": ["a"] * 33}, 422, "queries: "),
        ("POST", "/embed", {"queries": ["a", ""]}, 422, "queries.1: empty query"),
        ("POST", "/embed", {"queries": []}, 422, "queries: "),
        ("GET", "/page?id=p999", None, 404, "id: the dataset has no such page"),
        ("GET", "/page", None, 422, "id: Field required"),
        ("GET", "/page?id=p001&width=9999", None, 422, "width: "),
        ("GET", "/heatmap?id=p999&query=a", None, 404, "id: the dataset has no such page"),
        ("GET", "/heatmap?id=p001&query=%20", None, 422, "query: empty query"),
        ("GET", "/heatmap?id=p001&query=a+b&word=3", None, 422, "word: the query has 2 words"),
        ("GET", "/docs", None, 404, "Not Found"),
        ("GET", "/search", None, 405, "Method Not Allowed"),
    ],
)
def test_a_mistake_is_told_as_an_error(client, method, path, body, status, words):
    """FastAPI's `detail`, a 500, or a message with what was sent in it."""
    content = None if body is None else json.dumps(body)
    headers = {"Content-Type": "application/json"}
    answer = client.request(method, path, content=content, headers=headers)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(words)
    assert len(answer.json()["error"]) < 200


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b'{"query": NaN}'])
def test_a_body_that_is_no_json(client, content):
    """A 500, or a stack that overflows, for bytes of a stranger."""
    answer = client.post("/search", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert list(answer.json()) == ["error"]


def test_the_most_that_may_be_asked_fits(client):
    """A query that is allowed, and whose body, or address, is refused for its length."""
    longest = "\U0001f4d6" * MAX_CHARACTERS
    assert len(json.dumps({"queries": [longest] * MAX_QUERIES})) < MAX_BODY_BYTES
    request = client.build_request("GET", "/heatmap", params={"id": "p001", "query": longest})
    assert len(request.url.raw_path) < 60_000  # h11 reads 64 KiB of a request's head


def test_a_body_that_is_too_large_is_not_read(client):
    """Memory that one client fills, with a length that it tells or without one."""
    large = b" " * (MAX_BODY_BYTES + 1)
    told = client.post("/search", content=large)
    untold = client.post("/search", content=iter([large[:1_000_000], large[1_000_000:]]))
    assert (told.status_code, untold.status_code) == (413, 413)
    assert told.json() == untold.json()
    assert told.json()["error"].startswith("body: more than 1,048,576 bytes")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("[::1]:8000", 200),
        ("pages.example", 421),
        ("127.0.0.1.pages.example:8000", 421),
        ("", 421),
    ],
)
def test_a_name_of_somebody_else_is_not_served(client, host, status):
    """A page on the web that reads yours through your browser, by a name made to be yours."""
    assert client.get("/page?id=p001", headers={"Host": host}).status_code == status


def test_strangers_need_the_token(answering):
    """A path that is open by mistake; the page or the health check closed to everybody."""
    api = make_app(AskHere(answering), is_ready, TOKEN)
    client = TestClient(api, base_url="http://pages.example")
    closed = [
        ("POST", "/search"),
        ("POST", "/embed"),
        ("GET", "/page?id=p001"),
        ("GET", "/heatmap"),
    ]
    shown = [{}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN}x"}, {"Cookie": TOKEN}]
    for method, path in [*closed, ("GET", "/nothing"), ("GET", "/page/?id=p001")]:
        for headers in shown:
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 401
            assert answer.json() == {"error": "Authorization: the token is missing or wrong"}
            assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/", "/healthz", "/openapi.json"):
        assert client.get(path).status_code == 200
    good = client.get("/page?id=p001", headers={"Authorization": f"Bearer {TOKEN}"})
    assert good.status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "words", "retry"),
    [
        (BusyError("too many questions"), 503, "too many questions", "1"),
        (DatasetError("/srv/secret/corpus: is gone"), 500, "the server could not answer", None),
        (ValueError("/srv/secret"), 500, "the server could not answer", None),
    ],
)
def test_failures_of_the_server(error, status, words, retry, caplog):
    """A path of the server in the answer, nothing in its log, or no word of when to retry."""
    client = TestClient(
        make_app(Raises(error), is_ready, None),
        base_url="http://localhost",
        raise_server_exceptions=False,
    )
    with caplog.at_level("INFO", "colintern"):
        answer = client.post("/search", json={"query": "a"})
    assert answer.status_code == status
    assert answer.json()["error"].startswith(words)
    assert answer.headers.get("retry-after") == retry
    assert "secret" not in answer.text
    assert ("/srv/secret" in caplog.text) is (status == 500)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_health_is_whether_somebody_can_answer(client):
    """A load balancer that sends clients where no replica is."""
    assert client.get("/healthz").json() == {"status": "ok"}

    async def nobody() -> bool:
        return False

    api = make_app(Raises(ValueError()), nobody, None)
    answer = TestClient(api, base_url="http://localhost").get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"error": "no replica is ready"})


def test_the_page_may_load_nothing_else(client):
    """A policy that a changed script or style no longer fits, or that lets scripts in."""
    answer = client.get("/")
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    for tag, of in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(rf"<{tag}>(.+?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[of] == f"'sha256-{digest}'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert " style=" not in answer.text  # the policy would block it
    assert f'maxlength="{MAX_CHARACTERS}"' in answer.text
    assert "http" not in answer.text.replace("HTTP", "").split("<style>")[0]
