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

from enfilade.endpoint.http import Pieces, Request
from enfilade.endpoint.site import Served
from enfilade.errors import Malformed

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_SMALL = 65536
"""Bytes of an unread body that the server may read to keep the connection; for more it is closed."""
_LINGER_BYTES, _LINGER_SECONDS = 4 * 1024 * 1024, 1.0
"""How much is still taken before closing, and thrown away: a client that is cut off while sending never reads why."""


async def serve_http(served: Sequence[Served], scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request, by the endpoint that knows it."""
    client = scope.get("client")
    wire = _Wire(receive)
    request = Request(
        scope["method"], wire_path(scope), scope["query_string"], scope["headers"], wire,
        client[0] if client else "", scope.get("scheme", "http"),
    )  # fmt: skip
    endpoint = served[0] if len(served) == 1 else _choose(served, request)
    response = await endpoint.answer(request)
    headers, body = response.headers, response.body
    refused = not wire.ended and _much(request) and scope.get("http_version", "1.1") < "2"
    if refused:
        headers = [*headers, (b"connection", b"close")]  # or the server would read all that we refused to read
    start = {"type": "http.response.start", "status": response.status, "headers": headers}
    if isinstance(body, bytes):
        await send(start)
        if refused:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await _linger(wire)
            body = b""
        await send({"type": "http.response.body", "body": body})
        return
    try:
        await send(start)
        await _stream(body, wire if wire.ended or not _has_body(request) else None, send)
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


def _choose(served: Sequence[Served], request: Request) -> Served:
    """The endpoint that knows the request, or else the one whose prefix fits best."""
    path = request.path
    for one in served:
        if one.knows(request.method, path):
            return one
    below = [one for one in served if not one.prefix or path == one.prefix or path.startswith(f"{one.prefix}/")]
    return max(below or served, key=lambda one: len(one.prefix))


class _Wire:
    """The body of a request, message by message."""

    __slots__ = ("_receive", "ended")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def read(self) -> bytes:
        while not self.ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.ended = True
                raise Malformed(detail="The connection was closed before the body was complete.")
            if not message.get("more_body", False):
                self.ended = True
            if piece := message.get("body", b""):
                return piece
        return b""

    async def gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _has_body(request: Request) -> bool:
    fields = request.fields
    return fields.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in fields


def _much(request: Request) -> bool:
    length = request.fields.get(b"content-length")
    if length is None:
        return b"transfer-encoding" in request.fields
    return not length.isdigit() or int(length) > _SMALL


async def _linger(wire: _Wire) -> None:
    left = _LINGER_BYTES
    with suppress(TimeoutError, Malformed):
        async with asyncio.timeout(_LINGER_SECONDS):
            while left > 0 and (piece := await wire.read()):
                left -= len(piece)


async def _stream(body: Pieces, wire: _Wire | None, send: Send) -> None:
    """Send piece by piece, as fast as the client takes them, until he leaves."""
    task = asyncio.current_task()
    over = left = False

    def leave(_: asyncio.Task[None]) -> None:
        nonlocal left
        if not over and task is not None:
            left = True
            task.cancel()

    watch = asyncio.create_task(wire.gone()) if wire is not None else None
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
