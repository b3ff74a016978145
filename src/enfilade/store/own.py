"""SQL of a service's own, narrowed to what its call may see and change.

On SQLite the tables are shadowed by views for whatever is read (see `shield`), and what is written is put together
here: the target, its columns and the condition on the tenant are the store's, the rest are the service's words in
brackets.
On PostgreSQL row-level security does both (see `roles`). On either, uniques begin with the tenant, and so does what
stands after ON CONFLICT.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from enfilade.errors import Misuse
from enfilade.store.dialect import Dialect
from enfilade.store.spec import TENANT, Spec
from enfilade.store.sql import quoted
from enfilade.store.words import Word, place, refuse_ways_out, tables_named, text_of, verb, words, writes

TENANT_NOW, OWNER_NOW, MINE = "enfilade_tenant()", "enfilade_owner()", "enfilade_mine"
"""Functions of the connection: whom the statement is about, and whether a new row is his."""

GIVEN = "enfilade_given"
"""The rows of an INSERT, as the service gives them."""
_TENANT = Word(f'"{TENANT}", ', TENANT, False, 0, False)


class Own(NamedTuple):
    """A statement as it is run."""

    sql: str
    writes: bool = False
    target: str = ""
    """On SQLite the table that it writes; `""` for none."""
    named: frozenset[str] = frozenset()
    """What it names itself, by WITH."""


@lru_cache(4096)
def narrowed(sql: str, dialect: Dialect, specs: tuple[Spec, ...], *, wide: bool, owned: bool) -> Own:
    """What is run for a statement. Raises Misuse where it is nothing that a service may say.

    `wide`: it reads the rows of all tenants. `owned`: it is about the caller's own rows only.
    """
    said = words(sql, dialect)
    refuse_ways_out(sql, said, dialect)
    at = verb(sql, said, dialect)
    changes = writes(said, at, dialect)
    if dialect.name == "postgres":
        return Own(text_of(_conflicts(said)), changes)
    named = frozenset(tables_named(said))
    if wide:
        return Own(f"/*all*/ {text_of(said) if changes else _all_tenants(said, specs)}", changes, named=named)
    if not changes:
        return Own(f"/*own*/ {text_of(said)}", named=named)
    into = place(said, ("into",), at) + 1 if said[at].name in ("insert", "replace") else 0
    name = into or _target(said, at)
    spec = _table(sql, said, name, specs)
    owned = owned and spec.owner is not None
    if owned and any(one.bare and one.name == "replace" for one in said[at:name]):
        raise Misuse(f"`{sql}`: to replace rows may take them away from others; use Table.put")
    made = _insert(sql, said, name, spec, owned=owned) if into else _change(said, name, spec)
    return Own(f"/*own*/ {made}", changes, spec.name, named | {GIVEN})


def seen(spec: Spec, alias: str = "", *, tenant: bool = True) -> str:
    """The condition on rows of a table, on SQLite."""
    before = f"{alias}." if alias else ""
    parts = [f"{before}{quoted(TENANT)} = {TENANT_NOW}"] if tenant else []
    if spec.owner is not None:
        parts.append(f"({OWNER_NOW} IS NULL OR {before}{quoted(spec.owner.name)} = {OWNER_NOW})")
    return " AND ".join(parts) or "true"


def _all_tenants(said: Sequence[Word], specs: Sequence[Spec]) -> str:
    """Before the statement, what its tables are: those of the file, with the tenant as a column."""
    named = {one.name for one in said}
    tables = [
        f"{quoted(spec.name)} AS (SELECT {_names(spec)}, {quoted(TENANT)} FROM main.{quoted(spec.name)} "
        f"WHERE {seen(spec, tenant=False)})"
        for spec in specs
        if spec.name in named
    ]
    if not tables:
        return text_of(said)
    before = ", ".join(tables)
    if said[0].name != "with":
        return f"WITH {before} {text_of(said)}"
    rest = 2 if said[1].bare and said[1].name == "recursive" else 1
    return f"WITH RECURSIVE {before}, {text_of(said[rest:])}"


def _target(said: Sequence[Word], at: int) -> int:
    """Where the name of the table stands after UPDATE, UPDATE OR ... or DELETE FROM."""
    if said[at].name == "delete":
        return at + 2
    return at + 3 if at + 1 < len(said) and said[at + 1].bare and said[at + 1].name == "or" else at + 1


def _table(sql: str, said: Sequence[Word], at: int, specs: Sequence[Spec]) -> Spec:
    name = said[at].name if at < len(said) else ""
    spec = next((one for one in specs if one.name == name), None)
    if spec is None or said[at].depth:
        there = ", ".join(one.name for one in specs) or "none"
        raise Misuse(f"`{sql}`: {name or 'this'} is no table of the service; there is {there}")
    return spec


def _change(said: Sequence[Word], at: int, spec: Spec) -> str:
    """UPDATE and DELETE: the condition on the tenant comes before the service's own."""
    aliased = at + 2 < len(said) and said[at + 1].bare and said[at + 1].name == "as"
    alias = said[at + 2].text if aliased else quoted(spec.name)
    where = place(said, ("where",), at)
    end = place(said, ("returning", "order", "limit"), at if where == len(said) else where)
    where = min(where, end)
    condition = f" AND ({text_of(said[where + 1 : end])})" if where < end else ""
    return (
        f"{text_of(said[:at])} main.{quoted(spec.name)}{text_of(said[at + 1 : where])} "
        f"WHERE {seen(spec, alias)}{condition} {text_of(said[end:])}"
    )


