"""JSON that has what a type says and no more, whatever value is given.

A value may be of a class that inherits the one in the contract, and then has fields that the contract does not know:
`Account` is answered, and an `AccountWithPassword` is one. msgspec writes what a value has. So each message within a
value is looked at first, by its class alone; where one is not the very class that the type names, the value is written
field by field as the type says, and what more there is stays here.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from enfilade.contract.codec import codec
from enfilade.contract.declare import Names
from enfilade.contract.rewrite import plain
from enfilade.contract.shape import Shape

Look: TypeAlias = Callable[[Any], bool]
"""Whether something within a value is of another class than its type says."""

_write = msgspec.json.Encoder().encode


def exactly(type: Any, *, names: Names = "snake") -> Callable[[Any], bytes]:
    """What writes values of a type. Raises AttributeError where one lacks a field."""
    made = codec(type, names=names)
    encode, look, step = made.encode, _look(made.shape, {}), plain(made.shape, names)
    if look is None or step is None:
        return encode
    return lambda value: _write(step(value)) if look(value) else encode(value)


def _look(shape: Shape, known: dict[int, list[Look]]) -> Look | None:
    """The look at a shape; None where no message is in it. `known` ends the recursion of those within themselves."""
    if shape.struct is not None:
        return _struct(shape, known)
    if shape.kind == "union":
        return _union([part for part in shape.parts if part.kind != "none"], known)
    if shape.kind == "tuple":
        looks = [_look(part, known) or _never for part in shape.parts]
        return lambda value: any(one(item) for one, item in zip(looks, value, strict=True))
    below = _look(shape.parts[-1], known) if shape.parts else None
    if below is None:
        return None
    if shape.kind == "map":
        return lambda value: any(map(below, value.values()))
    return lambda value: any(map(below, value))


def _never(_: Any) -> bool:
    return False


def _struct(shape: Shape, known: dict[int, list[Look]]) -> Look:
    assert shape.struct is not None
    struct, cls = shape.struct, shape.struct.cls
    if id(struct) in known:
        cell = known[id(struct)]
        return lambda value: cell[0](value)
    cell = known[id(struct)] = []
    # What no class may inherit is what it is said to be: a field of such a type is not looked at.
    fields = [one for one in struct.fields if one.shape.struct is None or not _closed(one.shape.struct.cls)]
    below = [(attrgetter(one.name), look) for one in fields if (look := _look(one.shape, known)) is not None]

    def flat(value: Any) -> bool:
        return type(value) is not cls

    def deep(value: Any) -> bool:
        if type(value) is not cls:
            return True
        for get, look in below:
            item = get(value)
            if item is not msgspec.UNSET and look(item):
                return True
        return False

    cell.append(deep if below else flat)
    return cell[0]


def _closed(cls: type) -> bool:
    return getattr(cls, "__final__", False)


def _union(parts: list[Shape], known: dict[int, list[Look]]) -> Look | None:
    structs = {part.struct.cls: _struct(part, known) for part in parts if part.struct is not None}
    others = [found for part in parts if part.struct is None and (found := _look(part, known)) is not None]
    if not structs and not others:
        return None

    def look(value: Any) -> bool:
        if isinstance(value, msgspec.Struct):
            own = structs.get(value.__class__)
            return own is None or own(value)
        return isinstance(value, tuple | frozenset | dict) and any(one(value) for one in others)

    return look
