"""One connection: bytes become requests, requests are answered in their order, and nothing takes longer than it may.

One request is served at a time; while it is, the rest waits unparsed, and no more is taken from the client.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections import deque
from collections.abc import Callable
from typing import cast

import msgspec

from enfilade.contract.problem import MEDIA_TYPE, document
from enfilade.endpoint.http import LINGER, Admit, Pieces, Response
from enfilade.endpoint.http1.answer import Answer, head, whole
from enfilade.endpoint.http1.door import ROOM, SLICE, Door
from enfilade.endpoint.http1.exchange import Exchange
from enfilade.endpoint.http1.reader import Reader
from enfilade.endpoint.http1.scope import Bridge, address_of
from enfilade.endpoint.site import choose
from enfilade.errors import Problem, TooSlow

log = logging.getLogger("enfilade.endpoint")

_UNIX = getattr(socket, "AF_UNIX", None)


class Broken(Problem, status=500, type="/problems/internal-error"):
    """Something went wrong here. The trace id names this very occurrence."""


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, door: Door, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._door = door
        self._limits = door.limits
        self._only = door.served[0] if len(door.served) == 1 else None
        self._loop = loop or asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        """When that began, or was last heard of, which is waited for."""
        # What is read
        self._reader = Reader(self, door.limits.requests)
        self._rest: bytes | memoryview = b""
        """What came and is not parsed yet."""
        self._paused = False
        self._deaf = False
        """Nothing that comes is read any more."""
        self._spare = LINGER
        # What is answered
        self._queue: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._refusal: Problem | None = None
        """What is answered when all before it is."""
        self._stuck: asyncio.Future[None] | None = None
        self._unsent = 0
        """Bytes that the client has not taken, when this was last looked at."""
        self._moved = 0.0
        """When it last took some."""
        self._trace = ""
        """The trace id that a bug was logged with."""
        self._streaming = False
        self._served = False
        """There was a request before."""

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._address = (address_of(transport, "peername") or ("", 0))[0]
        self._scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        listener = transport.get_extra_info("socket")
        self.local = listener is not None and listener.family == _UNIX and self._door.proxies is None
        self.admit: Admit | None = None
        self._door.connections.add(self)
        if self._door.know is not None:
            self._meet(self._door.know)
        self._since = self._loop.time()
        self._wait(self._limits.head, self._tick)

    def _meet(self, know: Callable[[asyncio.BaseTransport], Admit]) -> None:
        try:
            self.admit = know(self._transport)
        except PermissionError as refused:
            log.warning("a connection from %s is refused: %s", self._address, refused)
            self._deaf = True
            self.abort()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._spare -= len(data)
            if self._spare < 0:
                self._close()
        elif self._rest or len(data) > SLICE or self._queue:
            self._rest = memoryview(bytes(self._rest) + data)
            self._digest()
        else:
            self._feed(data)

    def eof_received(self) -> None:
        """Who sends no more is taken to have left, as most servers take it."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.connections.discard(self)
        self._deaf = True
        self._rest = b""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._queue.clear()
        current = self._current
        if current is not None:
            current.lose()
            if (self._streaming or current.bound) and self._task is not None:
                self._task.cancel()
        self.resume_writing()
        self._reader.close()

    def pause_writing(self) -> None:
        self._stuck = self._loop.create_future()
        self._unsent = self._transport.get_write_buffer_size()
        self._moved = self._loop.time()

    def resume_writing(self) -> None:
        stuck, self._stuck = self._stuck, None
        if stuck is not None and not stuck.done():
            stuck.set_result(None)

    def leave(self) -> None:
        """The server is about to stop: the answer that is given next is the last, and says so."""
        self._reader.left = 1
        if self._current is not None:
            self._current.keep = False

    def shutdown(self) -> None:
        """The server stops: what runs is finished, and nothing more is begun."""
        self._reader.last = True
        self._queue.clear()
        if self._current is None:
            self._close()
            return
        self._current.keep = False
        if self._task is not None:
            self._door.tasks.add(self._task)
            self._task.add_done_callback(self._door.tasks.discard)

    def abort(self) -> None:
        """Cut it off, with what it still serves where nobody else waits for that."""
        self._transport.abort()

    # -- reading

    def _feed(self, data: bytes | memoryview) -> None:
        reader = self._reader
        begun = reader.head
        try:
            reader.feed(data)
        except Problem as problem:
            self._refuse(problem)
            return
        reading = reader.reading
        if reading is not None or (reader.head and not begun):
            self._since = self._loop.time()
        if self._queue or (reading is not None and reading.waiting > ROOM):
            self._pause()

    def _digest(self) -> None:
        """Parse what has come, slice by slice, while there is room for more."""
        while self._rest and not self._full():
            piece, self._rest = self._rest[:SLICE], self._rest[SLICE:]
            self._feed(piece)
        if self._full():
            self._pause()
        elif self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _full(self) -> bool:
        return bool(self._queue) or (self._reader.reading is not None and self._reader.reading.waiting > ROOM)

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    # -- refusing

    def _refuse(self, problem: Problem) -> None:
        """Read nothing more, and say why when all before it is answered."""
        reading, self._reader.reading = self._reader.reading, None
        said, self._reader.last = self._reader.last, True
        self._deaf = True
        self._rest = b""
        if reading is not None and (reading is self._current or reading in self._queue):
            reading.fail(problem)  # whoever reads it is told, and answers
        elif reading is not None and self._current is None:
            self._close()  # it is answered already
        elif reading is None and self._current is None:
            self._say(problem)
        elif reading is None and not said:
            self._refusal = problem

    def _say(self, problem: Problem) -> None:
        if self._transport.is_closing():
            return
        trace = self._trace or secrets.token_hex(16)
        headers = [
            (b"content-type", MEDIA_TYPE.encode()), (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"), (b"trace-id", trace.encode()),
        ]  # fmt: skip
        body = msgspec.json.encode(document(problem, trace_id=trace))
        length = b"content-length: %d" % len(body)
        self._transport.write(head(self._door, problem.status, headers, keep=False, last=length) + body)
        self._linger()

    def _linger(self) -> None:
        """Close, but let the client send a while: one that is cut off while it sends never reads the answer."""
        self._deaf = True
        self._rest = b""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._wait(self._limits.linger, self._close)

    def _close(self) -> None:
        self._deaf = True
        self._rest = b""
        if not self._transport.is_closing():
            self._transport.close()  # when all is sent, which may be never
            self._moved, self._unsent = self._loop.time(), self._transport.get_write_buffer_size()
            self._wait(self._limits.head, self._tick)

    # -- time

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, then)

    def _tick(self) -> None:
        """Look what is waited for, and for how long: one timer for all, so that a request costs none."""
        limits, now = self._limits, self._loop.time()
        left = limits.head
        if self._stuck is not None or self._transport.is_closing():
            unsent = self._transport.get_write_buffer_size()
            if unsent < self._unsent:
                self._moved = now
            self._unsent = unsent
            if now - self._moved >= limits.silence:
                self._transport.abort()
                return
        elif self._reader.reading is not None:
            self._since = now if self._paused else self._since
            left = self._since + limits.silence - now
            if left <= 0:
                self._refuse(TooSlow(detail=f"No more of the body came for {limits.silence:g} seconds."))
        elif self._current is None:
            left = self._since + (limits.idle if self._served and not self._reader.head else limits.head) - now
            if left <= 0 and self._reader.head:
                self._refuse(TooSlow(detail=f"The head was not complete after {limits.head:g} seconds."))
                return
            if left <= 0:
                self._close()
        self._wait(min(max(left, 0.01), limits.head), self._tick)

    # -- answering

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        self._task = self._loop.create_task(self._serve(exchange))

    async def _serve(self, exchange: Exchange) -> None:
        try:
            door = self._door
            if door.asgi is None or any(one.knows(exchange.method, exchange.path) for one in door.served):
                endpoint = self._only or choose(door.served, exchange.method, exchange.path)
                response = await endpoint.answer(exchange)
                if self._stuck is not None:
                    await self._stuck
                if not isinstance(response.body, bytes):
                    await self._stream(exchange, response, response.body)
                elif not exchange.lost:
                    for data in whole(door, exchange, response.status, response.headers, response.body):
                        self._transport.write(data)
            else:
                bridge = Bridge(exchange, Answer(door, exchange, self), self._transport)
                await bridge.run(door.asgi)
        except asyncio.CancelledError:
            if not exchange.lost:
                self._transport.abort()
                raise
        except Exception:
            self._trace = secrets.token_hex(16)
            log.exception("%s %s could not be answered, trace %s", exchange.method, exchange.path, self._trace)
            if exchange.begun:
                self._transport.abort()
            else:
                exchange.keep = False
                self._refusal = Broken()
        finally:
            self._answered(exchange)

    async def _stream(self, exchange: Exchange, response: Response, body: Pieces) -> None:
        if exchange.lost:
            await body.aclose()
            return
        self._streaming = True
        await Answer(self._door, exchange, self).stream(response.status, response.headers, body)

    def _answered(self, exchange: Exchange) -> None:
        self._current = self._task = None
        self._streaming = False
        self._served = True
        if self._transport.is_closing():
            return
        if not exchange.keep:
            self._queue.clear()
        if self._queue:
            self._begin(self._queue.popleft())
        elif self._refusal is not None:
            self._say(self._refusal)
        elif not exchange.keep:
            if exchange.whole and not self._rest and not self._deaf:
                self._close()
            else:
                self._linger()
        else:
            self._since = self._loop.time()
            if not exchange.whole:
                exchange.discard()
        if self._rest or self._paused:
            self._digest()

    # -- what the reader and an exchange ask for

    def client(self, fields: dict[bytes, bytes]) -> tuple[str, str]:
        if self._door.proxies is None:
            return self._address, self._scheme
        return self._door.proxies.client(self._address, self._scheme, fields)

    def take(self, exchange: Exchange) -> None:
        if self._current is None:
            self._begin(exchange)
        else:
            self._queue.append(exchange)

    def switch(self, head: bytes, rest: bytes) -> bool:
        if self._current is not None or self._door.upgrade is None:
            return False
        protocol = self._door.upgrade()
        self._door.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._reader.close()
        protocol.connection_made(self._transport)
        protocol.data_received(head + rest + self._rest)
        self._rest = b""
        self._transport.set_protocol(protocol)
        return True

    def room(self) -> None:
        if self._rest or self._paused:
            self._digest()

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    async def drained(self) -> None:
        if self._stuck is not None:
            await self._stuck
        elif self._transport.is_closing():
            await asyncio.sleep(0)  # what never waits would write on for nobody, and keep all others from the loop