def _insert(sql: str, said: Sequence[Word], at: int, spec: Spec, *, owned: bool) -> str:
    """INSERT: the tenant comes first in each row, and what the service gives after it."""
    after = at + 1
    alias = ""
    if after + 1 < len(said) and said[after].bare and said[after].name == "as":
        alias, after = f" AS {said[after + 1].text}", after + 2
    known = {one.name.lower(): one.name for one in spec.columns}
    columns = list(known)
    if after < len(said) and said[after].text == "(" and said[after + 1].name != "select":
        end = next(place for place in range(after + 1, len(said)) if said[place].depth == 0)
        columns = [one.name for one in said[after + 1 : end] if one.text != ","]
        after = end + 1
    wrong = [name or "?" for name in columns if name not in known]
    if wrong:
        raise Misuse(f"`{sql}`: {spec.name} has no column {', '.join(wrong)}; its tenant is the call's")
    columns = [known[name] for name in columns]
    owner = spec.owner.name if owned and spec.owner is not None else ""
    if owner and owner not in columns:
        raise Misuse(f"`{sql}`: give {owner}, which says whose row it is")
    end = _conflict(said, after)
    end = min(end, place(said, ("returning",), after))
    marks = [f"c{number}" for number in range(len(columns))]
    values = [f"{MINE}({mark})" if name == owner else mark for mark, name in zip(marks, columns, strict=True)]
    rest = _conflicts(said[end:])
    if owner and any(one.bare and one.name == "update" for one in rest):
        raise Misuse(f"`{sql}`: ON CONFLICT DO UPDATE may meet a row of somebody else; use Table.put")
    return (
        f"{text_of(said[:at])} main.{quoted(spec.name)}{alias} "
        f"({', '.join((quoted(TENANT), *map(quoted, columns)))}) "
        f"WITH {GIVEN} ({', '.join(marks)}) AS ({text_of(said[after:end])}) "
        f"SELECT {', '.join((TENANT_NOW, *values))} FROM {GIVEN} WHERE true {text_of(rest)}"
    )


def _conflict(said: Sequence[Word], after: int) -> int:
    """Where ON CONFLICT stands; the number of words where it does not."""
    at = place(said, ("on",), after)
    while at + 1 < len(said) and not (said[at + 1].bare and said[at + 1].name == "conflict"):
        at = place(said, ("on",), at + 1)
    return at


def _conflicts(said: Sequence[Word]) -> list[Word]:
    """The words, with the tenant as the first column of each ON CONFLICT (...)."""
    made: list[Word] = []
    for at, one in enumerate(said):
        made.append(one)
        before = said[max(0, at - 2) : at]
        if one.text == "(" and [(word.bare, word.name) for word in before] == [(True, "on"), (True, "conflict")]:
            made.append(_TENANT)
    return made


def _names(spec: Spec) -> str:
    return ", ".join(quoted(one.name) for one in spec.columns)
