"""One connection to a peer: a request at a time, an answer within its limits.

llhttp (by httptools) reads what comes. Whatever is no answer, is too large, or comes unasked ends the connection: what
was asked on it is Lost, and may have run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, cast

from httptools import HttpParserError, HttpResponseParser

from enfilade.endpoint.rpc.back import REPLY, SPENT
from enfilade.errors import Unavailable

HEAD: Final = 64 * 1024
"""Bytes of an answer's head."""
ROOM: Final = 256 * 1024
"""Bytes of a streamed answer that wait for their reader; the peer waits when there are more."""

_OK: Final = b"HTTP/1.1 200 OK\r\n"
_USUAL: Final = frozenset((b"date", b"content-type", b"content-length", REPLY, SPENT))


class Lost(Unavailable):
    """The connection ended, or what came by it is no answer."""


class Answer:
    """What a peer answered."""

    __slots__ = ("body", "fields", "status")

    def __init__(self) -> None:
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self.body: bytes = b""


class Connection(asyncio.Protocol):
    """One connection. `lost` is called once, when it is of no more use."""

    def __init__(self, lost: Callable[[Connection], None], limit: int) -> None:
        self._lost: Callable[[Connection], None] | None = lost
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._parser: Any = HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._answer = Answer()
        self._size = 0
        """Bytes of the head, or of the body, so far."""
        self._in_head = True
        self._streams = False
        self._pieces: list[bytes] = []
        self._ended = True
        """The answer is complete."""
        self._error: Unavailable | None = None
        self._usual: tuple[bytes, dict[bytes, bytes], int] = (b"", {}, -1)
        """The last head that was taken without the parser, its fields, and the length of what follows it."""
        self._paused = False
        self._stuck: asyncio.Future[None] | None = None
        self.until = 0.0
        """When what is asked is given up."""
        self.fresh = 0.0
        """Until when it may be used again."""
        self.leave = float("inf")
        """From when on another one is to be used."""
        self.keep = True
        """Whether the peer takes another request."""

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._error is None and self.keep and self._ended and not self._transport.is_closing()

    # -- asking

    async def ask(self, request: bytes) -> Answer:
        """Send a request and give its answer whole. Raises Lost."""
        self._begin(request, streams=False)
        self._waiter = self._loop.create_future()
        await self._waiter
        if self._error is not None and not self._ended:
            raise self._error
        return self._answer

    async def open(self, request: bytes) -> Answer:
        """Send a request, and give the head of its answer. Raises Lost."""
        self._begin(request, streams=True)
        while self._in_head and self._error is None:
            await self._next()
        if self._in_head and self._error is not None:
            raise self._error
        return self._answer

    async def body(self) -> AsyncGenerator[bytes]:
        """The body of an answer, piece by piece, as it comes. Raises Lost where it ends too early."""
        while True:
            if self._pieces:
                pieces, self._pieces = self._pieces, []
                self._size = 0
                if self._paused:
                    self._paused = False
                    self._transport.resume_reading()
                yield b"".join(pieces)
            elif self._error is not None and not self._ended:
                raise self._error
            elif self._ended:
                return
            else:
                await self._next()

    async def send(self, data: bytes) -> None:
        """Send a further piece of the request, as fast as the peer takes it. Raises Lost."""
        if self._error is not None:
            raise self._error
        self._transport.write(data)
        if self._stuck is not None:
            await self._stuck

    def fail(self, error: Unavailable) -> None:
        """Give up what is asked."""
        if self._error is None:
            self._error = error
        self._transport.abort()
        self._wake()
        self.gone()

    def _begin(self, request: bytes, *, streams: bool) -> None:
        if self._error is not None:
            raise self._error
        self._streams = streams
        self._ended = False
        self._in_head = True
        self._size = 0
        self._answer = Answer()
        self._transport.write(request)

    async def _next(self) -> None:
        """Wait for news. Raises what ended it before the answer was complete."""
        if self._error is None:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._error is not None and not self._ended and not self._pieces:
            raise self._error

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            self.fail(Lost("the peer said something that nobody asked for"))
            return
        if self._in_head:
            if not (self._size or self._streams) and self._whole(data):
                return
            self._size += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as wrong:
            self.fail(wrong.__context__ if isinstance(wrong.__context__, Lost) else Lost("the answer is not HTTP"))
            return
        if self._in_head and self._size > HEAD:
            self.fail(Lost("the head of the answer is too large"))
        elif self._streams and self._size > ROOM and not self._ended and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _whole(self, data: bytes) -> bool:
        """Takes what is a whole answer as our servers write it, without the parser. Anything else is for that."""
        end = data.find(b"\r\n\r\n") + 4
        head = data[:end]
        if head != self._usual[0]:  # within a second answers of one length have one head
            fields, length = _usual(head)
            if length < 0:
                return False
            self._usual = head, fields, length
        _, fields, length = self._usual
        if not (length == len(data) - end <= self._limit):
            return False
        self._answer.status, self._answer.fields, self._answer.body = 200, fields, data[end:]
        self._in_head = False
        self._ended = True
        self._wake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._error is None:
            self._error = Lost("the peer hung up")
        self.resume_writing()
        self._wake()
        self.gone()
        self._parser = None  # the end of a circle of references

    def pause_writing(self) -> None:
        self._stuck = self._loop.create_future()

    def resume_writing(self) -> None:
        stuck, self._stuck = self._stuck, None
        if stuck is not None and not stuck.done():
            stuck.set_result(None)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def gone(self) -> None:
        """It is of no more use."""
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(self)

    # -- called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            raise Lost("the answer has trailers, which nobody asked for")
        self._answer.fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._answer.fields.clear()
            return
        self._answer.status = status
        self._in_head = False
        self._size = 0
        self.keep = self._parser.should_keep_alive()
        if self._streams:
            self._wake()

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if not self._streams and self._size > self._limit:
            raise Lost(f"the answer is larger than {self._limit} bytes")
        self._pieces.append(body)
        if self._streams:
            self._wake()

    def on_message_complete(self) -> None:
        if self._in_head:  # an interim answer
            return
        if self._ended:
            raise Lost("the peer answered twice")
        self._ended = True
        if not self._streams:
            pieces, self._pieces = self._pieces, []
            self._answer.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._wake()


def _usual(head: bytes) -> tuple[dict[bytes, bytes], int]:
    """The fields of a head as our servers write it, and the length that it says; -1 of any other."""
    fields = dict[bytes, bytes]()
    if not head.startswith(_OK):
        return fields, -1
    for line in head[len(_OK) : -4].split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name not in _USUAL or name in fields:
            return fields, -1
        fields[name] = value
    said = fields.get(b"content-length", b"")
    return fields, int(said) if said.isdigit() and len(said) <= 9 else -1
