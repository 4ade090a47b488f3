"""An S3 server on this machine, moto's, that can be told to fail some of the requests."""

import contextlib
import itertools
import socket
import threading
import uuid
from collections.abc import Callable, Iterator

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from tests.helpers import free_port

BROKEN = ("500 Internal Server Error", "InternalError")
DENIED = ("403 Forbidden", "AccessDenied")
CONFLICT = ("409 Conflict", "ConditionalRequestConflict")


Wanted = Callable[[str, str], bool]  # told the method and the query of a request


class S3Server:
    """moto behind a door that now and then answers 500 instead.

    Attributes:
        environment: what makes fsspec, boto and their children talk to it.
        failed: requests that were refused on purpose.
        asked: method and path of every request.
        lost: answers that were dropped on purpose.
    """

    def __init__(self) -> None:
        self._port = free_port()
        self._app = DomainDispatcherApplication(create_backend_app)
        self._fail_every, self._answer_with = 0, BROKEN
        self._fail_only: Wanted = lambda method, query: True
        self._count = itertools.count(1)
        self.failed = 0
        self.asked: list[tuple[str, str]] = []
        self.lost = 0
        self._loses: Wanted | None = None
        self._before: Callable[[str, str], None] | None = None
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve from a thread."""
        server = make_server("127.0.0.1", self._port, self._answer, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()

    def new_bucket(self, name: str = "") -> str:
        """Make a bucket, by a name of its own when none is given; returns its URL."""
        name = name or f"bucket-{uuid.uuid4().hex[:12]}"
        boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"]).create_bucket(
            Bucket=name
        )
        return f"s3://{name}"

    @contextlib.contextmanager
    def failing(
        self,
        every: int,
        *,
        answer: tuple[str, str] = BROKEN,
        only: Wanted = lambda method, query: True,
    ) -> Iterator[None]:
        """Answer every so-many-th of some requests with an error, for the length of the block.

        Args:
            every: 1 is each of them.
            answer: status and code of the error.
            only: told the method and the query of each request.
        """
        self._fail_every, self.failed, self._fail_only = every, 0, only
        self._answer_with = answer
        try:
            yield
        finally:
            self._fail_every = 0

    @contextlib.contextmanager
    def losing(self, wanted: Wanted) -> Iterator[None]:
        """Do what the first request asks that is `wanted`, and drop the line before the answer."""
        self._loses, self.lost = wanted, 0
        try:
            yield
        finally:
            self._loses = None

    @contextlib.contextmanager
    def before(self, do: Callable[[str, str], None]) -> Iterator[None]:
        """Call `do` with the method and the query of each request, before it is answered."""
        self._before = do
        try:
            yield
        finally:
            self._before = None

    def _answer(self, environ, start_response):
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        self.asked.append((method, environ["PATH_INFO"]))
        if self._before:
            self._before(method, query)
        if self._loses and not self.lost and self._loses(method, query):
            self.lost += 1
            list(self._app(environ, lambda *_: None))
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            start_response("200 OK", [])  # for the log of the server; nobody hears it
            return []
        fails = self._fail_every and self._fail_only(method, query)
        if fails and next(self._count) % self._fail_every == 0:
            self.failed += 1
            # The body is read first: a client that is still sending would see a broken connection.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            status, code = self._answer_with
            start_response(status, [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()]
        return self._app(environ, start_response)
