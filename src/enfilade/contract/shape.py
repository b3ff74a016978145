"""What a type looks like on the wire: the one walk over annotations that all of this folder works from.

`shape(annotation)` turns an annotation into a tree of `Shape`s. On the way it makes types mean what the platform says
they mean, in the very annotations that msgspec will read: a `datetime` or `time` has a zone, an `int` fits 64 bits
(what JSON readers, msgpack and SQL columns hold alike), and `$` in a pattern is the end of the text.
`Annotated[datetime, Meta(tz=False)]` and explicit bounds are left as they are.
"""
# Annotations are values of unknown type: that is what reflection is.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import enum
import re
from collections import abc
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec
from msgspec import Meta

from enfilade.contract.declare import Names
from enfilade.contract.marks import Mark

Kind = Literal[
    "none", "bool", "int", "float", "str", "bytes", "decimal", "datetime", "date", "time", "timedelta", "uuid",
    "enum", "literal", "array", "tuple", "map", "struct", "union", "other",
]  # fmt: skip

_SCALARS: dict[object, Kind] = {
    None: "none", NoneType: "none", bool: "bool", int: "int", float: "float", str: "str", bytes: "bytes",
    Decimal: "decimal", datetime: "datetime", date: "date", time: "time", timedelta: "timedelta", UUID: "uuid",
}  # fmt: skip
SCALARS = frozenset({*_SCALARS.values(), "enum", "literal"} - {"none"})
"""Kinds that are one text in a path, a query or a header."""

END = r"$(?!\n)"
_DOLLAR = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$(?!\(\?!\\n\))", re.DOTALL)
"""What stands for itself, a set of letters, or the end."""
_META = (
    "gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz", "title", "description",
    "examples", "extra_json_schema", "extra",
)  # fmt: skip

LEAST, MOST = -(2**63), 2**63 - 1
_MUTABLE: dict[object, str] = {
    list: "tuple[T, ...]",
    set: "frozenset[T]",
    dict: "Mapping[K, V]",
    abc.Sequence: "tuple[T, ...]",
    abc.MutableSequence: "tuple[T, ...]",
    abc.Collection: "tuple[T, ...]",
    abc.Set: "frozenset[T]",
    abc.MutableSet: "frozenset[T]",
    abc.MutableMapping: "Mapping[K, V]",
    bytearray: "bytes",
}
"""What may be changed after it was said, or comes out of a codec as that, and what to write instead."""
_KEYS = ("str", "int", "uuid", "date", "enum", "literal")


@dataclass(eq=False, kw_only=True)
class Field:
    """One member of a message."""

    name: str
    encode: str
    """The name that msgspec reads and writes."""
    shape: Shape
    default: Any
    """`msgspec.NODEFAULT` where it must be said, `msgspec.UNSET` where it may be left out."""

    @property
    def required(self) -> bool:
        return self.default is msgspec.NODEFAULT

    def wire(self, names: Names) -> str:
        """The name on the wire: what `Named` or the class says, else the Python name in the contract's spelling."""
        named = self.shape.mark("named")
        if named is not None:
            return named.value
        return camel(self.name) if names == "camel" and self.encode == self.name else self.encode


@dataclass(eq=False, kw_only=True)
class Struct:
    """A message class, or one parametrization of a generic one. `fields` is filled once all classes are known."""

    type: Any
    cls: type
    tag: str | int | None
    tag_field: str
    fields: tuple[Field, ...] = ()


@dataclass(eq=False, kw_only=True)
class Shape:
    """A type on the wire."""

    kind: Kind
    type: Any
    """The annotation as msgspec takes it, constraints included."""
    meta: tuple[Meta, ...] = ()
    marks: tuple[Mark, ...] = ()
    parts: tuple[Shape, ...] = ()
    """Of an array its item, of a tuple its items, of a map key and value, of a union its options."""
    values: tuple[Any, ...] = ()
    """Of a literal or an enum, as they are on the wire."""
    struct: Struct | None = None
    maybe: bool = False
    """May be left out altogether (`Maybe`)."""
    wrong: str = ""
    """Why this cannot be in a contract."""
    remedy: str = ""

    def mark(self, name: str) -> Mark | None:
        return next((mark for mark in self.marks if mark.name == name), None)

    def constraint(self, name: str) -> Any:
        """A constraint of `Meta`, the innermost first; None where nothing is said."""
        return next((value for meta in self.meta if (value := getattr(meta, name)) is not None), None)

    @property
    def fields(self) -> tuple[Field, ...]:
        assert self.struct is not None
        return self.struct.fields

    @property
    def below(self) -> tuple[Shape, ...]:
        """The shapes one step down."""
        return self.parts if self.struct is None else tuple(one.shape for one in self.struct.fields)


@cache
def shape(annotation: Any) -> Shape:
    """The shape of an annotation. Made once per type; what cannot be in a contract says why in `wrong`."""
    return _Reader().read(annotation)


