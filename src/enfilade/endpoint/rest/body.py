"""The body of a request: read no further than it may be long and may take, gzip decoded within the same limit."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Iterator

from enfilade.endpoint.http import Request
from enfilade.endpoint.rest.promptly import promptly
from enfilade.endpoint.rest.text import parameters
from enfilade.errors import Malformed, TooLarge, TooSlow, UnsupportedMedia

_JSON = frozenset((b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"))
_PLAIN = frozenset((b"", b"identity"))
_STEP = 65536
"""Bytes that are decompressed at once."""


def json_here(request: Request, limit: int) -> bytes | None:
    """As `json_body`, of a body that is there already; None where it is to be waited for.

    Nearly every body is there, and in one piece: that way is kept free of all else.
    """
    fields = request.fields
    check_length(request, limit)
    data = request.arrived() if b"content-encoding" not in fields else None
    if data:
        _within(len(data), limit)
        if (kind := fields.get(b"content-type")) not in _JSON:
            _refuse_other(kind)
    return data


async def json_body(request: Request, limit: int, seconds: float) -> bytes:
    """A whole JSON body; an empty one may say to be of any type.

    Raises TooLarge, TooSlow, Malformed and UnsupportedMedia.
    """
    data = json_here(request, limit)
    if data is None:
        data = await _awaited(request, limit, seconds)
        if data:
            _refuse_other(request.fields.get(b"content-type"))
    return data


async def _awaited(request: Request, limit: int, seconds: float) -> bytes:
    data = b""
    try:
        if b"content-encoding" not in request.fields:
            data = await promptly(request.read(), seconds)
        if not request.ended or len(data) > limit:
            async with asyncio.timeout(seconds):
                data += b"".join([piece async for piece in pieces(request, limit, read=len(data))])
    except TimeoutError:
        raise TooSlow(detail=f"The body was not complete after {seconds:g} seconds.") from None
    return data


async def pieces(request: Request, limit: int, *, read: int = 0) -> AsyncGenerator[bytes]:
    """Piece by piece, as they come. `read` bytes of it were read before."""
    coding = request.fields.get(b"content-encoding", b"").strip().lower()
    if coding not in _PLAIN and coding not in (b"gzip", b"x-gzip"):
        raise UnsupportedMedia(detail="A body may be encoded with gzip, or not at all.")
    gunzip = None if coding in _PLAIN else _Gunzip()
    plain = 0
    _within(read, limit)
    while piece := await request.read():
        read += len(piece)
        _within(read, limit)
        if gunzip is None:
            yield piece
            continue
        for part in gunzip.feed(piece):
            plain += len(part)
            _within(plain, limit)
            yield part
    if gunzip is not None:
        gunzip.end()


def check_length(request: Request, limit: int) -> None:
    """Refuses a body that says itself that it is too large, before any of it is read."""
    length = request.fields.get(b"content-length")
    if length is not None:
        if not length.isdigit():
            raise Malformed(detail="Content-Length is one number.")
        _within(int(length), limit)


def _within(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(limit=limit, detail=f"The body may have {limit} bytes.")


def _refuse_other(kind: bytes | None) -> None:
    name, said = parameters((kind or b"").decode("latin-1"))
    if name != "application/json":
        raise UnsupportedMedia(detail="The body is to be application/json, and Content-Type is to say so.")
    if said.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMedia(detail="JSON is UTF-8, and no other charset (RFC 8259).")


class _Gunzip:
    """Decompresses gzip in small steps; several members one after another are one body (RFC 1952)."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)

    def feed(self, data: bytes) -> Iterator[bytes]:
        full = False
        try:
            while data or full:
                if self._inflate.eof:
                    self._inflate = zlib.decompressobj(wbits=31)
                part = self._inflate.decompress(data, _STEP)
                yield part
                data = self._inflate.unconsumed_tail or self._inflate.unused_data
                full = len(part) == _STEP and not self._inflate.eof
        except zlib.error:
            raise Malformed(detail="The body is not gzip, as Content-Encoding says it is.") from None

    def end(self) -> None:
        if not self._inflate.eof:
            raise Malformed(detail="The gzip body ends before its end.")
