"""Types and columns: which columns a row or a message takes, and the way of its values there and back.

A value that is a message takes a column for each of its fields, `<field>_<sub>`; Money takes `<field>_minor` and
`<field>_currency`; tuples, mappings and unions take one of JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, TypeAlias, cast, get_args, get_origin

import msgspec

from enfilade.contract.codec import codec
from enfilade.contract.money import Money
from enfilade.contract.shape import Field, Shape, shape, walk
from enfilade.store.dialect import LOOSE, Dialect, Kind, Turn

REQUIRED = msgspec.NODEFAULT
TENANT = "tenant"
"""The column that every table has besides those of its row type."""

_KINDS: dict[str, Kind] = {
    "str": "text", "int": "integer", "float": "real", "bool": "boolean", "bytes": "bytes", "decimal": "decimal",
    "datetime": "datetime", "date": "date", "time": "time", "timedelta": "duration", "uuid": "uuid",
    "array": "json", "tuple": "json", "map": "json", "union": "json", "none": "json",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table, or of the answer to a query."""

    name: str
    kind: Kind
    nullable: bool
    default: Any
    """REQUIRED where it has none."""
    read: Callable[[Any], Any]
    """Its value in a row."""
    store: Turn | None = None
    """To a plain value of its kind, where the field's own type is another: enums, JSON."""
    load: Turn | None = None
    marks: frozenset[str] = frozenset()

    @property
    def sealed(self) -> bool:
        """Whether the database has it encrypted only, see `sealed.py`."""
        return "encrypted" in self.marks


@dataclass(frozen=True, eq=False)
class Group:
    """Columns that are one value: how to put them together."""

    make: Callable[..., Any]
    names: tuple[str, ...]
    parts: tuple[Part, ...]
    first: int
    last: int
    """Its columns are from `first` up to, not including, `last`."""
    optional: bool = False
    """None where all of them are NULL."""


Part: TypeAlias = int | Group
"""A column by its place, or several."""


class Unfit(Exception):
    """A type that cannot be stored; (what, remedy) for each place."""

    def __init__(self, wrong: Sequence[tuple[str, str]]) -> None:
        self.wrong = tuple(wrong)
        super().__init__(wrong)


