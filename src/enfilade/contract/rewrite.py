"""Small walks over values, built once per type: what has to be done around msgspec, and only where it has to be.

`dumper` turns values into builtins for the wire (names, datetimes, masks), `loader` turns builtins from the wire into
those that msgspec converts. Both are None for a type, or a part of one, that msgspec alone treats right.
"""
# What was read from JSON is of unknown type until it has been checked; that is what happens here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from enfilade.contract.declare import Names
from enfilade.contract.shape import Shape, Struct

Step: TypeAlias = Callable[[Any], Any]

_asdict = msgspec.structs.asdict
_builtins = msgspec.to_builtins

MASK = "***"
DECIMAL = r"^-?[0-9]{1,28}(\.[0-9]{1,28})?([eE][+-]?[0-9]{1,2})?$"
"""A finite decimal that the default decimal context holds, with the exponent that Python writes for very small ones."""
_decimal = re.compile(DECIMAL[:-1] + r"\Z")


class Unfit(TypeError):
    """The builtins are not what the type says; the slow way finds out where."""


def stamp(at: datetime) -> str:
    """The one form of a moment: `2026-01-01T00:00:00.000000Z`, 27 characters, so that text sorts as time does."""
    if at.tzinfo is not UTC:
        if at.tzinfo is None:
            raise ValueError(f"{at!r} has no zone: take current().now, or datetime(..., tzinfo=UTC)")
        at = at.astimezone(UTC)
    # msgspec writes the same ten times as fast, but leaves out a fraction of zero.
    return _builtins(at) if at.microsecond else at.isoformat(timespec="microseconds")[:26] + "Z"


def fits(kind: str, raw: Any) -> bool:
    """Whether a scalar is in the form we take; msgspec itself takes more: decimals as numbers, moments beyond UTC."""
    if kind == "decimal":
        return isinstance(raw, str) and _decimal.match(raw) is not None
    if kind == "datetime" and isinstance(raw, str) and raw[:4] in ("0001", "9999"):
        try:
            datetime.fromisoformat(raw).astimezone(UTC)
        except (ValueError, OverflowError):
            return False
    return True


def dumper(shape: Shape, names: Names, *, mask: bool = False) -> Step | None:
    """Value to builtins, as far as msgspec does not do it by itself."""
    return _Dump(names, mask).step(shape)


def plain(shape: Shape, names: Names) -> Step | None:
    """Value to builtins of the fields that its type has, and of no others; None where it is no message."""
    return _Plain(names, mask=False).step(shape)


def loader(shape: Shape, names: Names | None, *, ignore: bool) -> Step | None:
    """Builtins to builtins by the names that msgspec knows; `ignore` leaves unknown members out. Raises Unfit.

    `names=None` is for what was packed: names are msgspec's own and scalars need no second look.
    """
    return _Load(names, ignore).step(shape)


class _Walk:
    """The recursion that both walks share. A struct that is met inside itself is called late, by its cell."""

    def __init__(self) -> None:
        self.steps: dict[int, Step] = {}
        self.needed: dict[int, bool] = {}

    def own(self, shape: Shape) -> bool:
        """Whether this very shape, not one below, needs a step."""
        raise NotImplementedError

    def leaf(self, shape: Shape) -> Step | None:
        raise NotImplementedError

    def struct(self, struct: Struct) -> Step:
        raise NotImplementedError

    def union(self, options: list[tuple[Shape, Step]]) -> Step:
        raise NotImplementedError

    def needs(self, shape: Shape) -> bool:
        return _reaches(shape, self.own, set())

    def step(self, shape: Shape) -> Step | None:
        if not self.needs(shape):
            return None
        if (leaf := self.leaf(shape)) is not None:
            return leaf
        if shape.struct is not None:
            return self._struct(shape.struct)
        parts = [self.step(part) for part in shape.parts]
        if shape.kind == "array":
            return _each(parts[0] or _same)
        if shape.kind == "tuple":
            return _tuple([part or _same for part in parts])
        if shape.kind == "map":
            return _values(parts[1] or _same)
        return self.union([(part, step or _same) for part, step in zip(shape.parts, parts, strict=True)])

    def _struct(self, struct: Struct) -> Step:
        if id(struct) in self.steps:
            return lambda value: self.steps[id(struct)](value)
        self.steps[id(struct)] = _same
        self.steps[id(struct)] = self.struct(struct)
        return self.steps[id(struct)]


class _Dump(_Walk):
    def __init__(self, names: Names, mask: bool) -> None:
        super().__init__()
        self.names: Names = names
        self.mask = mask

    def own(self, shape: Shape) -> bool:
        if self.mask:
            return shape.mark("sensitive") is not None
        if shape.struct is not None:
            return any(field.wire(self.names) != field.encode for field in shape.fields)
        return shape.kind == "datetime"

    def leaf(self, shape: Shape) -> Step | None:
        if self.mask and self.own(shape):
            return lambda _: MASK
        return stamp if shape.kind == "datetime" else None

    def struct(self, struct: Struct) -> Step:
        tag = {} if struct.tag is None else {struct.tag_field: struct.tag}
        members = tuple((field.name, field.wire(self.names), self.step(field.shape)) for field in struct.fields)

        def dump(value: Any) -> Any:
            out: dict[str, Any] = {**tag}
            for name, wire, step in members:
                item = getattr(value, name)
                if item is not msgspec.UNSET:
                    out[wire] = item if step is None else step(item)
            return out

        if tag or any(name != wire for name, wire, _ in members) or any(one.shape.maybe for one in struct.fields):
            return dump
        cls, changed = struct.cls, tuple((name, step) for name, _, step in members if step is not None)

        def quick(value: Any) -> Any:
            """The same where names stay what they are and nothing is left out."""
            if type(value) is not cls:
                return dump(value)
            out = _asdict(value)
            for name, step in changed:
                out[name] = step(out[name])
            return out

        return quick

    def union(self, options: list[tuple[Shape, Step]]) -> Step:
        steps: dict[type, Step] = {}
        for shape, step in options:
            if shape.struct is not None:
                steps[shape.struct.cls] = step
            else:
                steps[{"datetime": datetime, "array": tuple, "tuple": tuple, "map": dict}.get(shape.kind, Shape)] = step
        if self.mask and any(self.own(shape) for shape, _ in options):
            return lambda _: MASK
        return lambda value: steps.get(type(value), _same)(value)


