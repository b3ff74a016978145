"""The driver for ASGI servers: a scope becomes a `Request`, a `Response` becomes messages.

What a server must refuse by itself, before anything reaches us, are requests whose framing is ambiguous (both
Content-Length and Transfer-Encoding, two different lengths) and heads that are too large; uvicorn with httptools does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias
from urllib.parse import quote

from enfilade.endpoint.http import BODILESS, LINGER, Pieces, Request, joined
from enfilade.endpoint.site import Served, choose
from enfilade.errors import Malformed

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_LINGER_SECONDS = 1.0
"""For which a client that is refused may go on sending."""


async def serve_http(served: Sequence[Served], scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request, by the endpoint that knows it."""
    request = _Request(scope, receive)
    endpoint = served[0] if len(served) == 1 else choose(served, request.method, request.path)
    response = await endpoint.answer(request)
    headers, body = response.headers, response.body
    refused = not request.ended and request.large and scope.get("http_version", "1.1") < "2"
    if refused:
        headers = [*headers, (b"connection", b"close")]  # or the server would read all that we refused to read
    if isinstance(body, bytes) and response.status not in BODILESS:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    start = {"type": "http.response.start", "status": response.status, "headers": headers}
    if isinstance(body, bytes):
        if request.method == "HEAD":
            body = b""
        await send(start)
        if refused:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await _linger(request)
            body = b""
        await send({"type": "http.response.body", "body": body})
        return
    try:
        await send(start)
        await _stream(body, request if request.ended or not _has_body(request) else None, send)
    finally:
        await body.aclose()


def known(served: Sequence[Served], scope: Scope) -> bool:
    """Whether the request's method and path are an endpoint's own, so that a mounted app may have it otherwise."""
    method, path = scope["method"], wire_path(scope)
    return any(one.knows(method, path) for one in served)


def wire_path(scope: Scope) -> str:
    """The path as it was on the wire, below `root_path`; where the server kept it decoded only, encoded again."""
    raw = scope.get("raw_path")
    path: str = raw.decode("latin-1") if raw else quote(scope["path"], safe="/!$&'()*+,;=:@~-._")
    root = scope.get("root_path")
    return path[len(root) :] if root and path.startswith(root) else path


class _Request(Request):
    """A request whose body comes message by message."""

    __slots__ = ("_ended", "_receive")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        client = scope.get("client")
        super().__init__(
            scope["method"], wire_path(scope), scope["query_string"], joined(scope["headers"]),
            client[0] if client else "", scope.get("scheme", "http"),
        )  # fmt: skip
        self._receive = receive
        self._ended = False

    @property
    def ended(self) -> bool:
        return self._ended

    def arrived(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        while not self._ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._ended = True
                raise Malformed(detail="The connection was closed before the body was complete.")
            if not message.get("more_body", False):
                self._ended = True
            if piece := message.get("body", b""):
                return piece
        return b""

    async def gone(self) -> None:
        """Returns when the client has hung up; only for after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _has_body(request: Request) -> bool:
    fields = request.fields
    return fields.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in fields


async def _linger(request: Request) -> None:
    left = LINGER
    with suppress(TimeoutError, Malformed):
        async with asyncio.timeout(_LINGER_SECONDS):
            while left > 0 and (piece := await request.read()):
                left -= len(piece)


async def _stream(body: Pieces, request: _Request | None, send: Send) -> None:
    """Send piece by piece, as fast as the client takes them, until he leaves."""
    task = asyncio.current_task()
    over = left = False

    def leave(_: asyncio.Task[None]) -> None:
        nonlocal left
        if not over and task is not None:
            left = True
            task.cancel()

    watch = asyncio.create_task(request.gone()) if request is not None else None
    if watch is not None:
        watch.add_done_callback(leave)
    try:
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except asyncio.CancelledError:
        if not left or (task is not None and task.uncancel() > 0):
            raise
    finally:
        over = True
        if watch is not None:
            watch.cancel()