@dataclass(frozen=True, eq=False)
class Layout:
    """The columns of a type."""

    type: Any
    columns: tuple[Column, ...]
    whole: Group

    def fold(self, values: Sequence[Any]) -> Any:
        """A row or a message of its columns' values."""
        return _fold(self.whole, values)

    def storer(self, dialect: Dialect) -> Callable[[Any], list[Any]]:
        """The function from a row to what the driver takes."""
        steps = tuple((one.read, _then(one.store, dialect.store.get(one.kind))) for one in self.columns)

        def store(row: Any) -> list[Any]:
            values: list[Any] = []
            for read, turn in steps:
                value = read(row)
                values.append(value if turn is None or value is None else turn(value))
            return values

        return store

    def loader(self, dialect: Dialect) -> Callable[[Sequence[Any]], Any]:
        """The function from what the driver gives, column by column, to a row."""
        turns = [
            (at, turn)
            for at, one in enumerate(self.columns)
            if (turn := _then(dialect.load.get(one.kind), one.load)) is not None
        ]
        whole = self.whole

        def load(raw: Sequence[Any]) -> Any:
            values = list(raw)
            for at, turn in turns:
                if values[at] is not None:
                    values[at] = turn(values[at])
            return _fold(whole, values)

        return load

    def picker(self, dialect: Dialect, names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
        """The function from the answer to a query, with columns of these names, to a message. Raises LookupError."""
        known = {one.name for one in self.columns}
        lost = [one.name for one in self.columns if one.name not in names and one.default is REQUIRED]
        more = [name for name in names if name not in known and name != TENANT]
        if sealed := [f"{one.name}, which is encrypted and is read by its Table" for one in self.columns if one.sealed]:
            raise LookupError(*sealed)
        if lost or more:
            raise LookupError(*(f"no column {name}" for name in lost), *(f"a column {name} too many" for name in more))
        steps: list[tuple[int, Turn | None, Any]] = []
        for one in self.columns:
            turn = _then(_then(LOOSE.get(one.kind), dialect.load.get(one.kind)), one.load)
            steps.append((names.index(one.name) if one.name in names else -1, turn, one.default))
        whole = self.whole

        def pick(raw: Sequence[Any]) -> Any:
            values: list[Any] = []
            for at, turn, default in steps:
                value = default if at < 0 else raw[at]
                values.append(value if at < 0 or value is None or turn is None else turn(value))
            return _fold(whole, values)

        return pick


def _then(first: Turn | None, second: Turn | None) -> Turn | None:
    if first is None or second is None:
        return second if first is None else first
    return lambda value: second(first(value))


def _fold(group: Group, values: Sequence[Any]) -> Any:
    if group.optional and all(value is None for value in values[group.first : group.last]):
        return None
    return group.make(
        **{
            name: values[part] if isinstance(part, int) else _fold(part, values)
            for name, part in zip(group.names, group.parts, strict=True)
        }
    )


@cache
def layout(kind: Any) -> Layout:
    """The columns of a row type, a message type or a single value. Raises Unfit."""
    walk = _Walk()
    root = shape(kind)
    if root.kind == "struct" and kind is not Money:
        whole = walk.group(root, "", (), nullable=False, default=REQUIRED)
    else:
        part = walk.part(root, "value", ("value",), nullable=False, default=REQUIRED)
        whole = Group(_only, ("value",), (part,), 0, len(walk.columns))
    seen: set[str] = set()
    for column in walk.columns:
        if column.name in seen:
            walk.wrong.append((f"two fields make the column {column.name}", "rename one of them"))
        seen.add(column.name)
    if walk.wrong:
        raise Unfit(walk.wrong)
    return Layout(kind, tuple(walk.columns), whole)


def _only(value: Any) -> Any:
    return value


class _Walk:
    """Goes through the fields of a type and notes the columns."""

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self.wrong: list[tuple[str, str]] = []
        self._inside: list[Any] = []

    def group(self, one: Shape, prefix: str, path: tuple[str, ...], *, nullable: bool, default: Any) -> Group:
        """A message: its fields, one after another."""
        assert one.struct is not None
        first = len(self.columns)
        self._inside.append(one.struct.type)
        parts = tuple(
            self.part(
                field.shape,
                prefix + field.name,
                (*path, field.name),
                nullable=nullable,
                default=_within(default, field),
            )
            for field in one.fields
        )
        self._inside.pop()
        last = len(self.columns)
        if nullable and all(_without_none(field.shape)[1] for field in one.fields):
            self.wrong.append(
                (f"{prefix.rstrip('_')} may be None, and so may all of its fields", "let one be required")
            )
        return Group(one.struct.type, tuple(field.name for field in one.fields), parts, first, last, nullable)

    def part(self, one: Shape, name: str, path: tuple[str, ...], *, nullable: bool, default: Any) -> Part:
        """One field: a column, or the columns of its value."""
        inner, empty = _without_none(one)
        nullable = nullable or empty
        marks = frozenset(mark.name for mark in (*one.marks, *inner.marks))
        if "encrypted" in marks and not one.maybe:
            return self._sealed(name, path, inner, marks, nullable=nullable)
        if one.maybe:
            self.wrong.append((f"{name}: a column has a value or NULL, and cannot be left out", "write `T | None`"))
        elif inner.struct is not None and inner.struct.type is Money:
            return self._money(name, path, nullable=nullable, default=default)
        elif inner.struct is not None and inner.fields and inner.struct.type not in self._inside:
            return self.group(inner, f"{name}_", path, nullable=nullable, default=default)
        wrong = next((found for _, found in walk(one) if found.wrong), None)
        if wrong is not None:
            self.wrong.append((f"{name}: {wrong.wrong}", wrong.remedy))
            return self._column(Column(name, "text", nullable, default, _reader(path, nullable)))
        kind, store, load = _plain_form(inner)
        return self._column(Column(name, kind, nullable, default, _reader(path, nullable), store, load, marks))

    def _sealed(self, name: str, path: tuple[str, ...], inner: Shape, marks: frozenset[str], *, nullable: bool) -> int:
        """A value that the database has encrypted: one column of bytes, whatever it is. No default can be sealed."""
        through = codec(inner.type)
        if places := marks & {"key", "unique", "index", "owner", "version"}:
            remedy = "keep what is searched for in a column of its own, such as a keyed hash"
            self.wrong.append((f"{name} is encrypted, and cannot be {' or '.join(sorted(places))}", remedy))
        default = None if nullable else REQUIRED
        read = _reader(path, nullable)
        return self._column(Column(name, "bytes", nullable, default, read, through.pack, through.unpack, marks))

    def _money(self, name: str, path: tuple[str, ...], *, nullable: bool, default: Any) -> Group:
        first = len(self.columns)
        for sub, kind in (("minor", "integer"), ("currency", "text")):
            own = getattr(default, sub, default)
            self._column(Column(f"{name}_{sub}", cast("Kind", kind), nullable, own, _reader((*path, sub), nullable)))
        return Group(Money.minor_units, ("minor", "currency"), (first, first + 1), first, first + 2, nullable)

    def _column(self, column: Column) -> int:
        self.columns.append(column)
        return len(self.columns) - 1


def _within(default: Any, field: Field) -> Any:
    """The default of a field inside a value that has a default, else the field's own."""
    if default is REQUIRED:
        return field.default
    return None if default is None else getattr(default, field.name)


def _without_none(one: Shape) -> tuple[Shape, bool]:
    """`T | None` as T, and whether it may be None."""
    if one.kind != "union":
        return one, one.kind == "literal" and None in one.values
    rest = tuple(part for part in one.parts if part.kind != "none")
    return (rest[0], True) if len(rest) == 1 else (one, len(rest) < len(one.parts))


def _plain_form(one: Shape) -> tuple[Kind, Turn | None, Turn | None]:
    """The column's kind, and the way to and from it."""
    if one.kind in ("enum", "literal"):
        kind = _kind_of(one.values)
        if kind is not None:
            return (kind, attrgetter("value"), _bare(one.type)) if one.kind == "enum" else (kind, None, None)
    kind = _KINDS.get(one.kind, "json")
    if kind != "json":
        return kind, None, None
    through = codec(one.type)
    return kind, lambda value: through.encode(value).decode(), lambda text: through.decode(text.encode())


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _kind_of(values: Sequence[Any]) -> Kind | None:
    kinds: set[type] = {type(value) for value in values if value is not None}
    return "text" if kinds == {str} else "integer" if kinds == {int} else None


def _reader(path: tuple[str, ...], nullable: bool) -> Callable[[Any], Any]:
    """The function that finds a column's value in a row; under a value that may be None it steps with care."""
    if not nullable or len(path) == 1:
        return attrgetter(".".join(path))

    def read(row: Any) -> Any:
        for name in path:
            row = getattr(row, name)
            if row is None:
                return None
        return row

    return read
