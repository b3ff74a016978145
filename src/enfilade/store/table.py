"""A table of rows: what a service keeps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Generic, LiteralString, TypeVar

from enfilade.call import current_or_none
from enfilade.contract.page import Page, Paging
from enfilade.errors import Forbidden, Misuse, NotFound, Stale, Taken
from enfilade.store.columns import Column
from enfilade.store.cursor import query_of, seal, unseal
from enfilade.store.engine import Answer, Broken, Missed, Statement
from enfilade.store.home import Home
from enfilade.store.owner import own_rows_only
from enfilade.store.row import Row
from enfilade.store.scope import Scope, refuse_wide, tenant
from enfilade.store.sealed import Sealed
from enfilade.store.spec import TENANT, Spec
from enfilade.store.sql import Names, Text, all_of, quoted
from enfilade.store.texts import Texts, beyond, order_of, total_order
from enfilade.store.unit import Unit, open_unit, told, writing
from enfilade.store.where import Condition, Scalar, Value

R = TypeVar("R", bound=Row)

FEW = 32
"""Rows that are found by their keys in no time."""
BATCH = 500
"""Rows that `each` reads at a time."""


class Table(Generic[R]):
    """Rows of one type: `orders: Table[OrderRow]`. Read anywhere; written inside `@atomic` only.

    Conditions are SQL of the program's own about the row's columns, with their values apart. They are ANDed:

        await self.orders.find("state = :state", "total_minor > :least", state="open", least=100, order="created desc")
        await self.orders.find(*conditions)                    # where("sku IN ?", skus), see `where`

    It has the rows of the call's tenant, and no others; in an operation that needs `any_tenant` it shows those of all
    tenants, and is written under `acting`. In an operation that needs `Owner`, a table with an `Owned` column is the
    caller's rows and no others.
    """

    def __init__(self, home: Home, spec: Spec) -> None:
        self._home = home
        self._spec = spec
        self._name = spec.name
        self._texts = Texts(spec, home.dialect)
        self._sealed = Sealed(home, spec)
        self._store, self._load = self._sealed.store, self._sealed.load
        self._all = f"{self._texts.columns} {self._texts.name}"
        self._places = {column.name: at for at, column in enumerate(spec.columns)}

    async def get(self, *key: Scalar, lock: bool = False) -> R | None:
        """The row of this key, or None. `lock=True` keeps others from changing it until the unit of work ends."""
        if lock:
            found = await self.lock(key)
            return found[0] if found else None
        values, whose = self._key(key), tenant()
        if whose is not None:
            values.append(whose)
        by_key = self._texts.by_key_of_all if whose is None else self._texts.by_key
        text = f"{self._texts.select} WHERE {by_key}{self._own(values)}"
        answer = await self._read(Statement(text, values, quick=whose is not None, scope=self._scope()))
        if len(answer.rows) > 1:
            raise Misuse(f"{self._name}: several tenants have the key {key}: say whose, `with acting(tenant=...)`")
        return self._load(answer.rows[0]) if answer.rows else None

    async def tenants(self) -> tuple[str, ...]:
        """The tenants that have rows here, in an operation that needs `any_tenant`."""
        if tenant() is not None:
            raise Misuse(f"{self._name}: whose rows there are is for operations that need any_tenant")
        answer = await self._read(Statement(self._texts.tenants, scope=self._scope()))
        return tuple(name for (name,) in answer.rows)

    async def lock(self, *keys: Scalar | tuple[Scalar, ...]) -> tuple[R, ...]:
        """The rows of these keys for change, locked in key order, so that two callers cannot block each other.

        A key of two columns is a tuple. Rows that are not there are left out.
        """
        unit = open_unit(self._home)
        if unit is None or not unit.writes:
            raise Misuse(f"{self._name}: rows are locked inside an @atomic method of a command")
        refuse_wide(f"{self._name}: lock")
        tuples = {tuple(self._key(key if isinstance(key, tuple) else (key,))) for key in keys}
        if not tuples:
            return ()
        whose = tenant()
        await unit.hold({(self._name, repr((whose, *key))) for key in tuples})
        text = Text(self._home.dialect, f"{self._texts.select} WHERE ")
        text.add(f"{quoted(TENANT)} = {text.mark(whose)} AND (")
        for at, key in enumerate(sorted(tuples, key=repr)):
            same = (f"{quoted(one.name)} = {text.mark(value)}" for one, value in zip(self._spec.key, key, strict=True))
            text.add(f"{' OR ' if at else ''}{' AND '.join(same)}")
        text.add(f"){self._own(text.values)} ORDER BY {self._texts.key_order}{self._home.dialect.for_update}")
        answer = await self._read(Statement(str(text), text.values, quick=len(tuples) <= FEW, scope=self._scope()))
        return tuple(self._load(row) for row in answer.rows)

    async def add(self, row: R) -> R:
        """Store a new row. Raises Taken, which may be caught and the unit of work continued."""
        unit = self._writing("add")
        self._check_owner(row)
        values = (*self._store(row), tenant())
        (count,) = await self._write(unit, (Statement(self._texts.add, values, "count", True, self._scope()),))
        if not count:
            raise await self._taken(unit, (row,), new=True)
        return row

    async def put(self, *rows: R) -> tuple[R, ...]:
        """Store rows, new or changed, all or none, and give them as they are stored now.

        With a `Version`, a row must be stored in the version that this one was made from, and the number goes up by 1:
        `(row,) = await self.orders.put(row.replace(state="paid"))`. Raises Stale where someone else changed it or took
        it away, Taken where another row has a unique value; both may be caught and the unit of work continued.
        """
        unit = self._writing("put")
        for row in rows:
            self._check_owner(row)
        if not rows:
            return ()
        statements = [self._put(row) for row in rows]
        try:
            answers = await self._write(unit, statements, guarded=len(rows) > 1 or bool(self._spec.uniques))
        except Missed:
            raise await self._missed(rows) from None
        except Broken:
            raise await self._taken(unit, rows, new=False) from None
        version = self._spec.version
        if version is not None:
            rows = tuple(
                row.replace(**{version.name: answer.rows[0][0]}) for row, answer in zip(rows, answers, strict=True)
            )
        return rows

    async def delete(self, *key: Scalar) -> bool:
        """Remove the row of this key; False where there was none."""
        unit = self._writing("delete")
        values = [*self._key(key), tenant()]
        text = f"DELETE FROM {self._texts.table} WHERE {self._texts.by_key}{self._own(values)}"
        (count,) = await self._write(unit, (Statement(text, values, "count", True, self._scope()),))
        return count > 0

    async def find(
        self,
        *conditions: LiteralString | Condition,
        order: LiteralString = "",
        limit: int | None = None,
        **values: Value,
    ) -> tuple[R, ...]:
        """The rows that meet all conditions: `find("state = :state", state="open", order="created desc", limit=20)`."""
        text = self._where(self._all, conditions, values)
        by = order_of(self._spec, order)
        self._sealed.refuse(order)
        if order:
            text.add(f" ORDER BY {order if by is None else self._texts.ordered(by)}")
        if limit is not None:
            text.add(f" LIMIT {text.mark(limit)}")
        answer = await self._read(self._home.own(Statement(str(text), text.values)))
        return tuple(self._load(row) for row in answer.rows)

    async def count(self, *conditions: LiteralString | Condition, **values: Value) -> int:
        """How many rows meet all conditions."""
        text = self._where(f"SELECT count(*) FROM {self._texts.name}", conditions, values)
        answer = await self._read(self._home.own(Statement(str(text), text.values)))
        return answer.rows[0][0]

    async def page(
        self,
        paging: Paging,
        *conditions: LiteralString | Condition,
        order: LiteralString = "",
        **values: Value,
    ) -> Page[R]:
        """A page of `find`, and the cursor of the next one; the order is of columns that are never NULL.

        Raises Invalid where `after` is not a cursor of this query, operation and caller.
        """
        by = total_order(self._spec, order)
        text = self._where(self._all, conditions, values)
        query = query_of(f"{text} ORDER BY {self._texts.ordered(by)}", text.values)
        after: Sequence[Any] = ()
        if paging.after:
            columns = [column for column, _ in by]
            after = unseal(self._home.secret, query, paging.after, columns, self._home.dialect)
        rows = await self._slice(text, by, after, paging.limit + 1)
        items = tuple(self._load(row) for row in rows[: paging.limit])
        last = self._place_of(items[-1], by) if len(rows) > paging.limit else ()
        return Page(items=items, next=seal(self._home.secret, query, last) if last else "")

    async def each(
        self, *conditions: LiteralString | Condition, order: LiteralString = "", **values: Value
    ) -> AsyncGenerator[R]:
        """All rows that meet the conditions, read in batches; the order is of columns that are never NULL.

        Outside of `@atomic` each batch is of its own moment: a row that changes its place meanwhile may be missed or
        come twice.
        """
        by = total_order(self._spec, order)
        after: Sequence[Any] = ()
        while True:
            text = self._where(self._all, conditions, values)
            rows = await self._slice(text, by, after, BATCH)
            items = [self._load(row) for row in rows]
            for row in items:
                yield row
            if len(items) < BATCH:
                return
            after = self._place_of(items[-1], by)

    # -- text and values

    def _key(self, key: Sequence[Any]) -> list[Any]:
        """A key's values as the driver takes them."""
        columns = self._spec.key
        if len(key) != len(columns):
            raise Misuse(f"the key of {self._name} is {', '.join(one.name for one in columns)}, not {len(key)} values")
        return [self._home.dialect.bind(value) for value in key]

    def _scope(self) -> Scope:
        return Scope(tenant(), self._owner())

    def _owner(self) -> str | None:
        """Whose rows alone this call may see; None for all."""
        if self._spec.owner is None:
            return None
        call = current_or_none()
        return call.me if call is not None and own_rows_only(call) else None

    def _own(self, values: list[Any]) -> str:
        """The condition on the owner, where there is one; his name is added to the values."""
        me = self._owner()
        if me is None or self._spec.owner is None:
            return ""
        values.append(me)
        return f" AND {quoted(self._spec.owner.name)} = {self._texts.mark(len(values))}"

    def _where(self, start: str, conditions: Sequence[str | Condition], values: Mapping[str, Any]) -> Text:
        text = Text(self._home.dialect, start)
        for one in conditions:
            self._sealed.refuse(one if isinstance(one, str) else one.sql)
        names = Names(values, self._home.always)
        all_of(text, conditions, names)
        names.check(str(text))
        return text

    def _place_of(self, row: R, by: Sequence[tuple[Column, bool]]) -> tuple[Any, ...]:
        values = self._store(row)
        return tuple(values[self._places[column.name]] for column, _ in by)

    async def _slice(
        self, text: Text, by: Sequence[tuple[Column, bool]], after: Sequence[Any], limit: int
    ) -> Sequence[Sequence[Any]]:
        """The next rows after a place in the order."""
        if after:
            text.also(beyond(by, [text.mark(value) for value in after]))
        text.add(f" ORDER BY {self._texts.ordered(by)} LIMIT {text.mark(limit)}")
        return (await self._read(self._home.own(Statement(str(text), text.values)))).rows

    # -- reading and writing

    async def _read(self, statement: Statement) -> Answer:
        return await self._home.read(statement, self._name)

    def _writing(self, what: str) -> Unit:
        refuse_wide(f"{self._name}: {what}")
        return writing(self._home, f"{self._name}: {what}")

    async def _write(self, unit: Unit, statements: Sequence[Statement], *, guarded: bool = False) -> list[Any]:
        """Raises Missed, and of Broken only what tells of a unique value, if guarded."""
        try:
            return await unit.run(statements, guarded=guarded)
        except Broken as error:
            if guarded and error.rule == "unique":
                raise
            raise told(error, self._name) from error

    def _put(self, row: R) -> Statement:
        texts, values, me, whose = self._texts, [*self._store(row), tenant()], self._owner(), self._scope()
        if me is not None:
            values.append(me)
        version = self._spec.version
        if version is None:
            if me is None:
                return Statement(texts.put, values, "count", True, whose)
            return Statement(texts.put_own, values, "change", True, whose)
        if values[self._places[version.name]] == 0:
            text = texts.put_first if me is None else texts.put_first_own
        else:
            text = texts.put if me is None else texts.put_own
        return Statement(text + texts.returning, values, "change", True, whose)

    def _check_owner(self, row: R) -> None:
        me = self._owner()
        if me is not None and self._spec.owner is not None and self._spec.owner.read(row) != me:
            raise Forbidden(detail="This is not yours.")

    async def _missed(self, rows: Sequence[R]) -> Exception:
        """Why a `put` changed nothing."""
        if self._owner() is not None:
            for row in rows:
                if await self.get(*(column.read(row) for column in self._spec.key)) is None:
                    return NotFound()
        return Stale(detail=f"The {self._name.replace('_', ' ')} was changed by someone else meanwhile.")

    async def _taken(self, unit: Unit, rows: Sequence[R], *, new: bool) -> Taken:
        """Taken, with the columns whose values another row has."""
        sets = (*((self._spec.key,) if new else ()), *self._spec.uniques)
        for row in rows:
            text = Text(self._home.dialect, "SELECT ")
            stored = self._store(row)

            def same(columns: Sequence[Column], text: Text = text, stored: list[Any] = stored) -> str:
                return " AND ".join(
                    f"{quoted(one.name)} = {text.mark(stored[self._places[one.name]])}" for one in columns
                )

            here = f"{quoted(TENANT)} = {text.mark(tenant())}"
            for at, columns in enumerate(sets):
                text.add(
                    f"{', ' if at else ''}EXISTS (SELECT 1 FROM {self._texts.table} WHERE {here} AND {same(columns)}"
                )
                text.add(")" if new else f" AND NOT ({same(self._spec.key)}))")
            (answer,) = await unit.run((Statement(str(text), text.values, quick=True, scope=self._scope()),))
            for found, columns in zip(answer.rows[0], sets, strict=True):
                if found:
                    return Taken(on=tuple(one.name for one in columns))
        return Taken(on=())
