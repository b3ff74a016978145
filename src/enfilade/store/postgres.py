"""PostgreSQL: one schema a service, a pool of connections, asyncpg.

A unit of work is a SERIALIZABLE transaction. Where PostgreSQL finds that two of them cannot both be (40001, 40P01), the
unit runs again, and each time it keeps more out of the way of others: it first waits for the rows that it will lock
inside the process, then with advisory locks across processes, before it begins; a transaction that waits after it began
would look at a state that is gone when its turn comes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from importlib import import_module
from typing import Any, Literal
from urllib.parse import urlsplit

from enfilade.clock import Clock
from enfilade.errors import Finding, Overloaded, StartError, Unavailable
from enfilade.store.dialect import POSTGRES
from enfilade.store.engine import Answer, Broken, KeyName, Live, Missed, Rerun, Statement
from enfilade.store.roles import Roles
from enfilade.store.scope import Scope
from enfilade.store.spec import Kept, Spec
from enfilade.store.sql import quoted
from enfilade.store.turns import Turns
from enfilade.store.watch import PostgresWatch, channel

POOL = 8
"""Connections of one service at most; a server takes a hundred by default."""
PATIENCE = 5.0
"""Seconds that closing waits for what is still running."""
TRIES = 20
"""How often a short unit of work of the platform's own is run again; it has no deadline."""

# What looks for a key by the index meets those who write that row. PostgreSQL would rather read the whole of a small
# table, and meet everyone. But it may not be kept from it where the whole table is meant: a serializable scan of an
# index that has never had an entry can miss the first one that is added meanwhile (`_bt_endpoint` of nbtree).
_WRITE = "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE; SET LOCAL enable_seqscan = off"
_WIDELY = "SET LOCAL enable_seqscan = on"
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LOOK = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
_SHORT = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_ALL: KeyName = ("", "")
"""Comes before every row: who has it is the only one of those who keep failing."""


class PostgresEngine:
    """One service's schema."""

    dialect = POSTGRES

    def __init__(self, url: str, service: str) -> None:
        parts = urlsplit(url)
        self.where = f"{parts.hostname or 'localhost'}{parts.path}"
        self.schema = service.replace("-", "_")
        self.kept = Kept()
        self.roles = Roles(self.schema)
        self.foundation: Sequence[str] = (
            f"CREATE SCHEMA IF NOT EXISTS {quoted(self.schema)}", *self.roles.foundation()
        )  # fmt: skip
        self.turns = Turns()
        self._url = url
        self._service = service
        self.pool: Any = None

    async def open(self) -> None:
        try:
            asyncpg = _driver()
        except ImportError:
            what = "PostgreSQL is asked for, and its driver is not installed."
            raise StartError(
                [Finding(self.where, what, 'Install it: pip install "enfilade[postgres]".', "store")]
            ) from None
        try:
            self.pool = await asyncpg.create_pool(
                self._url, min_size=1, max_size=POOL, reset=_as_it_is, statement_cache_size=512,
                server_settings={
                    "search_path": f"{quoted(self.schema)}, public",
                    "application_name": f"enfilade {self._service}",
                    "default_transaction_read_only": "on",  # what is no unit of work only reads
                    "standard_conforming_strings": "on",  # a literal ends where `words` sees its end
                },
            )  # fmt: skip
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            remedy = "Start the server, and see that the URL names its host, user and database."
            what = f"PostgreSQL does not answer ({type(error).__name__}: {error})."
            raise StartError([Finding(self.where, what, remedy, "store")]) from error

    async def close(self) -> None:
        if self.pool is not None:
            pool, self.pool = self.pool, None
            try:
                await asyncio.wait_for(pool.close(), PATIENCE)
            except TimeoutError:
                pool.terminate()

    async def read(self, statement: Statement) -> Answer:
        if statement.own is not None:
            session = PostgresSession(self, _LOOK, 0, ())
            try:
                (answer,) = await session.run((statement,))
            finally:
                await session.rollback()
            return answer
        try:
            return _answer(await self.pool.fetch(statement.sql, *statement.values))
        except Exception as error:
            raise _told(error) from error

    async def write(self, statements: Sequence[Statement]) -> list[Any]:
        for attempt in range(TRIES):
            session = PostgresSession(self, _SHORT, attempt, ())
            try:
                results = await session.run(statements)
                await session.commit()
            except Rerun:
                await session.rollback()
                await asyncio.sleep(0.001 * attempt)
            except BaseException:
                await session.rollback()
                raise
            else:
                return results
        raise Rerun(f"{self.where}: others changed the same rows all the time")

    def guards(self, spec: Spec) -> list[str]:
        return self.roles.guards(spec)

    async def change(self, statements: Sequence[Statement]) -> None:
        await self.write(statements)

    def session(self, *, write: bool, attempt: int = 0, keys: Iterable[KeyName] = ()) -> PostgresSession:
        return PostgresSession(self, _WRITE if write else _READ, attempt, keys)

    def watch(self, ring: Callable[[], None], clock: Clock) -> PostgresWatch:
        # The number is of no row: a table has a name.
        return PostgresWatch(self._url, channel(self._service), _number(self.schema, ("", "lead")), ring, clock)

    async def live(self) -> dict[str, Live]:
        columns = await self._ask(
            """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attnum"""
        )
        guarded = await self._ask("SELECT DISTINCT tablename FROM pg_policies WHERE schemaname = $1")
        indexes = await self._ask("SELECT tablename, indexname FROM pg_indexes WHERE schemaname = $1")
        checks = await self._ask(
            """SELECT c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND k.contype = 'c'"""
        )
        found: dict[str, dict[str, tuple[str, bool]]] = {}
        for table, name, kind, nullable in columns:
            found.setdefault(table, {})[name] = (kind, nullable)
        return {
            table: Live(
                there,
                frozenset(index for owner, index in indexes if owner == table),
                tuple(check for owner, check in checks if owner == table),
                any(owner == table for (owner,) in guarded),
            )
            for table, there in found.items()
        }

    async def _ask(self, sql: str) -> Sequence[Sequence[Any]]:
        return (await self.read(Statement(sql, (self.schema,)))).rows


