"""What the row types say against what the database has: the differences, and the way from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import msgspec

from enfilade.contract.message import Message
from enfilade.errors import Finding, StartError
from enfilade.store.columns import REQUIRED, Column
from enfilade.store.engine import Broken, Live, Statement
from enfilade.store.home import Home
from enfilade.store.schema import (
    Definition,
    column_text,
    create_index,
    create_table,
    default_of,
    definition,
    platform_tables,
    primary_key,
    tenant_text,
)
from enfilade.store.spec import TENANT, Spec
from enfilade.store.sql import quoted
from enfilade.store.texts import real

Kind = Literal["additive", "destructive", "impossible"]

TRIES = 3
"""How often it is looked again, where another process changed the tables meanwhile."""

_DROP = "Tell `enfilade migrate --destructive` to drop it, or bring the {} back."


class Change(Message):
    """One difference between what the rows say and what the database has."""

    table: str
    what: str
    """`add column order.note`."""
    kind: Kind
    """additive: loses nothing. destructive: may lose something. impossible: the rows that are there forbid it."""
    needed: bool = True
    """The service cannot work without it; what is only left over is not needed."""
    remedy: str = ""
    applied: bool = False

    def __str__(self) -> str:
        return self.what if self.applied else f"{self.what} ({self.kind}). {self.remedy}".rstrip()


@dataclass
class Step:
    """A change, and how it is made."""

    change: Change
    sql: list[str] = field(default_factory=list[str])
    whole: bool = False
    """Made together with all other changes of the table, or not at all."""
    rebuild: bool = False
    """Whole, and SQLite cannot do it in place: the table is made anew, and its rows are copied."""


async def migrate(home: Home, specs: Sequence[Spec], *, apply: bool, destructive: bool) -> list[Change]:
    """See `Store.migrate`. Several processes may start at once: whoever comes second looks again."""
    changes: list[Change] = []
    for left in reversed(range(TRIES)):
        changes, statements = await _plan(home, specs, apply=apply, destructive=destructive)
        try:
            if statements:
                await home.engine.change([Statement(sql, (), "count") for sql in statements])
        except Broken as error:
            if not left:
                remedy = "Read what `enfilade migrate` wants to do; nothing of it was done."
                what = f"the tables cannot be changed: {error}."
                raise StartError([Finding(home.service, what, remedy, "schema")]) from error
        else:
            break
    return changes


async def _plan(home: Home, specs: Sequence[Spec], *, apply: bool, destructive: bool) -> tuple[list[Change], list[str]]:
    """The differences, and the statements that are to be run now."""
    planner = _Planner(home, await home.engine.live())
    known = await planner.known()
    plans: list[tuple[Spec | None, list[Step]]] = [(None, planner.platform())]
    plans += [(spec, await planner.table(spec, known.get(spec.name))) for spec in specs]
    said = {spec.name for spec in specs}
    plans += [(None, [planner.vanished(name)]) for name in known if name not in said and name in planner.live]
    statements: list[str] = []
    changes: list[Change] = []
    for spec, steps in plans:
        chosen = _chosen(steps, apply=apply, destructive=destructive)
        statements += _statements(home, spec, chosen, planner.live)
        changes += [_with(step.change, applied=step in chosen) for step in steps]
        statements += _record(home, spec, steps, chosen, known) if apply else []
    return changes, statements


def _chosen(steps: Sequence[Step], *, apply: bool, destructive: bool) -> list[Step]:
    """The steps that are to be made now."""
    chosen = [
        step for step in steps
        if apply and (step.change.kind == "additive" or (destructive and step.change.kind == "destructive"))
    ]  # fmt: skip
    return chosen if len(chosen) == len(steps) else [step for step in chosen if not step.whole and not step.rebuild]


def _statements(home: Home, spec: Spec | None, chosen: Sequence[Step], live: dict[str, Live]) -> list[str]:
    if spec is None or home.dialect.name != "sqlite" or not any(step.rebuild for step in chosen):
        return [sql for step in chosen for sql in step.sql]
    new = f"enfilade_new_{spec.name}"
    there = live[spec.name].columns
    values = [_copied(one, home) if one.name in there else default_of(one, home.dialect) for one in spec.columns]
    values.append(quoted(TENANT) if TENANT in there else "''")
    return [
        create_table(spec, home.dialect, new),
        f"INSERT INTO {quoted(new)} SELECT {', '.join(values)} FROM {quoted(spec.name)}",
        f"DROP TABLE {quoted(spec.name)}",
        f"ALTER TABLE {quoted(new)} RENAME TO {quoted(spec.name)}",
        *(create_index(spec.name, index) for index in definition(spec).indexes),
    ]


def _copied(column: Column, home: Home) -> str:
    """A column's old value in its new type."""
    cast_ = f"CAST({quoted(column.name)} AS {home.dialect.types[column.kind]})"
    filled = column.nullable or column.default is REQUIRED or column.default is None
    return cast_ if filled else f"coalesce({cast_}, {default_of(column, home.dialect)})"