def walk(root: Shape) -> list[tuple[str, Shape]]:
    """Every shape within, with the path that leads to it (`.items[].sku`); each message is gone through once."""
    return [(path, one) for _, _, path, one in walk_owned(root)]


def walk_owned(root: Shape) -> list[tuple[type | None, str, str, Shape]]:
    """The same, with the message that says so, and the path from there. A generic message says what its user says."""
    found: list[tuple[type | None, str, str, Shape]] = []
    seen: set[int] = set()

    def visit(owner: type | None, near: str, path: str, one: Shape) -> None:
        found.append((owner, near, path, one))
        if one.struct is None:
            step = "[]" if one.kind in ("array", "tuple", "map") else ""
            for part in one.parts:
                visit(owner, near + step, path + step, part)
        elif id(one.struct) not in seen:
            seen.add(id(one.struct))
            cls = one.struct.cls
            own = not getattr(cls, "__parameters__", ())
            for member in one.struct.fields:
                step = f".{member.name}"
                visit(cls if own else owner, step if own else near + step, path + step, member.shape)

    visit(None, "", "", root)
    return found


def is_recursive(root: Shape) -> bool:
    """Whether a message stands within itself, so that its values may be as deep as they like."""
    done: set[int] = set()

    def meets(one: Shape, within: frozenset[int]) -> bool:
        if one.struct is None:
            return any(meets(part, within) for part in one.parts)
        own = id(one.struct)
        if own in within or own in done:
            return own in within
        found = any(meets(field.shape, within | {own}) for field in one.struct.fields)
        done.add(own)
        return found

    return meets(root, frozenset())


def camel(name: str) -> str:
    """`created_at` as `createdAt`."""
    first, *rest = name.strip("_").split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


class _Reader:
    """Reads one annotation; messages it meets again on the way are the same `Struct`, so recursion ends."""

    def __init__(self) -> None:
        self.structs: dict[Any, Struct] = {}

    def read(self, annotation: Any) -> Shape:
        meta: tuple[Meta, ...] = ()
        marks: tuple[Mark, ...] = ()
        while True:
            if get_origin(annotation) is Annotated:
                annotation, *extra = get_args(annotation)
                meta = (*(_said(one) for one in extra if isinstance(one, Meta)), *meta)
                marks = (*(one for one in extra if isinstance(one, Mark)), *marks)
            elif isinstance(annotation, NewType):
                annotation = annotation.__supertype__
            elif hasattr(annotation, "__value__"):  # `type X = ...`
                annotation = annotation.__value__
            else:
                break
        made = self._bare(annotation)
        if not isinstance(annotation, UnionType) and get_origin(annotation) is not Union:  # its options said it
            meta = (*_tight(made.kind, meta), *meta)
        made.meta, made.marks = (*meta, *made.meta), (*made.marks, *marks)
        for one in (*meta, *marks):
            made.type = Annotated[made.type, _meant(one) if isinstance(one, Meta) else one]
        return made

    def _bare(self, annotation: Any) -> Shape:
        origin, args = get_origin(annotation), get_args(annotation)
        if (kind := _SCALARS.get(annotation if _hashable(annotation) else object)) is not None:
            return Shape(kind=kind, type=annotation)
        if origin in (Union, UnionType):
            return self._union(args)
        if origin is Literal:
            return Shape(kind="literal", type=annotation, values=args)
        if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
            return Shape(kind="enum", type=annotation, values=tuple(one.value for one in annotation))
        cls = origin or annotation
        if _is_message(cls):
            return self._message(annotation, cls, args)
        made = self._collection(origin, args) if args or origin is tuple else None
        if made is None:
            return _other(annotation, cls)
        if origin in _MUTABLE:
            made.wrong, made.remedy = f"{origin.__name__} can be changed", f"write {_MUTABLE[origin]}"
        return made

    def _collection(self, origin: Any, args: tuple[Any, ...]) -> Shape | None:
        if origin is tuple and (len(args) != 2 or args[1] is not Ellipsis):
            items = tuple(self.read(arg) for arg in args)
            return Shape(kind="tuple", type=tuple[tuple(item.type for item in items)], parts=items)
        kind: Any = origin
        if _is(origin, Mapping):
            key, value = self.read(args[0]), self.read(args[1])
            made = Shape(kind="map", type=kind[key.type, value.type], parts=(key, value))
            if key.kind not in _KEYS and not key.wrong:
                made.wrong, made.remedy = f"{kind.__name__} has keys that are no text", "let the keys be str"
            return made
        if _is(origin, abc.Collection):
            item = self.read(args[0])
            type_: Any = tuple[item.type, ...] if kind is tuple else kind[item.type]
            return Shape(kind="array", type=type_, parts=(item,))
        return None

    def _union(self, args: tuple[Any, ...]) -> Shape:
        maybe = msgspec.UnsetType in args
        options = tuple(self.read(arg) for arg in args if arg is not msgspec.UnsetType)
        type_: Any = reduce(or_, (option.type for option in options))
        if len(options) == 1:
            (only,) = options
            only.maybe = maybe
            only.type = only.type | msgspec.UnsetType
            return only
        made = Shape(kind="union", type=type_ | msgspec.UnsetType if maybe else type_, parts=options, maybe=maybe)
        made.marks = tuple(mark for option in options for mark in option.marks)  # Header[str] | None is a header
        return made

    def _message(self, annotation: Any, cls: Any, args: tuple[Any, ...]) -> Shape:
        if args:
            annotation = cls[tuple(self.read(arg).type for arg in args)]
        known = self.structs.get(annotation)
        if known is None:
            config = cls.__struct_config__
            known = Struct(type=annotation, cls=cls, tag=config.tag, tag_field=config.tag_field or "type")
            self.structs[annotation] = known
            self._tighten(cls)
            known.fields = tuple(
                Field(
                    name=info.name,
                    encode=info.encode_name,
                    shape=self.read(info.type),
                    default=_default(info),
                )
                for info in msgspec.structs.fields(annotation)
            )
        made = Shape(kind="struct", type=annotation, struct=known)
        if not cls.__struct_config__.frozen:
            made.wrong, made.remedy = f"{cls.__name__} can be changed", f"write class {cls.__name__}(Message)"
        return made

    def _tighten(self, cls: Any) -> None:
        """Writes what types mean into the annotations of a class, before msgspec reads them for the first time."""
        for one in cls.__mro__:
            if not _is_message(one) or "__tight__" in one.__dict__:
                continue
            for info in msgspec.structs.fields(one):
                if info.name in one.__annotations__ and not _open(info.type):
                    one.__annotations__[info.name] = self.read(info.type).type
            if "__orig_bases__" in one.__dict__:
                bases = tuple(self.read(base).type if get_args(base) else base for base in one.__orig_bases__)
                type.__setattr__(one, "__orig_bases__", bases)
            type.__setattr__(one, "__tight__", True)


