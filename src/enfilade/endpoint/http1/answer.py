"""The answer to one request: its head in one piece, its body whole or in parts, framed as the client can read it."""

from __future__ import annotations

from typing import Protocol

from enfilade.endpoint.http import BODILESS, Headers, Pieces
from enfilade.endpoint.http1.door import Door
from enfilade.endpoint.http1.exchange import Exchange

_TOGETHER = 64 * 1024
"""Bytes up to which a body is copied behind its head, to be sent as one; a larger one is not worth copying."""


class Out(Protocol):
    """Where an answer goes."""

    def write(self, data: bytes) -> None: ...

    async def drained(self) -> None:
        """Returns when the client has taken enough of what was written."""
        ...


def head(door: Door, status: int, headers: Headers, *, keep: bool, last: bytes) -> bytes:
    """All lines up to the empty one; `last` is the field that says how the body ends, `b""` where nothing does.

    Raises ValueError where a field would become two.
    """
    lines = [door.start(status), *map(b": ".join, headers)]
    if not keep:
        lines.append(b"connection: close")
    if last:
        lines.append(last)
    lines.append(b"\r\n")
    made = b"\r\n".join(lines)
    ends = len(lines) + 1
    if made.count(b"\n") != ends or made.count(b"\r") != ends or b"\0" in made:
        raise ValueError(f"a field of the answer has the end of a line in it: {headers!r}")
    return made


def whole(door: Door, exchange: Exchange, status: int, headers: Headers, body: bytes) -> tuple[bytes, ...]:
    """An answer whose body is at hand: what to write, in one piece where it is not large."""
    exchange.settle()
    last = b"" if status in BODILESS else b"content-length: %d" % len(body)
    first = head(door, status, headers, keep=exchange.keep, last=last)
    exchange.begun = True
    if exchange.method == "HEAD" or not last:
        return (first,)
    return (first + body,) if len(body) <= _TOGETHER else (first, body)


class Answer:
    """An answer whose body comes in parts: with a length that its head says, or in chunks, or up to the close."""

    def __init__(self, door: Door, exchange: Exchange, out: Out) -> None:
        self._door = door
        self._exchange = exchange
        self._out = out
        self._chunked = False
        self._left: int | None = None
        """Bytes that are still to come of the length that the head said."""
        self._bodiless = False
        self.ended = False

    def start(self, status: int, headers: Headers) -> None:
        """Send the head."""
        exchange = self._exchange
        exchange.settle()
        said = [value for name, value in headers if name == b"content-length"]
        if said:
            self._left = int(said[0])
        self._bodiless = exchange.method == "HEAD" or status in BODILESS
        if not said and not self._bodiless:
            self._chunked = not exchange.old
            exchange.keep = exchange.keep and self._chunked
        last = b"transfer-encoding: chunked" if self._chunked else b""
        first = head(self._door, status, headers, keep=exchange.keep, last=last)
        exchange.begun = True
        self._out.write(first)

    async def part(self, data: bytes) -> None:
        """Send a part of the body, as fast as the client takes it. Raises ValueError where it is over the length."""
        if not data or self._bodiless:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise ValueError("the body is longer than its Content-Length")
        self._out.write(data)
        await self._out.drained()

    def end(self) -> None:
        """Send the end of the body. Raises ValueError where it is short of the length."""
        if self._chunked:
            self._out.write(b"0\r\n\r\n")
        elif self._left and not self._bodiless:
            raise ValueError("the body is shorter than its Content-Length")
        self.ended = True

    async def stream(self, status: int, headers: Headers, body: Pieces) -> None:
        """Send all of it, and close the body in any case."""
        try:
            self.start(status, headers)
            if not self._bodiless:
                async for piece in body:
                    await self.part(piece)
            self.end()
        finally:
            await body.aclose()
