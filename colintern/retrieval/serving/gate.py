"""What stands before the API: who may ask, how much may be sent, and headers of every answer."""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from colintern.retrieval.serving.address import is_loopback
from colintern.retrieval.serving.limits import MAX_BODY_BYTES

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OPEN_PATHS = {"/", "/healthz", "/openapi.json"}  # tell nothing of the data
_Refusal = tuple[int, str, dict[str, str]]


class Gate:
    """An ASGI application around another one.

    Without a token only loopback is served. Then a name of this machine has to stand in `Host`:
    else a page of somebody else, whose name is made to mean this machine (DNS rebinding), could
    read the pages in the browser of a person who looks at it. Ray Serve's own `/-/routes` and
    `/-/healthz` stand before it, open to everybody; they tell nothing of the data.

    Args:
        app: the application inside.
        token: what clients have to show; None if they need none.
        content_security_policy: of every answer.
    """

    def __init__(self, app: App, token: str | None, content_security_policy: str) -> None:
        self._app, self._token = app, token
        self._headers = {
            "Content-Security-Policy": content_security_policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Resource-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        send = self._with_headers(send)
        if refused := self._stranger(scope["path"], headers):
            await _refuse(send, *refused)
            return
        body = await _body(receive, headers)
        if body is None:
            words = f"body: more than {MAX_BODY_BYTES:,} bytes; ask with fewer or shorter queries"
            await _refuse(send, 413, words, {"Connection": "close"})
            return
        await self._app(scope, _received(body, receive), send)

    def _stranger(self, path: str, headers: dict[str, bytes]) -> _Refusal | None:
        """Why this client is not served; None if it is."""
        if self._token is None:
            host = headers.get("host", b"").decode("latin-1")
            name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
            if not is_loopback(name):
                return 421, "Host: use the address 127.0.0.1 or localhost", {}
            return None
        shown = headers.get("authorization", b"")
        wanted = b"Bearer " + self._token.encode()
        if path in _OPEN_PATHS or hmac.compare_digest(shown, wanted):
            return None
        return 401, "Authorization: the token is missing or wrong", {"WWW-Authenticate": "Bearer"}

    def _with_headers(self, send: Send) -> Send:
        own = [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        return sending


async def _body(receive: Receive, headers: dict[str, bytes]) -> bytes | None:
    """The whole body; None if it is too large, which is known before all of it is there."""
    told = headers.get("content-length", b"0")
    if told.isdigit() and int(told) > MAX_BODY_BYTES:
        return None
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""  # the client is gone
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _received(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return waiting.pop() if waiting else await receive()

    return receiving


async def _refuse(send: Send, status: int, words: str, headers: dict[str, str]) -> None:
    body = json.dumps({"error": words}).encode()
    sent = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