def _tight(kind: Kind, meta: tuple[Meta, ...]) -> tuple[Meta, ...]:
    if kind in ("datetime", "time") and all(one.tz is None for one in meta):
        return (Meta(tz=True),)
    if kind == "int":
        lower = any(one.ge is not None or one.gt is not None for one in meta)
        upper = any(one.le is not None or one.lt is not None for one in meta)
        return (*(() if lower else (Meta(ge=LEAST),)), *(() if upper else (Meta(le=MOST),)))
    return ()


def _meant(meta: Meta) -> Meta:
    """With a pattern that ends where it says: Python's `$` also stands before a last line feed."""
    pattern = meta.pattern and _DOLLAR.sub(lambda found: END if found[0] == "$" else found[0], meta.pattern)
    return _with(meta, pattern)


def _said(meta: Meta) -> Meta:
    """As it was written."""
    return _with(meta, meta.pattern and meta.pattern.replace(END, "$"))


def _with(meta: Meta, pattern: str | None) -> Meta:
    if pattern == meta.pattern:
        return meta
    kind: Any = Meta
    return kind(**{name: getattr(meta, name) for name in _META} | {"pattern": pattern})


def _open(annotation: Any) -> bool:
    """Whether a type variable is still to be filled in."""
    return isinstance(annotation, TypeVar) or any(_open(arg) for arg in get_args(annotation))


def _is_message(cls: Any) -> bool:
    return isinstance(cls, msgspec.StructMeta)


def _is(origin: Any, cls: type) -> bool:
    return isinstance(origin, type) and issubclass(origin, cls)


def _hashable(value: object) -> bool:
    return type(value).__hash__ is not None


def _default(info: Any) -> Any:
    if info.default_factory is not msgspec.NODEFAULT:
        return info.default_factory()
    return info.default


def _other(annotation: Any, cls: Any) -> Shape:
    name = getattr(cls, "__name__", str(annotation))
    if annotation is Any or annotation is object:
        what, remedy = f"{name} says nothing about what is sent", "name the type, or a union of types"
    elif cls in _MUTABLE:
        what, remedy = f"{name} can be changed", f"write {_MUTABLE[cls]}"
    elif isinstance(cls, TypeVar):
        what, remedy = f"{name} is not filled in", "say which type it stands for, as in Page[Order]"
    elif cls in (tuple, frozenset, Mapping):
        what, remedy = f"{name} does not say of what", f"write {name}[T, ...]" if cls is tuple else f"write {name}[...]"
    else:
        what, remedy = f"{name} has no form on the wire", f"make it a Message: class {name}(Message)"
    return Shape(kind="other", type=annotation, wrong=what, remedy=remedy)
