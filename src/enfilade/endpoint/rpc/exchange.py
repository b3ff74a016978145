"""One operation's exchange between processes: a request becomes a call, passes the row, and its result goes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec

from enfilade.call import Call
from enfilade.contract.operation import Operation
from enfilade.endpoint.http import Request, Response
from enfilade.endpoint.rest.body import check_length, pieces
from enfilade.endpoint.rpc import back
from enfilade.endpoint.rpc.context import CONTRACT, read_context
from enfilade.endpoint.rpc.messages import END, Envelopes, Messages, envelope, messages, uploads
from enfilade.endpoint.rpc.refusal import Differs, write_refusal
from enfilade.endpoint.site import Site
from enfilade.errors import Forbidden, Malformed, TooSlow, UnsupportedMedia

Exchange: TypeAlias = Callable[[Request], Awaitable[Response]]

JSON: Final = (b"content-type", b"application/json")


def exchange(operation: Operation, site: Site) -> Exchange:
    """The exchange of an operation, ready for any number of requests at once."""
    made = _Exchange(operation, site)
    return made.stream if messages(operation, "json").enveloped else made.unary


class _Exchange:
    def __init__(self, operation: Operation, site: Site) -> None:
        self._operation = operation
        self._site = site
        self._clock = site.clock
        self._handler = site.inside[operation.id]
        self._callers = site.callers(operation.service)
        self._forms = {one.media_type: one for one in (messages(operation, "msgpack"), messages(operation, "json"))}
        self._heads = {kind: [(b"content-type", kind)] for kind in self._forms}
        self._mine = operation.fingerprint.encode()

    async def unary(self, request: Request) -> Response:
        """One message, one answer."""
        request.bound = True
        call = self._call()
        try:
            form = self._enter(request, call)
            data = request.arrived() if b"content-encoding" not in request.fields else None
            if data is None or len(data) > self._operation.body_limit:
                data = await _whole(request, self._operation.body_limit, call, data)
            call.arguments = form.read_request(data)
            body = form.write(await self._handler(call))
            head = self._heads[form.media_type]
            if call.reply_fields is not None or call.tab is not None:
                head = [*head, *back.lines(call)]
            return Response(200, head, body)
        except Exception as error:
            status, body = write_refusal(error, call)
            return Response(status, [JSON, *back.lines(call)], body)

    async def stream(self, request: Request) -> Response:
        """Messages in envelopes; the last one says how it ended."""
        request.bound = True
        call = self._call()
        asked = request.fields.get(b"content-type", b"")
        head = self._heads.get(asked) or next(iter(self._heads.values()))
        try:
            form = self._enter(request, call)
            head = self._heads[form.media_type]
            sent = _sent(request, self._operation)
            call.arguments = form.read_request(await _first(sent, call))
            if (name := uploads(self._operation)) is not None:
                call.arguments[name] = _pieces(sent, form)
            made = await self._handler(call)
        except Exception as error:
            return Response(200, [*head, *back.lines(call)], _ended(error, call))
        if self._operation.style not in ("stream", "bytes"):
            made = _only(made)
        return Response(200, [*head, *back.lines(call)], _Answer(made, call, form))

    def _call(self) -> Call:
        return Call(self._operation, {}, self._clock, self._clock.monotonic() + self._operation.timeout)

    def _enter(self, request: Request, call: Call) -> Messages:
        """What is asked of a request's head; the form that its messages have."""
        fields = request.fields
        read_context(fields, call, self._site)
        if not request.local and (admit := request.admit) is not None:
            admit(call.peer, self._operation.service)
        if call.peer and call.peer not in self._callers:
            raise Forbidden(detail=f"{call.peer} does not say that it calls {self._operation.service}.")
        if fields.get(CONTRACT, self._mine) != self._mine:
            raise Differs(detail=f"{self._operation.id} is {self._operation.fingerprint} here.")
        kind = fields.get(b"content-type", b"")
        form = self._forms.get(kind) or self._forms.get(kind.partition(b";")[0].strip().lower())
        if form is None:
            raise UnsupportedMedia(detail=f"Messages are {b' or '.join(self._forms).decode()}.")
        return form


class _Answer:
    """The items of a stream as the body of an answer."""

    def __init__(self, items: AsyncGenerator[Any], call: Call, form: Messages) -> None:
        self._items = items
        self._call = call
        self._form = form
        self._body = self._envelopes()

    def __aiter__(self) -> AsyncGenerator[bytes]:
        return self._body

    async def aclose(self) -> None:
        await self._body.aclose()
        await self._items.aclose()  # which may not have been begun

    async def _envelopes(self) -> AsyncGenerator[bytes]:
        try:
            try:
                async for item in self._items:
                    yield envelope(self._form.write(item))
            finally:
                await self._items.aclose()
        except Exception as error:
            yield _ended(error, self._call)
        else:
            yield _ended(None, self._call)


async def _only(made: Any) -> AsyncGenerator[Any]:
    yield made


def _ended(error: Exception | None, call: Call) -> bytes:
    """The last envelope of a stream: how it ended, and what it spent."""
    said: dict[str, Any] = {}
    if error is not None:
        said["error"] = msgspec.Raw(write_refusal(error, call)[1])
    if (spent := back.amounts(call)) is not None:
        said["metadata"] = {back.SPENT.decode(): [spent.decode()]}
    return envelope(msgspec.json.encode(said), END)


async def _whole(request: Request, limit: int, call: Call, data: bytes | None) -> bytes:
    """A body that is not there in one piece, within the call's time."""
    check_length(request, limit)
    data = data or b""
    try:
        async with asyncio.timeout(call.remaining):
            return data + b"".join([piece async for piece in pieces(request, limit, read=len(data))])
    except TimeoutError:
        raise TooSlow(detail="The message was not complete within the time of the call.") from None


async def _sent(request: Request, operation: Operation) -> AsyncGenerator[bytes]:
    """The messages of a request, as they come: one, or behind it the pieces of a stream of bytes."""
    if request.fields.get(b"connect-content-encoding", b"identity") not in (b"identity", b"gzip"):
        raise UnsupportedMedia(detail="Messages of a stream may be compressed with gzip.")
    envelopes = Envelopes(operation.body_limit)
    async for piece in pieces(request, operation.body_limit + 5 if uploads(operation) is None else 1 << 62):
        for flags, message in envelopes.feed(piece):
            if not flags & END:
                yield message
    if envelopes.broken:
        raise Malformed(detail="The stream ends within a message.")


async def _first(sent: AsyncGenerator[bytes], call: Call) -> bytes:
    try:
        async with asyncio.timeout(call.remaining):
            message = await anext(sent, None)
    except TimeoutError:
        raise TooSlow(detail="The message was not complete within the time of the call.") from None
    if message is None:
        raise Malformed(detail="There is no message.")
    return message


async def _pieces(sent: AsyncGenerator[bytes], form: Messages) -> AsyncGenerator[bytes]:
    async for message in sent:
        yield form.read_piece(message)


def unknown(path: str) -> Response:
    """The answer where there is no such operation."""
    said = {"code": "unimplemented", "message": f"{path} is no operation that is served here."}
    return Response(501, [JSON], msgspec.json.encode(said))