class PostgresSession:
    """A transaction on one connection of the pool."""

    def __init__(self, engine: PostgresEngine, begin: str, attempt: int, keys: Iterable[KeyName]) -> None:
        self._engine = engine
        self._begin = begin
        self._attempt = attempt
        self._keys = set(keys)
        self._held: list[asyncio.Lock] = []
        self._advised = False
        self._ended = False
        self._by_key = begin == _WRITE
        """Nothing but rows by their keys has been asked for."""
        self._connection: Any = None
        self._scope: Scope | None = None
        """Whose rows the connection is kept to at the moment."""
        self._later: list[Statement] = []
        self._one_by_one = asyncio.Lock()  # gathered reads share the connection

    async def run(self, statements: Sequence[Statement], *, guarded: bool = False) -> list[Any]:
        async with self._one_by_one:
            first = statements[0].scope if statements and statements[0].own is not None else None
            connection = await self._begun(None if self._later else first)
            try:
                await self._flush()
                if self._by_key and not all(one.quick for one in statements):
                    self._by_key = False
                    await connection.execute(_WIDELY)
                if not guarded:
                    return [await self._one(connection, one) for one in statements]
                return await self._guarded(connection, statements)
            except (Missed, asyncio.CancelledError):
                raise
            except Exception as error:
                raise _told(error) from error

    def later(self, statement: Statement) -> None:
        self._later.append(statement)

    async def hold(self, keys: Iterable[KeyName]) -> None:
        if self._connection is None and not self._held:
            self._held = await self._engine.turns.take(keys)

    async def commit(self) -> None:
        if self._connection is None and not self._later:
            return await self._end()
        async with self._one_by_one:
            connection = await self._begun()
            try:
                await self._flush()
                await connection.execute("COMMIT")
            except Missed:
                raise
            except Exception as error:
                raise _told(error) from error
        return await self._end()

    async def rollback(self) -> None:
        await asyncio.shield(asyncio.ensure_future(self._end()))

    async def _begun(self, scope: Scope | None = None) -> Any:
        """The connection, with a transaction on it."""
        if self._ended:
            raise Overloaded("the unit of work has ended")
        if self._connection is not None:
            return self._connection
        if self._attempt and not self._held:
            more = {_ALL} if self._attempt > 2 or not self._keys else set[KeyName]()
            self._held = await self._engine.turns.take(self._keys | more)
        try:
            self._connection = connection = await self._engine.pool.acquire()
            if self._attempt > 1 and self._keys:
                self._advised = True
                locks = sorted(_number(self._engine.schema, key) for key in self._keys)
                await connection.execute(
                    "SELECT pg_advisory_lock(key) FROM (SELECT unnest($1::bigint[]) AS key) AS keys", locks
                )
            begin = self._begin if scope is None else f"{self._begin}; {self._engine.roles.enter(scope)}"
            await connection.execute(begin)
            self._scope = scope
        except Exception as error:
            self._ended = True  # nothing may be run on it without a transaction
            raise _told(error) from error
        except BaseException:
            self._ended = True
            raise
        return connection

    async def _enter(self, connection: Any, one: Statement) -> None:
        """Let the statement have its scope. A Table's go on in the one that there is, if it is theirs."""
        wanted = one.scope if one.own is not None else None
        if wanted is None and self._scope is not None and self._scope == one.scope and self._scope.owner is None:
            return
        if wanted != self._scope:
            leave = f"{self._engine.roles.enter(None)}; " if self._scope is not None and wanted is not None else ""
            await connection.execute(leave + self._engine.roles.enter(wanted))
            self._scope = wanted

    async def _one(self, connection: Any, one: Statement) -> Any:
        await self._enter(connection, one)
        return await _run(connection, one)

    async def _flush(self) -> None:
        """What was left for later, in as few trips as there are kinds of it."""
        later, self._later = self._later, []
        if later:
            await self._enter(self._connection, later[0])  # all of it is the platform's
        while later:
            first = later[0]
            alike = 0
            while alike < len(later) and later[alike].sql == first.sql and first.want == "count":
                alike += 1
            if alike > 1:
                await self._connection.executemany(first.sql, [one.values for one in later[:alike]])
            else:
                await _run(self._connection, first)
            del later[: alike or 1]

    async def _guarded(self, connection: Any, statements: Sequence[Statement]) -> list[Any]:
        await self._enter(connection, statements[0])  # which is of a Table, like the others
        await connection.execute("SAVEPOINT guarded")
        try:
            results = [await _run(connection, one) for one in statements]
        except Exception:
            if not connection.is_closed():
                await connection.execute("ROLLBACK TO guarded")
            raise
        await connection.execute("RELEASE guarded")
        return results

    async def _end(self) -> None:
        """Give back what was taken; what was not committed is undone."""
        self._ended = True
        try:
            async with self._one_by_one:
                connection, self._connection = self._connection, None
                if connection is not None:
                    await _undone(connection, advised=self._advised)
                    await self._engine.pool.release(connection)
        finally:
            Turns.give(self._held)


