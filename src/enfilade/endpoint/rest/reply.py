"""A result becomes an answer: its bytes, its fields, and whether they need be sent at all."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, TypeAlias, get_origin

import msgspec

from enfilade.call import Call
from enfilade.contract.exact import exactly
from enfilade.contract.need import anyone
from enfilade.contract.operation import Operation
from enfilade.contract.page import Page
from enfilade.endpoint.http import Request, Response
from enfilade.endpoint.rest.conditional import CODED, tag_of, unchanged, version_of
from enfilade.endpoint.rest.fields import JSON, NOSNIFF, Line, call_lines, line
from enfilade.endpoint.rest.links import Links, lifecycle
from enfilade.endpoint.rest.negotiate import takes_gzip

Reply: TypeAlias = Callable[[Request, Call, Any], Response]

_WORTH = 1024
"""Bytes from which on compressing saves more time on the network than it takes here."""
_LEVEL = 4
"""Of zlib: most of the gain for a third of the default level's time."""


def replier(operation: Operation, *, gzip: bool, links: tuple[Links, ...] = ()) -> Reply:
    """What makes the answers of an operation whose result is a value. All plans are made here."""
    status, query = operation.status, operation.method == "GET"
    common = [*common_lines(operation)]
    if operation.style == "nothing":
        return lambda request, call, value: Response(status, [*common, *call_lines(call)])
    common.insert(0, JSON)
    encode, version = encoder(operation), version_of(operation)

    def reply(request: Request, call: Call, value: Any) -> Response:
        body = encode(value)
        headers = common
        tag = b""
        if version is not None:
            tag = b'"%d"' % version(value)
        elif query:
            tag = tag_of(body)
        if query and unchanged(request, tag):
            return Response(304, [*common[1:], (b"etag", tag), *call_lines(call)])
        if gzip and len(body) > _WORTH and takes_gzip(request.fields.get(b"accept-encoding", b"")):
            body = zlib.compress(body, _LEVEL, wbits=31)
            headers = [*headers, (b"content-encoding", b"gzip")]
            tag = tag and tag[:-1] + CODED + b'"'
        headers = [*headers, *call_lines(call)]
        if tag:
            headers.append((b"etag", tag))
        for link in links:
            headers.extend(link(request, call, value))
        return Response(status, headers, body)

    return reply


def common_lines(operation: Operation) -> list[Line]:
    """Fields that all good answers of an operation have."""
    lines = [NOSNIFF, *lifecycle(operation)]
    if operation.method != "GET":
        return lines  # nobody may keep the answer to an unsafe method unless it says so (RFC 9111, 3)
    headers = [one.wire for one in operation.parameters if one.place == "header"]
    lines.append(line("vary", ", ".join(("Accept", "Accept-Encoding", "Authorization", *headers))))
    # A shared cache may keep only what is the same for everyone, and nobody may use it without asking again.
    lines.append(line("cache-control", "no-cache" if operation.needs is anyone else "private, no-cache"))
    return lines


def result_type(operation: Operation) -> Any:
    """The type of the whole result, a page's own included."""
    if operation.style == "page" and get_origin(operation.result) is not Page:
        return Page[operation.result]
    return operation.result


def encoder(operation: Operation) -> Callable[[Any], bytes]:
    """JSON of a result, under its name where it has one."""
    encode = exactly(result_type(operation), names=operation.names)
    if not operation.returns:
        return encode
    head = b"{" + msgspec.json.encode(operation.returns) + b":"
    return lambda value: head + encode(value) + b"}"
