"""A stream on its way here: envelopes become messages, one at a time, until the last says how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Final

import msgspec

from enfilade.call import Call
from enfilade.endpoint.rpc.back import SPENT, take
from enfilade.endpoint.rpc.connection import Answer, Connection, Lost
from enfilade.endpoint.rpc.messages import END, Envelopes
from enfilade.endpoint.rpc.refusal import Differs, read_refusal
from enfilade.endpoint.rpc.replica import Replica
from enfilade.errors import Malformed

_NEVER: Final = float("inf")
_UNIMPLEMENTED: Final = 501


class Flow:
    """One stream from a replica. It has the connection to itself until it is closed."""

    def __init__(self, call: Call, replica: Replica, limit: int) -> None:
        self._call = call
        self._operation = call.operation
        self._replica = replica
        self._clock = call.clock
        self._envelopes = Envelopes(limit)
        self._connection: Connection | None = None
        self._pump: asyncio.Task[None] | None = None
        self._messages: AsyncGenerator[bytes] | None = None
        self._first: bytes | None = None

    async def begin(self, head: bytes, sent: AsyncGenerator[bytes], media_type: bytes, until: float) -> None:
        """Ask, and wait for the first message or the end. Raises what the peer refuses it with, before the first."""
        self._replica.busy += 1
        self._replica.tally.asked += 1
        try:
            connection = self._connection = await self._replica.take(until)
            first = await anext(sent)
            more = await anext(sent, None)
            if more is None:
                answer = await connection.open(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(first), first))
            else:
                start = b"%btransfer-encoding: chunked\r\n\r\n" % head
                self._pump = asyncio.create_task(_pumped(connection, [first, more], sent))
                answer = await connection.open(start)
            self._check(answer, media_type)
            take(answer.fields, self._call)
            self._messages = self._read(connection)
            self._first = await anext(self._messages, None)
        except BaseException:
            await self.aclose()
            raise

    def _check(self, answer: Answer, media_type: bytes) -> None:
        kind = answer.fields.get(b"content-type", b"")
        if answer.status == _UNIMPLEMENTED:
            raise Differs
        if answer.status != 200 or kind != media_type:
            raise Lost(f"{self._operation.id} was answered with {answer.status}, {kind.decode('latin-1')!r}")

    async def messages(self) -> AsyncGenerator[bytes]:
        """The messages, in their order. Raises what the stream ended with."""
        if self._messages is None or self._first is None:
            return
        message = self._first
        while message is not None:
            if self._connection is not None:
                self._connection.until = _NEVER  # nobody waits but us
            yield message
            if self._connection is not None:
                self._replica.watch(self._connection, self._clock.monotonic() + self._operation.idle)
            message = await anext(self._messages, None)

    async def aclose(self) -> None:
        """Leave it where it stands; the peer ends it there, too."""
        connection, self._connection = self._connection, None
        if self._messages is not None:
            await self._messages.aclose()
        if self._pump is not None:
            self._pump.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._pump
        self._replica.busy -= 1
        if connection is not None:
            self._replica.back(connection)

    async def _read(self, connection: Connection) -> AsyncGenerator[bytes]:
        body, ended = connection.body(), False
        try:
            async for data in body:
                for flags, message in self._envelopes.feed(data):
                    if ended:
                        raise Lost(f"{self._operation.id} goes on behind its end")
                    if not flags & END:
                        yield message
                        continue
                    ended = True
                    end = _end(message)
                    if (spent := end.metadata.get(SPENT.decode())) is not None:
                        take({SPENT: "".join(spent).encode()}, self._call)
                    if end.error is not None:
                        raise read_refusal(end.error, self._operation)
        except Malformed as wrong:
            raise Lost(f"{self._operation.id} was answered with something else: {wrong}") from wrong
        finally:
            await body.aclose()
        if not ended:
            raise Lost(f"{self._operation.id} ended without saying how")


class _End(msgspec.Struct):
    """The last message of a stream."""

    error: dict[str, Any] | None = None
    metadata: dict[str, list[str]] = {}


def _end(message: bytes) -> _End:
    try:
        return msgspec.json.decode(message, type=_End)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as wrong:
        raise Lost("the end of a stream is not JSON") from wrong


async def _pumped(connection: Connection, begun: list[bytes], rest: AsyncGenerator[bytes]) -> None:
    """Send a stream as the body of a request."""
    try:
        for piece in begun:
            await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        async for piece in rest:
            await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await connection.send(b"0\r\n\r\n")
    except Lost:
        return  # who waits for the answer is told
    except Exception as error:
        connection.fail(Lost(f"what was sent ended with {type(error).__name__}"))
        raise
