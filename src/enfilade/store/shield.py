"""SQLite: what SQL of a service's own can reach on a connection.

Views of the connection's own shadow the tables, and show the rows of the tenant that the statement is about. An
authorizer, which SQLite asks about every table and column when it prepares a statement, refuses everything else: the
tables themselves, those of the platform, the catalogue, PRAGMA, ATTACH, whatever makes or drops. What is written is put
together by `own`, which names its one table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from enfilade.errors import Forbidden
from enfilade.store.engine import Answer, Statement
from enfilade.store.own import GIVEN, MINE, OWNER_NOW, TENANT_NOW, Own, seen
from enfilade.store.scope import Scope
from enfilade.store.spec import Kept, Spec
from enfilade.store.sql import quoted

_PRIMED = ("json_each", "json_tree")
"""Functions that are tables; SQLite makes them at their first use, and asks about that too."""
_CHANGES = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
_ALWAYS = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_FUNCTION)


class Shield:
    """Around one connection."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._times = 0
        """How often the tables had changed when they were shadowed."""
        self._own: Own | None = None
        """The statement of the service's own that is being run; the platform's are not asked about."""
        self._there: frozenset[str] = frozenset()
        """Every name that SQLite knows for a table, or for what can be read like one."""
        self._scope = Scope()
        self._refused: Exception | None = None

    def put_on(self, connection: sqlite3.Connection) -> None:
        """Watch a new connection."""
        connection.create_function(TENANT_NOW[:-2], 0, lambda: self._scope.tenant, deterministic=True)
        connection.create_function(OWNER_NOW[:-2], 0, lambda: self._scope.owner, deterministic=True)
        connection.create_function(MINE, 1, self._mine)
        for table in _PRIMED:
            connection.execute(f"SELECT 1 FROM {table}('[]')").fetchall()
        connection.set_authorizer(self._asked)
        self._times = 0

    def shadow(self, connection: sqlite3.Connection) -> None:
        """Make the views of all tables, where the tables have changed since."""
        times, specs = self._kept.times, self._kept.specs
        if times == self._times:
            return
        (reads,) = connection.execute("PRAGMA query_only").fetchone()
        connection.execute("PRAGMA query_only = off")
        for sql in (*unshadow(specs), *map(_view, specs)):
            connection.execute(sql)
        connection.execute(f"PRAGMA query_only = {reads}")
        there = "SELECT name FROM pragma_table_list UNION SELECT name FROM pragma_module_list"
        self._there = frozenset(name.lower() for (name,) in connection.execute(there))
        if not connection.in_transaction:  # there it may be undone
            self._times = times

    def run(self, connection: sqlite3.Connection, one: Statement) -> Any:
        """What a statement of the service's own answers."""
        self.shadow(connection)
        before = connection.total_changes
        self._own, self._scope, self._refused = one.own, one.scope or Scope(), None
        try:
            cursor = connection.execute(one.sql, one.values)
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            raise self._refused or error from None
        finally:
            self._own = None
        if one.want == "count":
            return connection.total_changes - before
        return Answer([column[0] for column in cursor.description or ()], rows)

    def _mine(self, owner: Any) -> Any:
        """Whose row is added, where it is the caller's own."""
        if owner != self._scope.owner:
            self._refused = Forbidden(detail="This is not yours.")
            raise self._refused
        return owner

    def _asked(self, action: int, one: str | None, two: str | None, database: str | None, by: str | None) -> int:
        """SQLite's question: may the statement that is being prepared do this?"""
        own = self._own
        if own is None or action in _ALWAYS or self._may(own, action, one or "", two or "", database, by):
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    def _may(self, own: Own, action: int, table: str, column: str, database: str | None, by: str | None) -> bool:
        """`by` is the view that asks; None where the statement itself does."""
        spec = next((one for one in self._kept.specs if one.name == table), None)
        if spec is None:
            return action == sqlite3.SQLITE_READ and (table in _PRIMED or self._is_named(own, table.lower(), database))
        if action == sqlite3.SQLITE_READ:
            return database == "temp" or table in (by, own.target) or self._scope.tenant is None
        if action not in _CHANGES or table != own.target or by is not None:
            return False
        if action != sqlite3.SQLITE_UPDATE:
            return True
        given = self._scope.owner is not None and spec.owner is not None and column == spec.owner.name
        return spec.column(column) is not None and not given  # (not the tenant, not the number of the row)

    def _is_named(self, own: Own, table: str, database: str | None) -> bool:
        """Whether the statement named it by WITH; it is in no database, as is a table whose rows are only counted."""
        real = table in self._there or table.startswith(("sqlite_", "pragma_", "enfilade_"))
        return database is None and table in own.named and (not real or table == GIVEN)


def unshadow(specs: Sequence[Spec]) -> list[str]:
    """The statements that take the views away."""
    return [f"DROP VIEW IF EXISTS temp.{quoted(spec.name)}" for spec in specs]


def _view(spec: Spec) -> str:
    columns, table = ", ".join(quoted(one.name) for one in spec.columns), quoted(spec.name)
    return f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM main.{table} WHERE {seen(spec)}"
