"""HTTP/1.1 as uvicorn speaks it, with what it leaves open: a head has a size and a time, and each refusal is a problem.

What the server refuses never reaches the app; it is answered here, in the app's form.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from enfilade.contract.problem import MEDIA_TYPE, document
from enfilade.errors import Malformed, Problem, TooSlow

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope

MOST: Final = 64 * 1024
"""Bytes of a request's first line and header fields; servers and proxies take 8 to 64 KiB."""
SECONDS: Final = 5.0
"""From a connection's first byte, and from the first of each request's that comes in parts, to the end of its head."""
_LINGER: Final = 1.0
"""Seconds for which a refused client may go on sending: one that is cut off while it sends never reads why."""


class HeadTooLarge(Problem, status=431, type="/problems/head-too-large"):
    """The request's address and header fields are larger than this server takes."""


class Http1(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._fed = self._head = 0
        """Bytes that came last, and at least so many of a head that is not complete."""
        self._refused = False
        self._timer: asyncio.TimerHandle | None = self.loop.call_later(SECONDS, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        before, self._fed = self._scope(), len(data)
        super().data_received(data)
        scope = self._scope()
        if self._refused or (scope is not None and "method" in scope):  # it has one when its head is complete
            self._head = 0
            if self._timer is not None:
                self._disarm()
            return
        self._head = self._head + len(data) if scope is before else 0  # what came first may be another's body
        if self._head > MOST:
            self._refuse(HeadTooLarge())
        elif self._timer is None:
            self._timer = self.loop.call_later(SECONDS, self._late)

    def on_headers_complete(self) -> None:
        if self._timer is not None or self._fed > MOST:  # it came in parts, or with a lot
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MOST:
                raise HeadTooLarge
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        error = sys.exception()
        cause = error.__context__ if error is not None else None
        self._refuse(cause if isinstance(cause, Problem) else Malformed(detail="This is not HTTP as RFC 9112 has it."))

    def _scope(self) -> HTTPScope | None:
        return self.scope

    def _late(self) -> None:
        self._timer = None
        if self._scope() is None:  # nothing was asked
            self.transport.close()
        else:
            self._refuse(TooSlow(detail=f"The head was not complete after {SECONDS:g} seconds."))

    def _refuse(self, problem: Problem) -> None:
        self._disarm()
        self._refused = True
        cycle = cast("RequestResponseCycle | None", self.cycle)
        begun = cycle is not None and cycle.response_started and not cycle.response_complete
        if begun or self.transport.is_closing():
            self.transport.close()
            return
        trace = secrets.token_hex(16)
        body = msgspec.json.encode(document(problem, trace_id=trace))
        lines = [
            f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
            f"content-type: {MEDIA_TYPE}",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            f"trace-id: {trace}",
            f"content-length: {len(body)}",
            "connection: close",
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.loop.call_later(_LINGER, self.transport.close)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _unsupported_upgrade_warning(self) -> None:
        """A client may ask for another protocol, and is answered in this one: no news for the log."""
