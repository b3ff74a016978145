"""Codecs: the JSON of a type on every wire, and its msgpack in every store.

A type whose names and scalars are msgspec's own is read and written by one call of msgspec. Only where more is needed
(names in camelCase, moments, decimals) a small walk is built, once, for the parts of the type that need it.

What JSON leaves open is decided here for all: a name twice in one object is refused, a decimal is text, a moment has 27
characters and ends in Z, an integer has 64 bits, text has no NUL (PostgreSQL has none either), NaN is not JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import isfinite
from typing import Any, Generic, TypeVar, cast

import msgspec
from typing_extensions import TypeForm

from enfilade.contract.check import PLAIN, Unknown, told, wrong_places
from enfilade.contract.declare import Names
from enfilade.contract.refuse import BACKSLASH, COLON, TOO_DEEP, names_of, refuse_deep, refuse_doubles
from enfilade.contract.rewrite import Unfit, dumper, fits, loader
from enfilade.contract.shape import Shape, is_recursive, shape
from enfilade.errors import FieldError, Invalid, Malformed

T = TypeVar("T")

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_write = msgspec.json.Encoder().encode
_read = msgspec.json.Decoder().decode
_LAX = frozenset({"bool", "int", "float", "enum", "literal"})
"""Kinds that one text may say: `3` is 3 and `true` is true."""


class Codec(Generic[T]):
    """Reads and writes one type. Made by `codec`, once."""

    __slots__ = (
        "_decoder",
        "_deep",
        "_dump",
        "_fixed",
        "_load",
        "_more",
        "_prune",
        "_unpacker",
        "_unpruned",
        "encode",
        "names",
        "pack",
        "shape",
        "type",
        "unknown",
    )

    def __init__(self, type_: Any, names: Names, unknown: Unknown) -> None:
        found = shape(type_)
        self.type = found.type
        self.shape = found
        self.names: Names = names
        self.unknown: Unknown = unknown
        self._decoder = msgspec.json.Decoder(found.type)
        self._unpacker = msgspec.msgpack.Decoder(found.type)
        ignore = unknown == "ignore"
        plain = loader(found, names, ignore=False) is None
        load = loader(found, names, ignore=ignore)
        self._load = None if plain else load
        self._prune = load if plain else None
        self._unpruned = loader(found, None, ignore=True) if ignore else None
        self._deep = is_recursive(found)
        self._fixed, self._more = names_of(found)
        self._dump = dump = dumper(found, names)
        self.encode: Callable[[T], bytes] = _write if dump is None else lambda value: _write(dump(value))
        """JSON of a value."""
        self.pack: Callable[[T], bytes] = _pack
        """msgpack of a value, for what is stored."""

    def decode(self, data: bytes) -> T:
        """The value that a JSON text says. Raises Malformed (not JSON) or Invalid (not what the type says)."""
        try:
            if self._load is None:
                value = self._decoder.decode(data)
                least = self._fixed if self._more is None else self._fixed + self._more(value)
                if self._deep or BACKSLASH in data or data.count(COLON) != least:
                    self._look_at(data, _read(data))
                return value
            raw = _read(data)
            self._look_at(data, raw)
            return msgspec.convert(self._load(raw), self.type, str_keys=True)
        except (Unfit, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return self._again(data, error)

    def unpack(self, data: bytes) -> T:
        """The value that was packed. What does not fit is a bug or a broken store, not a caller's mistake."""
        try:
            return self._unpacker.decode(data)
        except msgspec.ValidationError:
            if self._unpruned is None:
                raise
            return msgspec.convert(self._unpruned(_unpack(data)), self.type, str_keys=True)

    def builtins(self, value: T) -> Any:
        """The value as JSON would say it, in dicts, lists, text, numbers and None."""
        return msgspec.to_builtins(value if self._dump is None else self._dump(value), str_keys=True)

    def from_builtins(self, raw: Any) -> T:
        """The value that such builtins say. Raises Invalid."""
        return self.decode(_write(raw))

    def copy(self, value: T) -> T:
        """The value as it would arrive on the other side of a wire."""
        return self.decode(self.encode(value))

    def from_text(self, values: Sequence[str]) -> T:
        """The value that the texts of one parameter say: `["3"]` is 3, several are an array. Raises Invalid."""
        several = self.shape.kind in ("array", "tuple")
        if len(values) != 1 and not several:
            raise Invalid(errors=(FieldError(pointer="", detail=f"Expected it once, not {len(values)} times."),))
        kind = _kind(self.shape.parts[0] if several else self.shape)
        for text in values:
            if "\0" in text or not fits(kind, text) or (kind == "float" and not _finite(text)):
                raise Invalid(errors=(FieldError(pointer="", detail=f"Expected {PLAIN.get(kind, kind)}."),))
        try:
            raw = list(values) if several else values[0]
            return msgspec.convert(raw, self.type, strict=kind not in _LAX)
        except msgspec.ValidationError as error:
            raise Invalid(errors=(FieldError(pointer="", detail=told(error)),)) from None

    def _look_at(self, data: bytes, raw: Any) -> None:
        """Refuses what msgspec lets pass."""
        refuse_doubles(data, raw)
        if self._deep:
            refuse_deep(raw)

    def _again(self, data: bytes, error: Exception) -> T:
        """Second look at what did not decode: without the unknown, with 3.0 as 3, or for every place that is wrong."""
        try:
            raw = _read(data)
            self._look_at(data, raw)
            raw = _whole(raw)
            load = self._prune or self._load
            try:
                return msgspec.convert(raw if load is None else load(raw), self.type, str_keys=True)
            except (Unfit, msgspec.ValidationError):
                pass
            errors = wrong_places(raw, self.shape, self.names, self.unknown)
        except RecursionError:
            raise Malformed(detail=TOO_DEEP) from None
        except UnicodeDecodeError:
            raise Malformed(detail="The body is not UTF-8.") from None
        except msgspec.MsgspecError as malformed:
            raise Malformed(detail=told(malformed)) from None
        raise Invalid(errors=errors or (FieldError(pointer="", detail=told(error)),)) from None


def codec(type: TypeForm[T], *, names: Names = "snake", unknown: Unknown = "refuse") -> Codec[T]:
    """The codec of a type; the same one each time."""
    return _codec(type, names, unknown)


@cache
def _codec(type_: Any, names: Names, unknown: Unknown) -> Codec[Any]:
    return Codec(type_, names, unknown)


def _whole(raw: Any) -> Any:
    """The same with integers for numbers without a fraction: to JSON Schema `3.0` is one (2020-12, 6.1.1)."""
    if isinstance(raw, float):
        return int(raw) if raw.is_integer() and abs(raw) < 2**63 else raw
    if isinstance(raw, dict):
        return {key: _whole(value) for key, value in cast("dict[str, Any]", raw).items()}
    return [_whole(one) for one in cast("list[Any]", raw)] if isinstance(raw, list) else raw


def _finite(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return True  # no number at all: msgspec says so better


def _kind(shape: Shape) -> str:
    """The kind of one text: of `T | None` that of T, the first of a union."""
    return next((part.kind for part in shape.parts if part.kind != "none"), shape.kind)
