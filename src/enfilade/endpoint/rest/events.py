"""Streams out: Server-Sent Events (HTML standard, 9.2), a JSON value a line, or plain bytes.

The status waits for the first item, so a problem before it is an ordinary one. A problem after it is the last event,
of type `problem`. When the client leaves, the service's generator is closed where it stands.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final, TypeAlias

from enfilade.call import Call
from enfilade.contract.exact import exactly
from enfilade.contract.operation import Operation
from enfilade.contract.shape import Shape, shape
from enfilade.endpoint.http import Headers, NoPieces, Request, Response
from enfilade.endpoint.rest.fields import NO_STORE, call_lines, line
from enfilade.endpoint.rest.negotiate import accepted
from enfilade.endpoint.rest.problems import Problems
from enfilade.endpoint.rest.reply import common_lines

Items: TypeAlias = AsyncGenerator[Any, None]
StreamReply: TypeAlias = Callable[[Request, Call, Items], Awaitable[Response]]

EVENTS: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"
BYTES: Final = "application/octet-stream"

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: half of what the more impatient proxies allow."""

log = logging.getLogger("enfilade.endpoint")

_END: Final = object()


def stream_offers(operation: Operation) -> tuple[str, ...]:
    """Media types that a stream can be sent as, the usual one first."""
    return (BYTES,) if operation.style == "bytes" else (EVENTS, LINES)


def stream_replier(operation: Operation, problems: Problems, *, heartbeat: float = HEARTBEAT) -> StreamReply:
    """What sends the streams of an operation."""
    common = [one for one in common_lines(operation) if one[0] != b"cache-control"]
    offers = stream_offers(operation)
    written = _writers(operation)

    async def reply(request: Request, call: Call, items: Items) -> Response:
        media_type = accepted(request.fields.get(b"accept", b"*/*"), offers) or offers[0]
        write, write_problem = written[media_type]
        flow = _Flow(items)
        first = await flow.first()
        head: Headers = [line("content-type", media_type), NO_STORE, *common, *call_lines(call)]
        if request.method == "HEAD":
            await flow.close()
            return Response(operation.status, head, NoPieces())

        def failed(error: Exception) -> bytes:
            if write_problem is None:
                raise error  # a broken connection is all that plain bytes can say
            return write_problem(problems.body(error, request, call))

        patience = heartbeat if media_type == EVENTS else None
        return Response(operation.status, head, _Body(flow, first, patience, write, failed))

    return reply


class _Body:
    """A stream's items as the bytes of an answer."""

    def __init__(
        self,
        flow: _Flow,
        first: Any,
        patience: float | None,
        write: Callable[[Any], bytes],
        failed: Callable[[Exception], bytes],
    ) -> None:
        self._flow = flow
        self._first = first
        self._patience = patience
        self._write = write
        self._failed = failed

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        item = self._first
        while item is not _END:
            yield b":\n\n" if item is None else self._write(item)
            try:
                item = await self._flow.next(self._patience)
            except Exception as error:
                yield self._failed(error)
                return

    async def aclose(self) -> None:
        await self._flow.close()


class _Flow:
    """A generator that runs in one task of its own from its first step to its last, at most one item ahead.

    One task, because what a generator finds in its context must be the same at each step; its own, because who waits
    for the next item also has a heartbeat to send.
    """

    def __init__(self, items: Items) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)
        self._task = asyncio.create_task(self._run(items))

    async def first(self) -> Any:
        try:
            return await self.next(None)
        except BaseException:
            await self.close()
            raise

    async def next(self, patience: float | None) -> Any:
        """The next item, or `_END`; None where none came for so many seconds. Raises what the generator raised."""
        try:
            async with asyncio.timeout(patience):
                item = await self._queue.get()
        except TimeoutError:
            return None
        if isinstance(item, _Failed):
            raise item.error
        return item

    async def close(self) -> None:
        """Ends the generator where it stands, and waits until it has tidied up."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            log.error("a stream failed in closing", exc_info=error)

    async def _run(self, items: Items) -> None:
        try:
            async for item in items:
                await self._queue.put(item)
        except Exception as error:
            await self._queue.put(_Failed(error))
        else:
            await self._queue.put(_END)
        finally:
            await items.aclose()


class _Failed:
    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def _writers(operation: Operation) -> dict[str, tuple[Callable[[Any], bytes], Callable[[bytes], bytes] | None]]:
    """How an item and the last problem are written, by media type."""
    if operation.style == "bytes":
        return {BYTES: (bytes, None)}
    encode = exactly(operation.result, names=operation.names)
    marks = _marks(shape(operation.result))
    return {
        EVENTS: (
            lambda item: b"%bdata: %b\n\n" % (marks(item), encode(item)),
            lambda problem: b"event: problem\ndata: %b\n\n" % problem,
        ),
        LINES: (lambda item: encode(item) + b"\n", lambda problem: b'{"problem":%b}\n' % (problem or b"null")),
    }


def _marks(item: Shape) -> Callable[[Any], bytes]:
    """The lines before an event's data: its type where there are several, its id where a field is marked as the key."""
    structs = [one.struct for one in (item, *item.parts) if one.struct is not None]
    tags: dict[type, bytes] = {
        struct.cls: b"event: %b\n" % str(struct.tag).encode() for struct in structs if struct.tag is not None
    }
    keys: dict[type, str] = {
        struct.cls: field.name for struct in structs for field in struct.fields if field.shape.mark("key") is not None
    }

    def marks(item: object) -> bytes:
        kind = type(item)
        said = tags.get(kind, b"")
        if kind in keys:
            said = b"id: %b\n%b" % ("".join(str(getattr(item, keys[kind])).splitlines()).encode(), said)
        return said

    return marks
