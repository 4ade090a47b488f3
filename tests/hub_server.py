"""A Hub on this machine with one repository: what huggingface_hub asks of the real one."""

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef" * 2 + "01234567"
NAME = "owner/pages"


class HubServer:
    """Serves the files of a folder as `owner/pages`, at one commit and as `main`.

    Args:
        folder: what is served; may change meanwhile.
        kind: what the repository is, `datasets` or `models`.

    Attributes:
        url: where it listens.
        refusal: status and error code of every answer, if set.
        asked: the paths of all requests.
    """

    def __init__(self, folder: Path, kind: str = "datasets") -> None:
        self._kind = kind
        self.refusal: tuple[int, str] | None = None
        self.asked: list[str] = []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(self.headers.get("Range"))

            def do_HEAD(self) -> None:
                self._answer(None, with_body=False)

            def _answer(self, wanted: str | None, with_body: bool = True) -> None:
                hub.asked.append(self.path)
                status, code, body = hub.answer(folder, self.path, wanted)
                self.send_response(status)
                self.send_header("X-Error-Code", code)
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

            def log_message(self, *_) -> None:
                """Not on the terminal of the tests."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def is_the_hub(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the Hub's client ask here, and not be offline as other tests are."""
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", self.url)
        files = self.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve from a thread."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def answer(self, folder: Path, path: str, wanted: str | None) -> tuple[int, str, bytes]:
        """Status, error code and body."""
        if self.refusal:
            return *self.refusal, b"{}"
        url = urlsplit(path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        is_api = parts[0] == "api"
        if not is_api and parts[0] != "datasets":  # files of models stand without a kind before
            parts = ["models", *parts]
        if parts[is_api] != self._kind:
            return 404, "RepoNotFound", b"{}"
        name, what = "/".join(parts[is_api + 1 : is_api + 3]), parts[is_api + 3 :]
        if name != NAME:
            return 404, "RepoNotFound", b"{}"
        kind, revision, inner = (
            (*what[:2], "/".join(what[2:])) if what else ("revision", "main", "")
        )
        if revision not in (COMMIT, "main"):
            return 404, "RevisionNotFound", b"{}"
        if kind == "resolve":
            data = (folder / inner).read_bytes()
            first, last = (wanted or "=0-").split("=")[1].split("-")
            end = int(last) + 1 if last else None
            return (206, "", data[int(first) : end]) if wanted else (200, "", data)
        if kind == "revision":
            return 200, "", json.dumps({"id": NAME, "sha": COMMIT}).encode()
        every = parse_qs(url.query).get("recursive", ["False"])[0].lower() == "true"
        root = folder / inner
        entries = [_entry(file, folder) for file in (root.rglob("*") if every else root.glob("*"))]
        return 200, "", json.dumps(entries).encode()


def _entry(file: Path, folder: Path) -> dict[str, object]:
    path = file.relative_to(folder).as_posix()
    if file.is_dir():
        return {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}
    return {"type": "file", "path": path, "oid": "0" * 40, "size": file.stat().st_size}
