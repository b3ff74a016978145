"""Files out: whole, or the part of them that was asked for (RFC 9110, 14)."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeAlias
from urllib.parse import quote

from enfilade.call import Call, enter, leave
from enfilade.contract.blob import Blob
from enfilade.contract.operation import Operation
from enfilade.endpoint.http import Headers, NoPieces, Request, Response
from enfilade.endpoint.rest.conditional import unchanged
from enfilade.endpoint.rest.fields import call_lines, line
from enfilade.endpoint.rest.negotiate import accepted
from enfilade.endpoint.rest.reply import common_lines
from enfilade.errors import NotAcceptable, RangeNotSatisfiable
from enfilade.store.blobs import Blobs

FileReply: TypeAlias = Callable[[Request, Call, Blob], Awaitable[Response]]

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


def file_replier(operation: Operation, blobs: Blobs) -> FileReply:
    """What sends the files of an operation."""
    common = common_lines(operation)

    async def reply(request: Request, call: Call, blob: Blob) -> Response:
        tag = b'"' + blob.sha256.encode() + b'"'
        head: Headers = [*common, (b"etag", tag), (b"accept-ranges", b"bytes"), *call_lines(call)]
        if operation.method == "GET" and unchanged(request, tag):
            return Response(304, head)
        accept = request.fields.get(b"accept")
        if accept is not None and accepted(accept, (blob.media_type.partition(";")[0].strip().lower(),)) is None:
            raise NotAcceptable(detail=f"This is {blob.media_type}.")
        # A stranger's file must never act as a page of ours: it is saved, not shown, and may do nothing if shown.
        head += [
            line("content-type", blob.media_type),
            line("content-disposition", _attachment(blob.name)),
            (b"content-security-policy", b"default-src 'none'; sandbox"),
        ]
        part = asked_range(request, blob.size, tag) if operation.method == "GET" else None
        start, end = part or (0, blob.size)
        if part is not None:
            head.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, blob.size)))
        head.append((b"content-length", b"%d" % (end - start)))
        status = operation.status if part is None else 206
        if request.method == "HEAD":
            return Response(status, head, NoPieces())
        token = enter(call)  # whose tenant's file it has to be
        try:
            file = blobs.open(blob, start, end)
            first = await anext(file, b"")
        finally:
            leave(token)
        return Response(status, head, _Begun(first, file))

    return reply


class _Begun:
    """The bytes of a file, the first of them at hand: a file that is gone is a problem, not a broken answer."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes]) -> None:
        self._first = first
        self._rest = rest

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        yield self._first
        async for piece in self._rest:
            yield piece

    async def aclose(self) -> None:
        await self._rest.aclose()


def asked_range(request: Request, size: int, tag: bytes) -> tuple[int, int] | None:
    """The part that is asked for, from its first byte up to, not including, its end; None for the whole.

    Several parts at once are not sent as such: the whole is a right answer too. Raises RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch(request.header(b"range"))
    if match is None or match[1] == match[2] == "" or request.method != "GET":
        return None
    only_of = request.fields.get(b"if-range")
    if only_of is not None and only_of.strip() != tag:
        return None
    if match[1]:
        start = int(match[1])
        end = min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None  # not a range at all, so not there (14.1.1)
    else:
        start, end = max(0, size - int(match[2])), size
    if start >= end:
        raise RangeNotSatisfiable(size=size)
    return start, end


def _attachment(name: str) -> str:
    if not name:
        return "attachment"
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\%' else "_" for letter in name
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