async def _undone(connection: Any, *, advised: bool) -> None:
    """Leave the connection as it came; one that cannot even do that is not used again."""
    try:
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")
        if advised:
            await connection.execute("SELECT pg_advisory_unlock_all()")
    except Exception:
        with suppress(Exception):  # it is gone already
            connection.terminate()


async def _as_it_is(connection: Any) -> None:
    """What the pool would reset at each return, sessions do themselves where there is a need."""


def _driver() -> Any:
    """asyncpg, which is an extra, and says nothing about its types."""
    return import_module("asyncpg")


async def _run(connection: Any, one: Statement) -> Any:
    if one.want == "count" and one.own is not None and not one.values:
        prepared = await connection.prepare(one.sql)  # as a text, it could be several statements
        await prepared.fetch()
        return int(prepared.get_statusmsg().rpartition(" ")[2])
    if one.want == "count":
        status: str = await connection.execute(one.sql, *one.values)
        last = status.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0
    rows = await connection.fetch(one.sql, *one.values)
    if one.want == "change" and not rows:
        raise Missed
    return _answer(rows)


def _answer(rows: Sequence[Any]) -> Answer:
    return Answer(tuple(rows[0].keys()) if rows else (), rows)


def _number(schema: str, key: KeyName) -> int:
    """A row as the number of an advisory lock; two rows with one number only wait for one another."""
    text = "\0".join((schema, *key)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


_RULES: dict[str, Literal["unique", "check", "null", "type", "write", "sql"]] = {
    "23505": "unique",
    "23514": "check",
    "23502": "null",
    "25006": "write",
}
_AGAIN = ("40001", "40P01")
_QUOTED = re.compile(r"""(?s)(?P<place>argument \$\d+): .*(?= \([^()]*\)$)|: ".*"$""")
"""The value in `argument $1: '4111' (an integer is required)`, and in `invalid input syntax for type uuid: "4111"`."""


def _told(error: Exception) -> Exception:
    """PostgreSQL's error in the store's words, which do not quote values."""
    asyncpg = _driver()
    if isinstance(error, (asyncpg.PostgresError, asyncpg.InterfaceError)):
        # It would say "Key (email)=(ann@example.org) already exists."; asyncpg says nothing about its types.
        error.detail = None  # pyright: ignore[reportAttributeAccessIssue]
        error.args = (_QUOTED.sub(lambda found: found["place"] or "", str(error.args[0] if error.args else "")),)
    if isinstance(error, (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)):
        return Rerun("the tables were changed meanwhile")
    if isinstance(error, asyncpg.InternalClientError):  # it was cut off in the middle of something
        return Unavailable(f"the connection to PostgreSQL broke ({error})")
    if isinstance(error, asyncpg.InterfaceError):  # a value that is not of the column's type, or no connection
        return Broken("type", str(error)) if isinstance(error, ValueError) else Unavailable(str(error))
    state = getattr(error, "sqlstate", None)
    if not isinstance(error, asyncpg.PostgresError) or not isinstance(state, str):
        lost = isinstance(error, (OSError, asyncpg.PostgresConnectionError))
        return Unavailable(f"the connection to PostgreSQL broke ({error})") if lost else error
    if state in _AGAIN:
        return Rerun(str(error))
    if state.startswith(("08", "57P")):
        return Unavailable(f"the connection to PostgreSQL broke ({error})")
    if state in _RULES:
        return Broken(_RULES[state], str(error))
    if state.startswith("22"):
        return Broken("type", str(error))
    return Broken("sql", str(error)) if state.startswith(("42", "25", "0A", "23")) else error
