"""The way to an application that speaks ASGI: a scope and two functions around one request and its answer."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from urllib.parse import unquote

from enfilade.endpoint.http1.answer import Answer
from enfilade.endpoint.http1.door import Asgi
from enfilade.endpoint.http1.exchange import Exchange
from enfilade.errors import Malformed, TooSlow

_FRAMING = frozenset((b"connection", b"date", b"transfer-encoding"))
"""Fields that are the connection's own to say."""


class Bridge:
    """One request, as an application of ASGI is given it."""

    def __init__(self, exchange: Exchange, answer: Answer, transport: asyncio.BaseTransport) -> None:
        self._exchange = exchange
        self._answer = answer
        self._transport = transport
        self._asked = False
        self._head: dict[str, Any] = {}

    async def run(self, app: Asgi) -> None:
        """Let an application answer. Raises what it raises, and RuntimeError where it has not answered."""
        await app(self._scope(), self._receive, self._send)
        if not (self._answer.ended or self._exchange.lost):
            raise RuntimeError("the application has not answered")

    async def _receive(self) -> dict[str, Any]:
        exchange = self._exchange
        if not self._asked or not exchange.ended:
            try:
                piece = await exchange.read()
            except (Malformed, TooSlow):
                return {"type": "http.disconnect"}
            self._asked = True
            return {"type": "http.request", "body": piece, "more_body": not exchange.ended}
        while not (self._answer.ended or exchange.lost):
            await exchange.news()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        exchange, answer = self._exchange, self._answer
        if exchange.lost or answer.ended:
            return
        if message["type"] == "http.response.start":
            self._head = message
            return
        if not exchange.begun:
            answer.start(self._head["status"], self._headers())
        await answer.part(message.get("body", b""))
        if not message.get("more_body", False) and not exchange.lost:
            answer.end()
            exchange.wake()

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(bytes(name).lower(), bytes(value)) for name, value in self._head.get("headers", ())]
        if any(name == b"connection" and b"close" in value.lower() for name, value in headers):
            self._exchange.keep = False
        return [one for one in headers if one[0] not in _FRAMING]

    def _scope(self) -> dict[str, Any]:
        exchange, peer = self._exchange, address_of(self._transport, "peername")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.0" if exchange.old else "1.1",
            "method": exchange.method,
            "scheme": exchange.scheme,
            "path": unquote(exchange.path),
            "raw_path": exchange.path.encode("latin-1"),
            "query_string": exchange.query,
            "root_path": "",
            "headers": [*exchange.fields.items()],
            "client": peer if exchange.address in ("", peer and peer[0]) else (exchange.address, 0),
            "server": address_of(self._transport, "sockname"),
            "state": {},
        }


def address_of(transport: asyncio.BaseTransport, end: str) -> tuple[str, int] | None:
    """Host and port of an end of a connection; None where it is no internet address."""
    said: object = transport.get_extra_info(end)
    if not isinstance(said, tuple | list) or len(cast("Any", said)) < 2:
        return None
    host, port, *_ = cast("tuple[Any, ...]", said)
    return str(host), int(port)
