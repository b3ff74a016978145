"""How an operation's messages are written: in JSON or msgpack, bare or in envelopes.

Connect's unary calls have bare messages, its streams have envelopes: a byte of flags, four bytes of length, the message
(connectrpc.com/docs/protocol). What a reader does not know of a message it passes over.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import cache
from struct import Struct
from typing import Any, Final, Literal

import msgspec

from enfilade.contract.codec import codec
from enfilade.contract.operation import Operation
from enfilade.contract.signature import is_stream
from enfilade.errors import FieldError, Invalid, Malformed

Format = Literal["json", "msgpack"]

END: Final = 2
"""The flag of the last envelope, which says in JSON how the stream ended."""
PACKED: Final = 1
"""The flag of a compressed message."""
_HEAD: Final = Struct(">BI")
_EMPTY: Final = {"json": b"{}", "msgpack": b"\x80"}


class Messages:
    """The messages of one operation in one format. Reading raises Malformed or Invalid."""

    def __init__(self, operation: Operation, format: Format) -> None:
        self.enveloped = operation.style in ("stream", "bytes") or uploads(operation) is not None
        self.media_type = f"application/{'connect+' if self.enveloped else ''}{format}".encode()
        request, empty = operation.request, _EMPTY[format]
        encode, decode = _written(request, operation, format)
        names = request.__struct_fields__
        self.read_request: Callable[[bytes], dict[str, Any]] = lambda data: msgspec.structs.asdict(
            decode(data or empty)
        )
        """The arguments of a request."""
        if len(names) == len(operation.parameters):
            self.write_request: Callable[[dict[str, Any]], bytes] = lambda arguments: encode(request(**arguments))
        else:
            self.write_request = lambda arguments: encode(request(**{name: arguments[name] for name in names}))
        self.write: Callable[[Any], bytes] = lambda _: empty
        """Of a result, or of an item of a stream."""
        self.read: Callable[[bytes], Any] = lambda _: None
        if operation.style != "nothing":
            self.write, self.read = _written(operation.reply, operation, format)
        self.write_piece, self.read_piece = _written(bytes, operation, format)
        """The pieces of a parameter that is a stream of bytes."""


@cache
def messages(operation: Operation, format: Format) -> Messages:
    return Messages(operation, format)


@cache
def uploads(operation: Operation) -> str | None:
    """The parameter that is a stream of bytes; None where there is none."""
    return next((one.name for one in operation.parameters if is_stream(one.type)), None)


def _written(type: Any, operation: Operation, format: Format) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    if format == "json":
        made = codec(type, names=operation.names, unknown="ignore")
        return made.encode, made.decode
    packed = codec(type, unknown="ignore")
    unpack = packed.unpack

    def read(data: bytes) -> Any:
        try:
            return unpack(data)
        except msgspec.ValidationError as wrong:
            raise Invalid(errors=(FieldError(pointer="", detail=str(wrong)),)) from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError) as wrong:
            raise Malformed(detail="This is not the msgpack of a message.") from wrong

    return packed.pack, read


def envelope(data: bytes, flags: int = 0) -> bytes:
    return _HEAD.pack(flags, len(data)) + data


def gunzip(data: bytes, limit: int) -> bytes:
    """The content of a gzip. Raises Malformed where it is none, or larger than the limit."""
    inflate = zlib.decompressobj(wbits=31)
    try:
        content = inflate.decompress(data, limit + 1)
    except zlib.error:
        content = b""
    if len(content) > limit or not inflate.eof:
        raise Malformed(detail=f"A message of the stream is no gzip of at most {limit} bytes.")
    return content


class Envelopes:
    """Takes bytes as they come apart into envelopes of at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    @property
    def broken(self) -> bool:
        """Whether a part of one is left."""
        return bool(self._data)

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The flags and the message of each that is complete. Raises Malformed where one is too large."""
        kept = self._data
        kept += data
        while len(kept) >= 5:
            flags, size = _HEAD.unpack_from(kept)
            if size > self._limit or flags & ~(END | PACKED):
                raise Malformed(detail=f"A message of the stream has {size} bytes, or unknown flags.")
            if len(kept) < 5 + size:
                return
            message = bytes(kept[5 : 5 + size])
            del kept[: 5 + size]
            yield flags, gunzip(message, self._limit) if flags & PACKED else message
