"""Every place of a request that is wrong, not only the first: the slow way, taken once decoding has failed."""
# What was read from JSON is of unknown type until it has been checked; that is what happens here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal

import msgspec

from enfilade.contract.declare import Names
from enfilade.contract.refuse import cut
from enfilade.contract.rewrite import fits, loader, option
from enfilade.contract.shape import END, Shape, Struct
from enfilade.errors import FieldError

Unknown = Literal["refuse", "ignore"]

MOST_ERRORS = 32
"""More would help nobody, and a large body could ask for a very large answer."""

PLAIN = {
    "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "null": "null",
    "array": "an array", "object": "an object", "datetime": "a date-time with a zone (RFC 3339)",
    "date": "a date (RFC 3339)", "time": "a time with a zone (RFC 3339)", "uuid": "a UUID", "decimal": "a decimal",
    "duration": "a duration (ISO 8601)", "bytes": "base64 text",
}  # fmt: skip


def wrong_places(raw: Any, shape: Shape, names: Names, unknown: Unknown) -> tuple[FieldError, ...]:
    """What is wrong with a JSON value, by JSON pointers and wire names."""
    return tuple(islice(_Check(names, unknown).at("", raw, shape), MOST_ERRORS))


def told(error: Exception) -> str:
    """A message of msgspec in the words of JSON."""
    text = re.sub(r" - at `.*`$| with a timezone component", "", str(error))
    text = re.sub(r"^Invalid (enum )?value .*", "Expected another value", text, flags=re.DOTALL)  # it quotes the value
    text = re.sub(r"`([a-z]+(?: \| [a-z]+)*)`", _words, text)
    text = text.replace(repr(END)[1:-1], "$")
    return text[:1].upper() + text[1:].replace("`", "'") + ("" if text.endswith(".") else ".")


def _words(match: re.Match[str]) -> str:
    return " or ".join(PLAIN.get(name, name) for name in match[1].split(" | "))


