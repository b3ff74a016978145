"""One request on its connection: its body as it comes."""

from __future__ import annotations

import asyncio
from typing import Protocol

from enfilade.endpoint.http import Admit, Request
from enfilade.errors import Malformed, Problem


class Line(Protocol):
    """What a request asks of its connection."""

    local: bool
    """It is a Unix socket."""
    admit: Admit | None
    """Lets calls of the process at the other end in, where it has shown a certificate."""

    def room(self) -> None:
        """Something was read: more may come."""
        ...

    def write(self, data: bytes) -> None: ...


class Exchange(Request):
    """A request, and what is known of its answer."""

    __slots__ = (
        "_data",
        "_failed",
        "_line",
        "_news",
        "begun",
        "discarded",
        "expects",
        "framed",
        "keep",
        "lost",
        "old",
        "received",
        "whole",
    )

    def __init__(
        self, line: Line, method: str, path: str, query: bytes, fields: dict[bytes, bytes], address: str, scheme: str,
        keep: bool, old: bool,
    ) -> None:  # fmt: skip
        self.method = method
        self.path = path
        self.query = query
        self.fields = fields
        self.address = address
        self.scheme = scheme
        self.bound = False
        self.keep = keep
        """Whether another request may follow."""
        self.old = old
        """It is HTTP/1.0, which knows no chunks."""
        self.expects = False
        """The client waits for `100 Continue` before it sends its body."""
        self.whole = False
        """Its body has arrived."""
        self.discarded = False
        """What still comes of its body is thrown away."""
        self.begun = False
        """Its answer has begun."""
        self.lost = False
        """The client has left."""
        self.received = 0
        """Bytes of its body, so far."""
        self.framed = 0
        """Bytes that came after its head, with the frame of chunks."""
        self._line = line
        self._data: bytes | bytearray = b""
        self._failed: Problem | None = None
        self._news: asyncio.Event | None = None

    @property
    def local(self) -> bool:
        return self._line.local

    @property
    def admit(self) -> Admit | None:
        return self._line.admit

    @property
    def ended(self) -> bool:
        return self.whole and not self._data

    @property
    def waiting(self) -> int:
        """Bytes that wait to be read."""
        return len(self._data)

    def arrived(self) -> bytes | None:
        if not self.whole:
            return None
        data, self._data = self._data, b""
        return data if isinstance(data, bytes) else bytes(data)

    async def read(self) -> bytes:
        while True:
            if data := self._data:
                self._data = b""
                self._line.room()
                return data if isinstance(data, bytes) else bytes(data)
            if self.whole:
                return b""
            if self._failed is not None:
                raise self._failed
            if self.expects:
                self.expects = False
                self._line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self.news()

    async def news(self) -> None:
        """Returns when something came, or the client has left."""
        if self._news is None:
            self._news = asyncio.Event()
        self._news.clear()
        await self._news.wait()

    # -- for the answer

    def settle(self) -> None:
        """Its answer is about to begin: whether another may follow is settled by what of its body is here."""
        if not self.whole and (self.large or self.expects):
            self.keep = False  # or all that nobody wanted to read would have to be

    # -- for the connection

    def push(self, piece: bytes) -> None:
        self.received += len(piece)
        self.expects = False
        if self.discarded:
            return
        if not self._data:
            self._data = piece
        else:
            if isinstance(self._data, bytes):
                self._data = bytearray(self._data)
            self._data += piece
        self.wake()

    def complete(self) -> None:
        self.whole = True
        self.wake()

    def discard(self) -> None:
        """Nobody reads what still comes."""
        self.discarded = True
        self._data = b""

    def fail(self, problem: Problem) -> None:
        """Its body will never be whole."""
        self.keep = False
        if not self.whole:
            self._failed = problem
        self.wake()

    def lose(self) -> None:
        """The client has left."""
        self.lost = True
        self.fail(Malformed(detail="The connection was closed before the body was complete."))

    def wake(self) -> None:
        if self._news is not None:
            self._news.set()
