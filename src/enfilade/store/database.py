"""SQL of the service's own, with rows mapped into messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, LiteralString, TypeVar

from enfilade.contract.message import Message
from enfilade.errors import Misuse
from enfilade.store.columns import Unfit, layout
from enfilade.store.dialect import Dialect
from enfilade.store.engine import Answer, Broken, Missed
from enfilade.store.home import Home
from enfilade.store.unit import told, writing
from enfilade.store.where import Value

M = TypeVar("M", bound=Message)
T = TypeVar("T")


class Database:
    """The service's own database, by SQL.

        class Total(Message):
            sku: str
            sold: Money

        await self.database.rows(Total, '''
            select sku, sum(total_minor) as sold_minor, total_currency as sold_currency
            from "order" where at >= :since group by sku, total_currency''', since=since)

    `:name` takes a value, `IN :name` a tuple; `:now`, `:me` (the caller's subject) and `:tenant` are always there. The
    answer's columns are the message's fields, flattened as in a row. Tables are named as `Table` names them, and like
    there a statement sees and changes the rows of the call's tenant alone, and where the operation needs `Owner` the
    caller's own. SQL of one's own ties a service to its engine.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    async def rows(self, kind: type[M], sql: LiteralString, /, **values: Value) -> tuple[M, ...]:
        """All rows of the answer. Inside `@atomic` it sees what the unit of work did, outside what is committed."""
        answer = await self._ask(sql, values)
        pick = _picker(kind, tuple(answer.names), self._home.dialect, sql)
        return tuple(pick(row) for row in answer.rows)

    async def row(self, kind: type[M], sql: LiteralString, /, **values: Value) -> M | None:
        """The first row of the answer, or None."""
        answer = await self._ask(sql, values)
        return _picker(kind, tuple(answer.names), self._home.dialect, sql)(answer.rows[0]) if answer.rows else None

    async def value(self, kind: type[T], sql: LiteralString, /, **values: Value) -> T | None:
        """The first column of the first row; None where there is none, or it is NULL."""
        answer = await self._ask(sql, values)
        if not answer.rows:
            return None
        return _picker(kind, ("value",), self._home.dialect, sql)(answer.rows[0][:1])

    async def run(self, sql: LiteralString, /, **values: Value) -> int:
        """A statement that changes rows, inside `@atomic`; how many it changed.

        A unique value that is taken, or any other error, ends the unit of work: say `on conflict do nothing` where the
        unit is to go on.
        """
        unit = writing(self._home, "database.run")
        statement = self._home.own(self._home.statement(sql, "count", values))
        try:
            (count,) = await unit.run((statement,))
        except (Broken, Missed) as error:
            raise told(error, f"`{sql}`") from error
        return count

    async def _ask(self, sql: str, values: dict[str, Any]) -> Answer:
        return await self._home.read(self._home.own(self._home.statement(sql, "rows", values)), f"`{sql}`")


@lru_cache(4096)
def _picker(kind: Any, names: Sequence[str], dialect: Dialect, sql: str) -> Callable[[Sequence[Any]], Any]:
    try:
        return layout(kind).picker(dialect, names)
    except Unfit as unfit:
        raise Misuse("; ".join(f"{kind.__name__}: {what}: {remedy}" for what, remedy in unfit.wrong)) from None
    except LookupError as wrong:
        has = ", ".join(one.name for one in layout(kind).columns)
        raise Misuse(f"`{sql}` answers with {', '.join(wrong.args)}; {kind.__name__} has {has}") from None