class _Check:
    def __init__(self, names: Names, unknown: Unknown, *, quiet: bool = False) -> None:
        self.names: Names = names
        self.unknown: Unknown = unknown
        self.quiet = quiet
        """Within what is Sensitive: names that the contract does not know are not told."""

    def at(self, pointer: str, raw: Any, shape: Shape) -> Iterator[FieldError]:
        if shape.mark("sensitive") is not None and not self.quiet:
            yield from _Check(self.names, self.unknown, quiet=True).at(pointer, raw, shape)
        elif shape.kind == "union":
            yield from self._union(pointer, raw, shape)
        elif shape.struct is not None and isinstance(raw, dict):
            yield from self._struct(pointer, raw, shape.struct)
        elif shape.kind == "array" and isinstance(raw, list):
            yield from self._array(pointer, raw, shape)
        elif shape.kind == "tuple" and isinstance(raw, list) and len(raw) == len(shape.parts):
            for index, (item, part) in enumerate(zip(raw, shape.parts, strict=True)):
                yield from self.at(f"{pointer}/{index}", item, part)
        elif shape.kind == "map" and isinstance(raw, dict):
            yield from self._map(pointer, raw, shape)
        else:
            yield from self._leaf(pointer, raw, shape)

    def _leaf(self, pointer: str, raw: Any, shape: Shape) -> Iterator[FieldError]:
        if shape.kind in ("enum", "literal"):
            if not any(raw == value and type(raw) is type(value) for value in shape.values):
                listed = ", ".join(repr(value) for value in shape.values)
                yield FieldError(pointer=pointer, detail=f"Expected one of {listed}.")
        elif not fits(shape.kind, raw) and not (shape.kind == "datetime" and not isinstance(raw, str)):
            form = "a decimal as text" if shape.kind == "decimal" else "a moment between the years 1 and 9999 in UTC"
            yield FieldError(pointer=pointer, detail=f"Expected {form}.")
        else:
            try:
                msgspec.convert(raw, shape.type, str_keys=True)
            except msgspec.ValidationError as error:
                yield FieldError(pointer=pointer, detail=told(error))

    def _struct(self, pointer: str, raw: dict[str, Any], struct: Struct) -> Iterator[FieldError]:
        known = {field.wire(self.names): field for field in struct.fields}
        good = True
        for key in raw:
            if (
                key not in known
                and self.unknown == "refuse"
                and not (struct.tag is not None and key == struct.tag_field)
            ):
                good = False
                where = pointer if self.quiet else _below(pointer, cut(key))
                yield FieldError(pointer=where, detail="There is no such member.")
        for wire, field in known.items():
            if wire in raw:
                for error in self.at(_below(pointer, wire), raw[wire], field.shape):
                    good = False
                    yield error
            elif field.required:
                good = False
                yield FieldError(pointer=_below(pointer, wire), detail="This member is required.")
        if struct.tag is not None and raw.get(struct.tag_field) != struct.tag:
            good = False
            yield FieldError(pointer=_below(pointer, struct.tag_field), detail=f"Expected {struct.tag!r}.")
        if good and hasattr(struct.cls, "__post_init__"):
            yield from self._own_rule(pointer, raw, struct)

    def _own_rule(self, pointer: str, raw: dict[str, Any], struct: Struct) -> Iterator[FieldError]:
        whole = Shape(kind="struct", type=struct.type, struct=struct)
        load = loader(whole, self.names, ignore=self.unknown == "ignore")
        try:
            msgspec.convert(raw if load is None else load(raw), struct.type, str_keys=True)
        except msgspec.ValidationError as error:
            yield FieldError(pointer=pointer, detail=told(error))

    def _array(self, pointer: str, raw: list[Any], shape: Shape) -> Iterator[FieldError]:
        most = shape.constraint("max_length")
        yield from self._length(pointer, len(raw), shape, "items")
        for index, item in enumerate(raw if most is None else raw[: most + MOST_ERRORS]):
            yield from self.at(f"{pointer}/{index}", item, shape.parts[0])

    def _map(self, pointer: str, raw: dict[str, Any], shape: Shape) -> Iterator[FieldError]:
        yield from self._length(pointer, len(raw), shape, "members")
        key_shape, value_shape = shape.parts
        for key, value in raw.items():
            below = pointer if self.quiet else _below(pointer, key)
            try:
                msgspec.convert({key: None}, dict[key_shape.type, None], str_keys=True)
            except msgspec.ValidationError as error:
                yield FieldError(pointer=below, detail=f"As a name: {told(error)}")
            yield from self.at(below, value, value_shape)

    def _length(self, pointer: str, length: int, shape: Shape, what: str) -> Iterator[FieldError]:
        least, most = shape.constraint("min_length"), shape.constraint("max_length")
        if least is not None and length < least:
            yield FieldError(pointer=pointer, detail=f"Expected at least {least} {what}.")
        if most is not None and length > most:
            yield FieldError(pointer=pointer, detail=f"Expected at most {most} {what}.")

    def _union(self, pointer: str, raw: Any, shape: Shape) -> Iterator[FieldError]:
        chosen = option(raw, list(shape.parts))
        if raw is None and any(part.kind == "none" for part in shape.parts):
            return
        if chosen is not None:
            yield from self.at(pointer, raw, chosen)
            return
        tagged = [part.struct for part in shape.parts if part.struct is not None and part.struct.tag is not None]
        if isinstance(raw, dict) and tagged:
            listed = ", ".join(repr(struct.tag) for struct in tagged)
            yield FieldError(pointer=_below(pointer, tagged[0].tag_field), detail=f"Expected one of {listed}.")
            return
        plain = [part for part in shape.parts if part.kind != "none"]
        if len(plain) == 1:
            yield from self.at(pointer, raw, plain[0])
        elif not any(next(self.at(pointer, raw, part), None) is None for part in plain):
            try:
                msgspec.convert(raw, shape.type)
            except msgspec.ValidationError as error:
                yield FieldError(pointer=pointer, detail=told(error))


def _below(pointer: str, key: str) -> str:
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
