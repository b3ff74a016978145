"""The SQL that makes tables: what a row type says, in the words of an engine."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from enfilade.contract.message import Message
from enfilade.store import counts, inbox, outbox, records
from enfilade.store.columns import REQUIRED, Column
from enfilade.store.dialect import Dialect
from enfilade.store.spec import TENANT, Spec
from enfilade.store.sql import quoted

LONGEST = 63
"""Bytes of a name in PostgreSQL; SQLite takes any."""

_TABLE = "CREATE TABLE IF NOT EXISTS enfilade_table (name {text} PRIMARY KEY, definition {text} NOT NULL){strict};"

_WORDS = {
    "sqlite": {
        "serial": "INTEGER PRIMARY KEY AUTOINCREMENT", "text": "TEXT", "moment": "TEXT", "whole": "INTEGER",
        "bytes": "BLOB", "strict": " STRICT",
    },
    "postgres": {
        "serial": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "text": 'text COLLATE "C"',
        "moment": "timestamp with time zone", "whole": "bigint", "bytes": "bytea", "strict": "",
    },
}  # fmt: skip


class ColumnSaid(Message):
    name: str
    kind: str
    nullable: bool


class IndexSaid(Message):
    name: str
    columns: tuple[str, ...]
    unique: bool


class Definition(Message):
    """A table as it was last made, kept in the database itself."""

    name: str
    columns: tuple[ColumnSaid, ...]
    key: tuple[str, ...]
    indexes: tuple[IndexSaid, ...]
    checks: tuple[str, ...]
    owner: str = ""


def definition(spec: Spec) -> Definition:
    """What a row type says now."""
    return Definition(
        name=spec.name,
        columns=tuple(ColumnSaid(name=one.name, kind=one.kind, nullable=one.nullable) for one in spec.columns),
        key=tuple(one.name for one in spec.key),
        indexes=(
            *(_index(spec, columns, unique=True) for columns in spec.uniques),
            *(_index(spec, columns, unique=False) for columns in spec.indexes),
        ),
        checks=spec.checks,
        owner=spec.owner.name if spec.owner is not None else "",
    )


def platform_tables(dialect: Dialect) -> list[str]:
    """The statements that make the platform's own tables where they are not there."""
    text = "".join((_TABLE, outbox.TABLE, inbox.TABLE, records.TABLE, counts.TABLE)).format(**_WORDS[dialect.name])
    return [one.strip() for one in text.split(";") if one.strip()]


def create_table(spec: Spec, dialect: Dialect, name: str = "") -> str:
    """The table alone, without its indexes."""
    parts = [column_text(one, dialect) for one in spec.columns]
    parts.append(tenant_text(dialect))
    parts.append(primary_key(spec))
    parts += [f"CHECK ({check})" for check in spec.checks]
    strict = " STRICT" if dialect.name == "sqlite" else ""
    return f"CREATE TABLE {quoted(name or spec.name)} ({', '.join(parts)}){strict}"


def tenant_text(dialect: Dialect, *, default: bool = False) -> str:
    """The column of the tenant; with the first one's name where the table has rows already."""
    if default:
        return f"{quoted(TENANT)} {dialect.types['text']} NOT NULL DEFAULT ''"
    now = " DEFAULT current_setting('enfilade.tenant')" if dialect.name == "postgres" else ""
    return f"{quoted(TENANT)} {dialect.types['text']} NOT NULL{now}"


def primary_key(spec: Spec) -> str:
    return f"PRIMARY KEY ({_names((TENANT, *(one.name for one in spec.key)))})"


def create_index(table: str, index: IndexSaid) -> str:
    kind = "UNIQUE INDEX" if index.unique else "INDEX"
    return f"CREATE {kind} {quoted(index.name)} ON {quoted(table)} ({_names(index.columns)})"


def column_text(column: Column, dialect: Dialect, *, default: bool = False) -> str:
    """One column of CREATE TABLE; with its default where the table has rows already."""
    text = f"{quoted(column.name)} {dialect.types[column.kind]}{'' if column.nullable else ' NOT NULL'}"
    return f"{text} DEFAULT {default_of(column, dialect)}" if default else text


def default_of(column: Column, dialect: Dialect) -> str:
    """The default of a column as SQL; NULL where it has none."""
    if column.default is REQUIRED or column.default is None:
        return "NULL"
    value = column.store(column.default) if column.store is not None else column.default
    turn = dialect.store.get(column.kind)
    return _literal(value if turn is None else turn(value), dialect)


def _literal(value: Any, dialect: Dialect) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, bytes):
        return f"X'{value.hex()}'" if dialect.name == "sqlite" else f"'\\x{value.hex()}'"
    return "'" + str(value).replace("'", "''") + "'"


def _index(spec: Spec, columns: Sequence[Column], *, unique: bool) -> IndexSaid:
    names = tuple(one.name for one in columns)
    name = "_".join((spec.name, *names, "key" if unique else "idx"))
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - 9]}_{sha256(name.encode()).hexdigest()[:8]}"
    return IndexSaid(name=name, columns=(TENANT, *names), unique=unique)


def _names(names: Sequence[str]) -> str:
    return ", ".join(quoted(name) for name in names)
