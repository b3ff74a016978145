"""Files in: a raw body or a `multipart/form-data` one, streamed into the blob store and never whole in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from enfilade.contract.blob import Blob
from enfilade.contract.operation import Parameter
from enfilade.endpoint.http import Request
from enfilade.endpoint.rest.body import pieces
from enfilade.endpoint.rest.text import parameters
from enfilade.errors import FieldError, Invalid, Malformed
from enfilade.store.blobs import Blobs

_BINARY = "application/octet-stream"
_PARTS = 100
"""Parts that a form may have where those that nobody asked for are left out."""


async def upload(request: Request, blobs: Blobs, parameter: Parameter, limit: int, *, strict: bool) -> Blob | None:
    """The request's file as a stored blob; None where there is no file and the parameter can do without.

    `strict` refuses a form with other parts than the file.
    """
    kind, said = parameters(request.header(b"content-type"))
    if kind == "multipart/form-data":
        return await _from_form(request, blobs, parameter, limit, said.get("boundary", ""), strict)
    body = pieces(request, limit)
    first = await anext(body, b"")
    if not first and not kind:  # an empty body that says its type is an empty file
        if parameter.required:
            raise Invalid(errors=(FieldError(pointer="", detail="A file is required: send it as the body."),))
        return None
    kind = request.header(b"content-type")[:255] or _BINARY
    return await blobs.put(_joined(first, body), kind, _file_name(request.header(b"content-disposition")))


async def _joined(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def _from_form(
    request: Request, blobs: Blobs, parameter: Parameter, limit: int, boundary: str, strict: bool
) -> Blob | None:
    blob: Blob | None = None
    try:
        form = _Form(pieces(request, limit), boundary)
        while await form.next_part():
            disposition = form.headers.get("content-disposition", "")
            name = parameters(disposition)[1].get("name", "")
            if name != parameter.wire and not strict:
                async for _ in form.part():
                    pass
                continue
            _check_part(name, parameter, blob)
            kind = form.headers.get("content-type", _BINARY)[:255]
            blob = await blobs.put(form.part(), kind, _file_name(disposition))
    except BaseException as error:
        if blob is not None:
            await blobs.drop(blob)
        if isinstance(error, FormParserError):
            raise Malformed(detail="The body is not multipart/form-data as Content-Type says.") from None
        raise
    if blob is None and parameter.required:
        raise Invalid(errors=(FieldError(pointer="", parameter=parameter.wire, detail="This file is required."),))
    return blob


def _check_part(name: str, parameter: Parameter, before: Blob | None) -> None:
    if name != parameter.wire:
        raise Invalid(errors=(FieldError(pointer="", parameter=name, detail="There is no such part."),))
    if before is not None:
        raise Invalid(errors=(FieldError(pointer="", parameter=name, detail="This stands twice."),))


def _file_name(disposition: str) -> str:
    """The name a client gives its file, without any folder: it is a label, never a path."""
    said = parameters(disposition)[1].get("filename", "")
    name = said.replace("\\", "/").rpartition("/")[2]
    with suppress(UnicodeError):
        name = name.encode("latin-1").decode("utf-8")  # as browsers send it
    return "".join(letter for letter in name if letter.isprintable())[:255]


class _Form:
    """The parts of a form, one after another. The parser says what it sees; what it said waits here for the reader."""

    def __init__(self, body: AsyncGenerator[bytes], boundary: str) -> None:
        if not boundary:
            raise FormParserError("no boundary")
        self.headers: dict[str, str] = {}
        self._body = body
        self._said: deque[bytes | None] = deque()
        """Data of the part; None ends it, and after that comes the next part's."""
        self._heads: deque[dict[str, str]] = deque()
        self._name = self._value = b""
        self._ended = False
        self._parts = 0
        self._parser = MultipartParser(
            boundary.encode("latin-1"),
            {
                "on_part_begin": lambda: self._heads.append({}),
                "on_header_field": self._on_name,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_part_data": lambda data, start, end: self._said.append(data[start:end]),
                "on_part_end": lambda: self._said.append(None),
                "on_end": self._on_end,
            },
        )

    async def next_part(self) -> bool:
        """Go to the next part; False at the end of the form."""
        while not self._said and not self._ended:
            await self._feed()
        if not self._heads:
            async for _ in self._body:
                pass  # what stands after the last part means nothing (RFC 2046, 5.1.1)
            return False
        self._parts += 1
        if self._parts > _PARTS:
            raise Malformed(detail=f"A form has {_PARTS} parts at most.")
        self.headers = self._heads.popleft()
        return True

    async def part(self) -> AsyncGenerator[bytes]:
        """The bytes of the part, as they come."""
        while True:
            while not self._said:
                await self._feed()
            data = self._said.popleft()
            if data is None:
                return
            yield data

    async def _feed(self) -> None:
        piece = await anext(self._body, b"")
        if not piece:
            raise FormParserError("the form ends before its end")
        self._parser.write(piece)

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._heads[-1][self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name = self._value = b""

    def _on_end(self) -> None:
        self._ended = True