def _record(
    home: Home, spec: Spec | None, steps: Sequence[Step], chosen: Sequence[Step], known: dict[str, Definition]
) -> list[str]:
    """The statements that write down what the table looks like now; only of one that is as its row type says."""
    gone = [step.change.table for step in chosen if spec is None and step.change.what.startswith("drop table")]
    if gone:
        return [f"DELETE FROM enfilade_table WHERE name = '{gone[0]}'"]
    if spec is None or len(chosen) < len(steps) or (not steps and spec.name in known):
        return []
    text = msgspec.json.encode(definition(spec)).decode().replace("'", "''")
    return [
        (
            f"INSERT INTO enfilade_table (name, definition) VALUES ('{spec.name}', '{text}') "
            f"ON CONFLICT (name) DO UPDATE SET definition = excluded.definition"
        )
    ]


class _Planner:
    """Looks at the database and says what is to be done."""

    def __init__(self, home: Home, live: dict[str, Live]) -> None:
        self.home = home
        self.live = live

    async def known(self) -> dict[str, Definition]:
        """The tables as they were last made."""
        if "enfilade_table" not in self.live:
            return {}
        rows = (await self.home.engine.read(Statement("SELECT name, definition FROM enfilade_table"))).rows
        return {name: msgspec.json.decode(text, type=Definition) for name, text in rows}

    def platform(self) -> list[Step]:
        """The platform's own tables."""
        sql = [*self.home.engine.foundation, *platform_tables(self.home.dialect)]
        missing = [one for one in ("table", "outbox", "inbox", "record") if f"enfilade_{one}" not in self.live]
        what = f"create the platform's tables {', '.join(f'enfilade_{one}' for one in missing)}"
        return [Step(Change(table="enfilade_table", what=what, kind="additive"), sql)] if missing else []

    def vanished(self, name: str) -> Step:
        """A table that no row type describes any more."""
        what, remedy = f"drop table {name}, which no row type describes any more", _DROP.format("row type")
        change = Change(table=name, what=what, kind="destructive", needed=False, remedy=remedy)
        return Step(change, [f"DROP TABLE {quoted(name)}"])

    async def table(self, spec: Spec, known: Definition | None) -> list[Step]:
        """What one table lacks, or has too much."""
        said, live = definition(spec), self.live.get(spec.name)
        if live is None:
            sql = [create_table(spec, self.home.dialect), *(create_index(spec.name, one) for one in said.indexes)]
            sql += self.home.engine.guards(spec)
            return [Step(Change(table=spec.name, what=f"create table {spec.name}", kind="additive"), sql)]
        steps = self._tenants(spec, live, known)
        kinds = {one.name: one.kind for one in known.columns} if known is not None else {}
        empty = not await self._any(spec, "true")
        for column in spec.columns:
            if column.name not in live.columns:
                steps.append(self._new_column(spec, column, empty))
            else:
                steps += await self._changed_column(spec, column, live, kinds.get(column.name), empty)
        steps += [self._old_column(spec, name) for name in live.columns if spec.column(name) is None and name != TENANT]
        if known is not None and known.key != said.key:
            remedy = "Make a new row type with the new key, and copy the rows."
            steps.append(self._step(spec, f"change the key of {spec.name}", "impossible", remedy))
        for index in said.indexes:
            if index.name not in live.indexes:
                steps.append(await self._new_index(spec, index))
        wanted = {index.name for index in said.indexes}
        for index in known.indexes if known is not None else ():
            if index.name in live.indexes and index.name not in wanted:
                sql = [f"DROP INDEX {quoted(index.name)}"]
                steps.append(self._step(spec, f"drop index {index.name}", "additive", sql=sql))
        if known is not None and known.checks != said.checks:
            steps.append(await self._checks(spec, known))
        return steps

    def _tenants(self, spec: Spec, live: Live, known: Definition | None) -> list[Step]:
        """Rows from before there were tenants are those of the first one, who has no name."""
        guards = self.home.engine.guards(spec)
        if TENANT in live.columns:
            as_said = known is None or known.owner == definition(spec).owner
            if not guards or (live.guarded and as_said):
                return []
            what = f"keep SQL about {spec.name} to one tenant"
            return [self._step(spec, what, "additive", sql=[*self.home.engine.foundation, *guards])]
        table = quoted(spec.name)
        sql = [
            *self.home.engine.foundation,
            f"ALTER TABLE {table} ADD COLUMN {tenant_text(self.home.dialect, default=True)}",
            f"ALTER TABLE {table} DROP CONSTRAINT {quoted(f'{spec.name}_pkey')}, ADD {primary_key(spec)}",
            f"ALTER TABLE {table} ALTER COLUMN {quoted(TENANT)} SET DEFAULT current_setting('enfilade.tenant')",
        ]
        for index in definition(spec).indexes:
            if index.name in live.indexes:
                sql += [f"DROP INDEX {quoted(index.name)}", create_index(spec.name, index)]
        sql += guards
        what = f"give {spec.name} a tenant, which its key and its indexes begin with; the rows there are get ''"
        return [self._step(spec, what, "additive", sql=sql, rebuild=True)]

    def _new_column(self, spec: Spec, column: Column, empty: bool) -> Step:
        what = f"add column {spec.name}.{column.name}"
        fillable = column.nullable or column.default is not REQUIRED
        if not fillable and not empty:
            remedy = "The rows that are there have no value for it: give the field a default, or let it be `T | None`."
            return self._step(spec, what, "impossible", remedy)
        text = column_text(column, self.home.dialect, default=fillable)
        sql = [f"ALTER TABLE {quoted(spec.name)} ADD COLUMN {text}"]
        return self._step(spec, what, "additive", sql=sql, rebuild=not fillable)

    def _old_column(self, spec: Spec, name: str) -> Step:
        remedy = _DROP.format("field")
        sql = [f"ALTER TABLE {quoted(spec.name)} DROP COLUMN {quoted(name)}"]
        return self._step(spec, f"drop column {spec.name}.{name}", "destructive", remedy, sql=sql, rebuild=True)

    async def _changed_column(
        self, spec: Spec, column: Column, live: Live, kind: str | None, empty: bool
    ) -> list[Step]:
        table, name = quoted(spec.name), quoted(column.name)
        steps: list[Step] = []
        has, nullable = live.columns[column.name]
        wants = self.home.dialect.types[column.kind]
        if (kind or column.kind) != column.kind or has.lower() != wants.split(" COLLATE")[0].lower():
            what = f"change {spec.name}.{column.name} from {kind or has} to {column.kind}"
            remedy = "Tell `enfilade migrate --destructive` to convert the values, or add a field of the new type."
            sql = [f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {wants} USING {name}::{wants.split(' COLLATE')[0]}"]
            step = self._step(spec, what, "additive" if empty else "destructive", remedy, sql=sql, rebuild=True)
            steps.append(step)
        if nullable and not column.nullable:
            fills = column.default is not REQUIRED and column.default is not None
            if not fills and await self._any(spec, f"{name} IS NULL"):
                remedy = "There are rows where it is NULL: give the field a default, or let it be `T | None`."
                return [*steps, self._step(spec, f"make {spec.name}.{column.name} required", "impossible", remedy)]
            fill = f"UPDATE {table} SET {name} = {default_of(column, self.home.dialect)} WHERE {name} IS NULL"
            sql = [*([fill] if fills else []), f"ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL"]
            steps.append(
                self._step(spec, f"make {spec.name}.{column.name} required", "additive", sql=sql, rebuild=True)
            )
        if column.nullable and not nullable:
            sql = [f"ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL"]
            steps.append(self._step(spec, f"let {spec.name}.{column.name} be NULL", "additive", sql=sql, rebuild=True))
        return steps

    async def _new_index(self, spec: Spec, index: Any) -> Step:
        names = ", ".join(quoted(name) for name in index.columns)
        what = f"add {'unique index' if index.unique else 'index'} {index.name}"
        there = all(name in self.live[spec.name].columns for name in index.columns if name != TENANT)
        names = names if TENANT in self.live[spec.name].columns else names.removeprefix(f"{quoted(TENANT)}, ")
        if index.unique and there:
            known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in index.columns if name != TENANT)
            table = real(spec, self.home.dialect)
            twice = f"SELECT 1 FROM {table} WHERE {known} GROUP BY {names} HAVING count(*) > 1 LIMIT 1"
            if (await self.home.engine.read(Statement(twice))).rows:
                remedy = f"There are rows with the same {', '.join(index.columns[1:])}: make them differ first."
                return self._step(spec, what, "impossible", remedy)
        return self._step(spec, what, "additive", sql=[create_index(spec.name, index)], whole=not there)

    async def _checks(self, spec: Spec, known: Definition) -> Step:
        what = f"change the checks of {spec.name} to {', '.join(spec.checks) or 'none'}"
        for check in spec.checks:
            if check not in known.checks and await self._any(spec, f"NOT ({check})"):
                return self._step(spec, what, "impossible", f"There are rows for which `{check}` is not so: mend them.")
        table = quoted(spec.name)
        drop = [f"ALTER TABLE {table} DROP CONSTRAINT {quoted(name)}" for name in self.live[spec.name].checks]
        add = [f"ALTER TABLE {table} ADD CHECK ({check})" for check in spec.checks]
        return self._step(spec, what, "additive", sql=[*drop, *add], rebuild=True)

    def _step(self, spec: Spec, what: str, kind: Kind, remedy: str = "", sql: Sequence[str] = (), **how: bool) -> Step:
        change = Change(table=spec.name, what=what, kind=kind, remedy=remedy)
        return Step(change, list(sql), **how)

    async def _any(self, spec: Spec, condition: str) -> bool:
        """Whether there is such a row; a condition on columns that are not there yet holds for none."""
        try:
            sql = f"SELECT 1 FROM {real(spec, self.home.dialect)} WHERE {condition} LIMIT 1"
            return bool((await self.home.engine.read(Statement(sql))).rows)
        except Broken:
            return False


def _with(change: Change, **changes: Any) -> Change:
    return msgspec.structs.replace(cast("Any", change), **changes)
