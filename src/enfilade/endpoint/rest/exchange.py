"""One operation's exchange: a request comes in, becomes a call, passes the row, and its result goes out.

This is the way of every request; all that can be decided before one comes is decided when the exchange is made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from enfilade.call import Call, enter, leave
from enfilade.contract.blob import Blob
from enfilade.contract.operation import Operation
from enfilade.endpoint.http import Request, Response
from enfilade.endpoint.rest.binding import binder
from enfilade.endpoint.rest.counted import Counted, counted, counts_bytes
from enfilade.endpoint.rest.events import stream_offers, stream_replier
from enfilade.endpoint.rest.links import Links, lifecycle
from enfilade.endpoint.rest.negotiate import accepted
from enfilade.endpoint.rest.problems import Problems
from enfilade.endpoint.rest.ranges import file_replier
from enfilade.endpoint.rest.reply import replier
from enfilade.endpoint.rest.routes import Exchange
from enfilade.endpoint.rest.text import idempotency_key
from enfilade.endpoint.site import Site
from enfilade.errors import NotAcceptable, Overloaded, PreconditionFailed, Stale


def exchange(
    operation: Operation, site: Site, problems: Problems, *, unknown: Any, gzip: bool, links: tuple[Links, ...]
) -> Exchange:
    """The exchange of an operation, ready for any number of requests at once."""
    handler = site.handlers[operation.id]
    bind = binder(operation, site.blobs, unknown=unknown)
    reply = replier(operation, gzip=gzip, links=links) if operation.style in ("value", "page", "nothing") else None
    send = file_replier(operation, site.blobs) if operation.style == "blob" else stream_replier(operation, problems)
    enter = _entrance(operation)
    versioned = any(one.place == "if-match" for one in operation.parameters)
    clock, monotonic, attach = site.clock, site.clock.monotonic, site.recorder.attach
    timeout, counts, ending = operation.timeout, counts_bytes(operation), lifecycle(operation)

    async def answer(request: Request, values: list[str]) -> Response:
        fields = request.fields
        call = Call(operation, {}, clock, monotonic() + timeout)
        call.address = request.address
        call.fields = fields
        if (credentials := fields.get(b"authorization")) is not None:
            call.credentials = credentials.decode("latin-1")
        traceparent = fields.get(b"traceparent")
        if traceparent is not None:
            attach(call, traceparent.decode("latin-1"), request.header(b"tracestate"))

        def read() -> Awaitable[dict[str, Any]]:
            enter(fields, call)
            return bind(Counted(request, call) if counts else request, values)

        call.read = read
        try:
            result = await handler(call)
            response = reply(request, call, result) if reply is not None else await send(request, call, result)
        except Exception as error:
            if isinstance(error, Overloaded):  # the one refusal after a request is read and before the service runs
                await _drop_files(site, call)
            failed = PreconditionFailed(detail=error.detail) if versioned and isinstance(error, Stale) else error
            response = problems.answer(failed, request, call)
            response.headers.extend(ending)
        return counted(response, call) if counts and request.method != "HEAD" else response

    return answer


def _entrance(operation: Operation) -> Callable[[dict[bytes, bytes], Call], None]:
    """What is asked of a request's head before it is read further."""
    offers = offers_of(operation)
    at_once = frozenset((None, b"*/*", *(offer.encode() for offer in offers)))
    keyed = operation.kind == "command"
    unconditional = operation.method != "GET" and all(one.place != "if-match" for one in operation.parameters)

    def enter(fields: dict[bytes, bytes], call: Call) -> None:
        accept = fields.get(b"accept")
        if accept not in at_once and offers and accepted(accept or b"", offers) is None:
            raise NotAcceptable(detail=f"This is given as {' or '.join(offers)}.")
        if keyed and (key := fields.get(b"idempotency-key")) is not None:
            call.key = idempotency_key(key)
        if unconditional and (b"if-match" in fields or b"if-none-match" in fields):
            raise PreconditionFailed(detail="This operation cannot tell whether the condition holds.")

    return enter


def offers_of(operation: Operation) -> tuple[str, ...]:
    """Media types that an answer can have; none where there is nothing to choose, or only the file itself knows."""
    if operation.style in ("stream", "bytes"):
        return stream_offers(operation)
    return () if operation.style in ("blob", "nothing") else ("application/json",)


async def _drop_files(site: Site, call: Call) -> None:
    token = enter(call)  # whose tenant's they are
    try:
        for argument in call.arguments.values():
            if isinstance(argument, Blob):
                await site.blobs.drop(argument)
    finally:
        leave(token)
