"""SQL in the program: prepared by SQLite against the tables that the service's rows make, before anybody runs it.

Only text that is written in the program can be read; what an expression may be besides is left alone. Text that is put
together from other things is a finding of its own.
"""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import product
from typing import Any, get_args, get_origin

from enfilade.errors import Finding, Misuse, StartError
from enfilade.govern.infer import Types
from enfilade.govern.literal import built, texts
from enfilade.govern.program import Service, calls_in
from enfilade.govern.reach import everywhere
from enfilade.store import Database, Row, Table, where
from enfilade.store.columns import Unfit, layout
from enfilade.store.dialect import SQLITE
from enfilade.store.engine import Answer, Statement
from enfilade.store.own import narrowed
from enfilade.store.schema import create_index, create_table, definition
from enfilade.store.scope import Scope
from enfilade.store.shield import Shield
from enfilade.store.spec import Kept, Spec, spec_of, table_name
from enfilade.store.sql import Hole, holes
from enfilade.store.texts import total_order

_ALWAYS = frozenset(("now", "me", "tenant"))
"""Values that every statement has."""
_TABLE = ("find", "count", "page", "each")
_DATABASE = ("rows", "row", "value", "run")


def statements(service: Service, *, prepare: bool) -> Iterator[Finding]:
    """The rules about SQL of one service. `prepare=False` leaves SQLite out, for a service that is kept elsewhere."""
    calls = [call for types in everywhere(service) for node in calls_in(types.function) if (call := _read(types, node))]
    for call in calls:
        yield from call.built()
        yield from call.values()
        yield from call.sealed()
    if prepare:
        with closing(sqlite3.connect(":memory:")) as connection:
            prepared = _Prepared(connection, _specs(service))
            for call in calls:
                yield from prepared.findings(call)


def _read(types: Types, node: ast.Call) -> _Call | None:
    """A call that takes SQL, or None."""
    if types.function.resolve(node.func) is where and node.args:
        return _Call(types, node, "where", tuple(node.args[:1]))
    if isinstance(node.func, ast.Attribute):
        owner, method = types.of(node.func.value), node.func.attr
        if get_origin(owner) is Table and method in _TABLE:
            said = node.args[1:] if method == "page" else node.args
            return _Call(types, node, method, tuple(said), get_args(owner)[0])
        if owner is Database and method in _DATABASE:
            at = 0 if method == "run" else 1
            return _Call(types, node, method, tuple(node.args[at : at + 1]))
    return None


@dataclass(frozen=True, eq=False)
class _Call:
    """A call that takes SQL."""

    types: Types
    node: ast.Call
    method: str
    said: tuple[ast.expr, ...]
    """The expressions that are SQL; `order=` apart."""
    row: Any = None
    """Whose table it reads; None for `Database` and for `where(...)`."""

    @property
    def order(self) -> ast.expr | None:
        return next((one.value for one in self.node.keywords if one.arg == "order"), None) if self.row else None

    def finding(self, rule: str, what: str, remedy: str) -> Finding:
        return Finding(self.types.function.source.where(self.node), what, remedy, rule)

    def texts(self) -> tuple[str, ...]:
        """Every text that is known to come here, `order=` apart."""
        return tuple(text for one in self.said for text in texts(self.types, one) or ())

    def built(self) -> Iterator[Finding]:
        for one in (*self.said, *((self.order,) if self.order is not None else ())):
            if built(self.types, one):
                what = f"SQL is put together from values: {ast.unparse(one)}."
                remedy = "Write the SQL as one text with :name for each value, and give the values as keywords."
                yield self.finding("sql-built", what, remedy)

    def values(self) -> Iterator[Finding]:
        """`:name` without a value, values without a `:name`, and `?` that do not match the values of a `where`."""
        if any(keyword.arg is None for keyword in self.node.keywords) or self.method == "where":
            yield from self._marks() if self.method == "where" else ()
            return
        given = {keyword.arg for keyword in self.node.keywords if keyword.arg}
        if self.row is not None:
            given -= {"order", "limit"}
        for text in self.texts():
            for name in sorted(_names(text) - given - _ALWAYS):
                yield self.finding("sql-values", f"`{text}` asks for :{name}, which has no value.", f"Give {name}=...")
        for every in self._ways():
            for name in sorted(given - {name for text in every for name in _names(text)}):
                what = f"{name}= is given, and `{' AND '.join(filter(None, every))}` has no :{name}."
                yield self.finding("sql-values", what, f"Write :{name} where the value belongs, or leave {name}= out.")
                return

    def sealed(self) -> Iterator[Finding]:
        """Encrypted columns in a condition or an order."""
        columns = layout(self.row).columns if isinstance(self.row, type) and issubclass(self.row, Row) else ()
        for text in (*self.texts(), *(texts(self.types, self.order) or () if self.order is not None else ())):
            for column in columns:
                if column.sealed and re.search(rf"\b{column.name}\b", text, re.IGNORECASE):
                    what = f"`{text}`: {column.name} is encrypted, and cannot be searched or sorted by."
                    remedy = "Keep what is searched for in a column of its own, such as a keyed hash."
                    yield self.finding("sql", what, remedy)

    def _ways(self) -> Iterator[tuple[str, ...]]:
        """The texts of all expressions together, one for each way they can be; none where they are not all known."""
        known = [texts(self.types, one) for one in self.said]
        if any(one is None for one in known) or sum(len(one or ()) > 1 for one in known) > 1:
            return  # two that vary may vary together
        yield from product(*(one or () for one in known))

    def _marks(self) -> Iterator[Finding]:
        given = self.node.args[1:]
        if any(isinstance(one, ast.Starred) for one in given):
            return
        for text in self.texts():
            marks = sum(isinstance(part, Hole) and not part.name for part in holes(text, marks=True))
            if marks != len(given):
                what = f"`{text}` has {marks} `?`, and {len(given)} values are given."
                yield self.finding("sql-values", what, "Give a value for each `?`, in their order.")


