"""The SQL of one table in one dialect, put together once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from enfilade.errors import Misuse
from enfilade.store.columns import Column
from enfilade.store.dialect import Dialect
from enfilade.store.spec import TENANT, Spec
from enfilade.store.sql import quoted

_ORDER = re.compile(r'\s*"?(\w+)"?(?:\s+(asc|desc))?\s*', re.IGNORECASE)


class Texts:
    """Statements whose text does not depend on the call.

    A row's values come first, in the order of its columns, then its tenant; a key's values come before the tenant too.
    """

    def __init__(self, spec: Spec, dialect: Dialect) -> None:
        self.name = quoted(spec.name)
        """What the service calls it; on SQLite a view of one tenant's rows."""
        self.table = real(spec, dialect)
        self._dialect = dialect
        tenant = quoted(TENANT)
        columns, width = spec.columns, len(spec.columns)
        key = ", ".join(quoted(one.name) for one in spec.key)
        self.columns = f"SELECT {', '.join(quoted(one.name) for one in columns)} FROM"
        self.select = f"{self.columns} {self.table}"
        same = " AND ".join(f"{quoted(one.name)} = {self.mark(at + 1)}" for at, one in enumerate(spec.key))
        self.by_key = f"{tenant} = {self.mark(len(spec.key) + 1)} AND {same}"
        # One look into the index for each tenant, where the whole of it would be read.
        self.tenants = (
            f"WITH RECURSIVE one (tenant) AS (SELECT min({tenant}) FROM {self.table} UNION ALL SELECT (SELECT "
            f"min({tenant}) FROM {self.table} WHERE {tenant} > one.tenant) FROM one WHERE one.tenant IS NOT NULL) "
            f"SELECT tenant FROM one WHERE tenant IS NOT NULL"
        )
        self.by_key_of_all = f"{tenant} IN ({self.tenants}) AND {same}"
        self.key_order = key
        names = ", ".join((*(quoted(one.name) for one in columns), tenant))
        marks = ", ".join(self.mark(at + 1) for at in range(width + 1))
        insert = f"INSERT INTO {self.table} ({names}) VALUES ({marks})"
        self.add = f"{insert} ON CONFLICT DO NOTHING"
        changing = [one for one in columns if one not in spec.key and one is not spec.version]
        excluded = [f"{quoted(one.name)} = excluded.{quoted(one.name)}" for one in changing]
        given = [f"{quoted(one.name)} = {self.mark(columns.index(one) + 1)}" for one in changing]
        here = " AND ".join(f"{quoted(one.name)} = {self.mark(columns.index(one) + 1)}" for one in spec.key)
        here = f"{tenant} = {self.mark(width + 1)} AND {here}"
        key = f"{tenant}, {key}"
        mine = f"{self.name}.{quoted(spec.owner.name)} = {self.mark(width + 2)}" if spec.owner is not None else ""
        if spec.version is None:
            nothing = [f"{quoted(spec.key[0].name)} = excluded.{quoted(spec.key[0].name)}"]
            self.put = f"{insert} ON CONFLICT ({key}) DO UPDATE SET {', '.join(excluded or nothing)}"
            self.put_own = f"{self.put} WHERE {mine} RETURNING 1" if mine else ""
            return
        version = quoted(spec.version.name)
        step = f"{version} = {self.name}.{version} + 1"
        count = f"{self.name}.{version} = {self.mark(columns.index(spec.version) + 1)}"
        self.put = f"UPDATE {self.table} SET {', '.join((*given, step))} WHERE {here} AND {count}"
        self.put_first = f"{insert} ON CONFLICT ({key}) DO UPDATE SET {', '.join((*excluded, step))} WHERE {count}"
        self.put_own = f"{self.put} AND {mine}" if mine else ""
        self.put_first_own = f"{self.put_first} AND {mine}" if mine else ""
        self.returning = f" RETURNING {version}"

    def mark(self, number: int) -> str:
        return f"{self._dialect.marker}{number}"

    def ordered(self, by: Sequence[tuple[Column, bool]]) -> str:
        """ORDER BY these columns, NULL below everything on both engines."""
        return ", ".join(
            quoted(column.name) + (" DESC" if falls else "") + _nulls(column, falls) for column, falls in by
        )


def real(spec: Spec, dialect: Dialect) -> str:
    """The table itself, whatever shadows it."""
    return f"main.{quoted(spec.name)}" if dialect.name == "sqlite" else quoted(spec.name)


def _nulls(column: Column, falls: bool) -> str:
    return "" if not column.nullable else " NULLS LAST" if falls else " NULLS FIRST"


@lru_cache(4096)
def order_of(spec: Spec, order: str) -> tuple[tuple[Column, bool], ...] | None:
    """`created desc, id` as columns and whether they fall; None where it is something else than columns."""
    found: list[tuple[Column, bool]] = []
    for part in order.split(",") if order.strip() else ():
        match = _ORDER.fullmatch(part)
        column = spec.column(match[1]) if match else None
        if match is None or column is None:
            return None
        found.append((column, (match[2] or "").lower() == "desc"))
    return tuple(found)


def total_order(spec: Spec, order: str) -> tuple[tuple[Column, bool], ...]:
    """The order with the key after it, so that no two rows are alike in it. Raises Misuse where it cannot be one."""
    by = order_of(spec, order)
    if by is None:
        names = ", ".join(one.name for one in spec.columns)
        raise Misuse(
            f"pages of {spec.name} are ordered by columns, as in `created desc, id`, not `{order}`; it has {names}"
        )
    for column, _ in by:
        if column.nullable:
            raise Misuse(
                f"pages of {spec.name} cannot be ordered by {column.name}, which may be NULL: give it a default"
            )
    falls = by[-1][1] if by else False
    used = {column.name for column, _ in by}
    return (*by, *((column, falls) for column in spec.key if column.name not in used))


def beyond(by: Sequence[tuple[Column, bool]], marks: Iterable[str]) -> str:
    """The condition for rows that come after the one whose values `marks` are."""
    places = [(quoted(column.name), falls, mark) for (column, falls), mark in zip(by, marks, strict=True)]
    if len({falls for _, falls, _ in places}) == 1:
        names, values = ", ".join(one[0] for one in places), ", ".join(one[2] for one in places)
        return f"({names}) {'<' if places[0][1] else '>'} ({values})"
    steps: list[str] = []
    for at, (name, falls, mark) in enumerate(places):
        same = [f"{one[0]} = {one[2]}" for one in places[:at]]
        further = f"{name} {'<' if falls else '>'} {mark}"
        steps.append(f"({' AND '.join((*same, further))})")
    return f"({' OR '.join(steps)})"
