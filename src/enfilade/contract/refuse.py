"""What JSON lets pass and we refuse: names that stand twice in one object, NUL in text, boundless depth.

Doubles are found without reading a text twice where that can be. The colons of a JSON text are at least its names. A
value tells how many different names its text must have had (those of required fields, of fields that are not at their
default, of a map's keys). Where the two numbers are equal, no name stood twice. Where they are not, a colon was in some
text, a default was sent, or a name did stand twice: then the text is looked at again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeAlias, cast

import msgspec

from enfilade.contract.shape import Shape, Struct
from enfilade.errors import FieldError, Invalid, Malformed

Count: TypeAlias = Callable[[Any], int]

BACKSLASH, COLON = 92, 58
"""As numbers: bytes are searched for a number faster than for a text."""

MOST_DEEP = 128
"""Levels of JSON, for messages that stand within themselves; all others are as deep as they are declared."""
LONGEST = 64
"""Characters that are told of a name which no contract knows."""
TOO_DEEP = "The body is nested too deep."

_write = msgspec.json.Encoder().encode


def cut(name: str) -> str:
    """A name as it is told: not more of it than a name may be long, for it may be something else."""
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}..."


def refuse_doubles(data: bytes, raw: Any) -> None:
    """Raises Malformed for a name that stands twice, and Invalid for NUL in a text, which no PostgreSQL holds.

    `raw` is what `data` says, as builtins. Written again they have as many colons, or fewer where a name was
    overwritten. Only an escaped colon could hide that, so such escapes take the slow way.
    """
    if b"\\u00" not in data:
        if _write(raw).count(COLON) == data.count(COLON):
            return
    elif b"\\u0000" in data and b"\\u0000" in _write(raw).replace(rb"\\", b""):
        raise Invalid(errors=(FieldError(pointer="", detail="Text cannot contain the character U+0000."),))
    json.loads(data, object_pairs_hook=_pairs, parse_int=str, parse_float=str)  # numbers are of no interest here


def refuse_deep(raw: Any) -> None:
    """Raises Malformed for what is nested deeper than anyone writes, and than we may be able to write again."""
    level: list[Any] = [raw]
    for _ in range(MOST_DEEP):
        level = [
            below
            for one in level
            if isinstance(one, dict | list)
            for below in (cast("dict[str, Any]", one).values() if isinstance(one, dict) else cast("list[Any]", one))
        ]
        if not level:
            return
    raise Malformed(detail=TOO_DEEP)


def names_of(shape: Shape) -> tuple[int, Count | None]:
    """How many names a JSON text of this type has at the least: a fixed number, and what to add for a value."""
    return _names(shape, frozenset())


def _names(shape: Shape, within: frozenset[int]) -> tuple[int, Count | None]:
    if shape.struct is not None:
        return (0, None) if id(shape.struct) in within else _struct(shape.struct, within | {id(shape.struct)})
    if shape.kind == "array":
        fixed, more = _names(shape.parts[0], within)
        return 0, _each(fixed, more)
    if shape.kind == "map":
        fixed, more = _names(shape.parts[1], within)
        each = _each(fixed + 1, more)
        return 0, lambda value: each(value.values()) if each else 0
    if shape.kind == "union":
        plain = [part for part in shape.parts if part.kind != "none"]
        if len(plain) == 1 < len(shape.parts):
            fixed, more = _names(plain[0], within)
            if fixed or more:
                return 0, lambda value: 0 if value is None else fixed + (more(value) if more else 0)
    return 0, None


def _struct(struct: Struct, within: frozenset[int]) -> tuple[int, Count | None]:
    fixed = 0 if struct.tag is None else 1
    said: list[tuple[Count, Count]] = []
    unsaid: list[tuple[Count, Any, int, Count | None]] = []
    changes = hasattr(struct.cls, "__post_init__")  # it may set what was not said
    for field in struct.fields:
        own, more = _names(field.shape, within)
        get = attrgetter(field.name)
        if field.required:
            fixed += own + 1
            if more is not None:
                said.append((get, more))
        elif not changes:
            unsaid.append((get, field.default, own + 1, more))
    if not said and not unsaid:
        return fixed, None

    def count(value: Any) -> int:
        found = 0
        for get, more in said:
            found += more(get(value))
        for get, default, own, more in unsaid:
            one: Any = get(value)
            if one is not default and one != default:
                found += own if more is None else own + more(one)
        return found

    return fixed, count


def _each(fixed: int, more: Count | None) -> Count | None:
    if more is None:
        return (lambda items: fixed * len(items)) if fixed else None
    return lambda items: fixed * len(items) + sum(map(more, items))


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise Malformed(detail=f"The name {cut(twice)!r} stands twice in one object.")
    return made