def _names(text: str) -> set[str]:
    return {part.name for part in holes(text, marks=False) if isinstance(part, Hole)}


class _Prepared:
    """A database in memory with the tables of one service, empty, and as much in sight as when it runs."""

    def __init__(self, connection: sqlite3.Connection, specs: Sequence[Spec]) -> None:
        self._connection = connection
        self._specs = specs
        self._kept = Kept()
        self._shield = Shield(self._kept)
        for spec in specs:
            with suppress(sqlite3.Error):  # a check that is wrong is told when the table is made
                connection.execute(create_table(spec, SQLITE))
                for index in definition(spec).indexes:
                    connection.execute(create_index(spec.name, index))
            self._kept.know(spec)
        self._shield.put_on(connection)

    def findings(self, call: _Call) -> Iterator[Finding]:
        if call.method == "where":
            yield from self._condition(call)
        elif call.row is not None:
            yield from self._table(call)
        else:
            yield from self._statement(call)

    def _condition(self, call: _Call) -> Iterator[Finding]:
        """A `where(...)` may be meant for any table of the service; it is wrong where it fits none."""
        for text in call.texts():
            wrong = [self._wrong(_select(spec.name, f"where ({_plain(text, True)})")) for spec in self._specs]
            if wrong and all(wrong):
                yield self._finding(call, text, wrong[0] or "")

    def _table(self, call: _Call) -> Iterator[Finding]:
        name = table_name(call.row)
        for text in filter(str.strip, call.texts()):
            if wrong := self._wrong(_select(name, f"where ({_plain(text, True)})")):
                yield self._finding(call, text, wrong)
        spec = next((one for one in self._specs if one.name == name), None)
        for text in filter(str.strip, texts(call.types, call.order) or () if call.order is not None else ()):
            if wrong := self._wrong(_select(name, f"order by {_plain(text, False)}")):
                yield self._finding(call, text, wrong)
            elif call.method in ("page", "each") and spec is not None:
                try:
                    total_order(spec, text)
                except Misuse as misuse:
                    yield self._finding(call, text, str(misuse))

    def _statement(self, call: _Call) -> Iterator[Finding]:
        for text in call.texts():
            sql = _plain(text, False)
            if wrong := self._wrong(sql):
                yield self._finding(call, text, wrong)
            elif call.method in ("row", "rows"):
                yield from self._columns(call, text, sql)

    def _columns(self, call: _Call, text: str, sql: str) -> Iterator[Finding]:
        """Where the answer is not what the message is made of."""
        kind = call.types.function.resolve(call.node.args[0])
        first = f"select * from ({sql}) limit 0"  # noqa: S608  (the program's own text, on an empty database)
        try:
            answer = self._run(first, "", _nulls(sql))
            made = layout(kind) if isinstance(kind, type) else None
        except (sqlite3.Error, Misuse, Unfit):
            return  # RETURNING, and what is not kept in columns
        try:
            if made is not None:
                made.picker(SQLITE, answer.names)
        except LookupError as wrong:
            name, has = getattr(kind, "__name__", ""), ", ".join(one.name for one in made.columns) if made else ""
            what = f"`{text}` answers with {', '.join(wrong.args)} for {name}."
            yield call.finding(
                "sql-columns", what, f"Select what {name} has: {has}; `expression as name` names a column."
            )

    def _wrong(self, sql: str) -> str | None:
        try:
            self._run(sql, "explain ", _nulls(sql))
        except (sqlite3.Error, sqlite3.Warning, Misuse) as error:
            return str(error)
        return None

    def _run(self, sql: str, before: str, values: Sequence[None]) -> Answer:
        """As an operation of one tenant would run it, or else as one of all tenants."""
        try:
            return self._run_for("", sql, before, values)
        except (sqlite3.Error, Misuse):
            with suppress(sqlite3.Error, Misuse):
                return self._run_for(None, sql, before, values)
            raise

    def _run_for(self, tenant: str | None, sql: str, before: str, values: Sequence[None]) -> Answer:
        said = narrowed(sql, SQLITE, self._kept.specs, wide=tenant is None, owned=False)
        statement = Statement(before + said.sql, values, scope=Scope(tenant), own=said)
        return self._shield.run(self._connection, statement)

    def _finding(self, call: _Call, text: str, wrong: str) -> Finding:
        tables = "; ".join(f"{one.name}: {', '.join(column.name for column in one.columns)}" for one in self._specs)
        return call.finding("sql", f"`{text}` is not right: {wrong}.", f"The service has {tables or 'no tables'}.")


def _select(table: str, rest: str) -> str:
    return f'select * from "{table}" {rest}'  # noqa: S608  (the program's own text, on an empty database)


def _plain(text: str, marks: bool) -> str:
    """SQL with a `?` for each of its values."""
    made = ""
    for part in holes(text, marks=marks):
        if isinstance(part, str):
            made += part
        else:
            made += {"": "?", "in": "in (select ?)", "not in": "not in (select ?)"}[part.among]
    return made


def _nulls(sql: str) -> list[None]:
    return [None] * sum(isinstance(part, Hole) for part in holes(sql, marks=True))


def _specs(service: Service) -> list[Spec]:
    """The tables of the service, as far as they can be stored; the app says the rest when it starts."""
    found: dict[str, Spec] = {}
    for kind in service.fields.values():
        if get_origin(kind) is Table and isinstance(row := get_args(kind)[0], type) and issubclass(row, Row):
            with suppress(StartError):
                spec = spec_of(row)
                found[spec.name] = spec
    return list(found.values())