class _Plain(_Dump):
    """The same for every message, so that a field which only the value has is not met."""

    def own(self, shape: Shape) -> bool:
        return shape.struct is not None or super().own(shape)

    def union(self, options: list[tuple[Shape, Step]]) -> Step:
        quick = super().union(options)
        structs = [(shape.struct.cls, step) for shape, step in options if shape.struct is not None]

        def dump(value: Any) -> Any:
            if not isinstance(value, msgspec.Struct):
                return quick(value)
            return next(step for cls, step in structs if isinstance(value, cls))(value)

        return dump


class _Load(_Walk):
    def __init__(self, names: Names | None, ignore: bool) -> None:
        super().__init__()
        self.names: Names | None = names
        self.ignore = ignore

    def own(self, shape: Shape) -> bool:
        if shape.struct is not None:
            return self.ignore or any(self._wire(field) != field.encode for field in shape.fields)
        return self.names is not None and shape.kind in ("decimal", "datetime")

    def leaf(self, shape: Shape) -> Step | None:
        if shape.kind not in ("decimal", "datetime"):
            return None

        def check(raw: Any) -> Any:
            if not fits(shape.kind, raw):
                raise Unfit
            return raw

        return check

    def struct(self, struct: Struct) -> Step:
        members = {self._wire(field): (field.encode, self.step(field.shape)) for field in struct.fields}
        if len(members) < len(struct.fields):
            raise TypeError(f"two fields of {struct.cls.__name__} have one name on the wire: name one of them by Named")
        if struct.tag is not None:
            members[struct.tag_field] = (struct.tag_field, None)
        ignore = self.ignore

        def load(raw: Any) -> Any:
            if type(raw) is not dict:
                raise Unfit
            out: dict[str, Any] = {}
            for key, item in raw.items():
                known = members.get(key)
                if known is not None:
                    out[known[0]] = item if known[1] is None else known[1](item)
                elif not ignore:
                    raise Unfit
            return out

        return load

    def union(self, options: list[tuple[Shape, Step]]) -> Step:
        choose = [(shape, step) for shape, step in options if shape.kind != "none"]

        def load(raw: Any) -> Any:
            chosen = option(raw, [shape for shape, _ in choose])
            return next((step(raw) for shape, step in choose if shape is chosen), raw)

        return load

    def _wire(self, field: Any) -> str:
        return field.encode if self.names is None else field.wire(self.names)


def option(raw: Any, options: list[Shape]) -> Shape | None:
    """The option of a union that this JSON value can only mean, if there is one."""
    if isinstance(raw, dict):
        structs = [one for one in options if one.struct is not None]
        for one in structs:
            assert one.struct is not None
            if one.struct.tag is not None and raw.get(one.struct.tag_field) == one.struct.tag:
                return one
        rest = [one for one in options if one.kind == "map"]
        if len(structs) == 1 and structs[0].struct is not None and structs[0].struct.tag is None:
            rest.append(structs[0])
        return rest[0] if rest else None
    if isinstance(raw, list):
        return next((one for one in options if one.kind in ("array", "tuple")), None)
    if isinstance(raw, str):
        texts = [one for one in options if one.kind in ("decimal", "datetime")]
        return texts[0] if texts and not any(one.kind in ("enum", "literal") for one in options) else None
    if isinstance(raw, float | int) and not isinstance(raw, bool):
        numbers = any(one.kind in ("int", "float", "literal", "enum") for one in options)
        return None if numbers else next((one for one in options if one.kind == "decimal"), None)
    return None


def _reaches(shape: Shape, own: Callable[[Shape], bool], seen: set[int]) -> bool:
    if own(shape):
        return True
    if shape.struct is not None:
        if id(shape.struct) in seen:
            return False
        seen.add(id(shape.struct))
    return any(_reaches(part, own, seen) for part in shape.below)


def _same(value: Any) -> Any:
    return value


def _each(step: Step) -> Step:
    def each(items: Any) -> Any:
        return [step(item) for item in _sized(items)]

    return each


def _tuple(steps: list[Step]) -> Step:
    def each(items: Any) -> Any:
        if len(_sized(items)) != len(steps):
            raise Unfit
        return [step(item) for step, item in zip(steps, items, strict=True)]

    return each


def _values(step: Step) -> Step:
    def each(items: Any) -> Any:
        if not isinstance(items, dict):
            raise Unfit
        return {key: step(item) for key, item in items.items()}

    return each


def _sized(items: Any) -> Any:
    if not isinstance(items, list | tuple | frozenset):
        raise Unfit
    return items
