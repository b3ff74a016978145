"""SQLite: one file a service, one connection that writes and a few that read.

Nothing is to be installed. Other processes may use the file at the same time: they wait for one another, for seconds at
most, and a unit of work that waited in vain runs again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from enfilade.clock import Clock
from enfilade.errors import Finding, StartError
from enfilade.store.dialect import SQLITE
from enfilade.store.engine import Answer, KeyName, Live, Statement
from enfilade.store.line import BUSY_MS, Line, Turn
from enfilade.store.shield import Shield, unshadow
from enfilade.store.spec import Kept, Spec
from enfilade.store.watch import SqliteWatch
from enfilade.store.worker import Worker

READERS = 2
"""Connections that read, each with a thread for what takes long; Python runs one thread at a time outside of SQLite."""
SPELL = 64
"""Answers given at once, in a row, before others may go on: about a millisecond."""
GROUP = 256
"""Units of work in one transaction at most."""
MEMORY = ":memory:"
OLDEST = (3, 37, 0)
"""The first SQLite with STRICT tables."""


class SqliteEngine:
    """One service's file, or its memory: the twin for tests, the same code without threads."""

    dialect = SQLITE
    foundation: Sequence[str] = ()

    def __init__(self, path: str, synchronous: Literal["full", "normal"] = "full") -> None:
        self.where = path
        self.kept = Kept()
        self._synchronous = synchronous
        memory = path == MEMORY
        # In memory there is one connection, whose sessions only read what is committed too, and nothing takes long;
        # others go on after each answer, so that a test meets what may happen in between.
        self._spell = 1 if memory else SPELL
        self._given = 0
        self._writer = Line(
            self._connect,
            Shield(self.kept),
            begin="BEGIN IMMEDIATE",
            group=GROUP,
            worker=None if memory else Worker("enfilade-writer"),
        )
        self._readers = [] if memory else [
            Line(
                partial(self._connect, read=True), Shield(self.kept), begin="BEGIN", group=1,
                worker=Worker("enfilade-reader"),
            )
            for _ in range(READERS + 1)
        ]  # fmt: skip
        # One connection for what is found by its key, so that it never waits for a scan.
        self._glance = self._readers.pop() if self._readers else self._writer
        self._running: list[Line] = []

    async def open(self) -> None:
        _refuse_old()
        try:
            if self.where != MEMORY:
                Path(self.where).parent.mkdir(parents=True, exist_ok=True)
            self._started(self._writer)
            self._writer.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not _writable(self._writer.connection):
                raise PermissionError("it can be read, and not be written")
        except (OSError, sqlite3.Error) as error:
            await self.close()
            raise StartError([_finding(self.where, error)]) from error

    async def close(self) -> None:
        for line in reversed(self._running):
            await line.stop()
        self._running.clear()

    async def read(self, statement: Statement) -> Answer:
        turn = Turn(read=True)
        if statement.quick:
            answers = self._started(self._glance).now(turn, (statement,), "alone", guarded=False)
            if answers is not None:
                await self.breathe()
                return answers[0]
        line = self._reader()
        line.load += 1
        try:
            (answer,) = await line.send(turn, (statement,), "alone")
        finally:
            line.load -= 1
        if line is self._writer:  # in memory, where it was given at once
            await self.breathe()
        return answer

    async def write(self, statements: Sequence[Statement]) -> list[Any]:
        return await self._writer.send(Turn(), statements, "commit")

    def guards(self, spec: Spec) -> list[str]:
        return []  # the shield of each connection does it

    async def change(self, statements: Sequence[Statement]) -> None:
        bare = [Statement(sql, (), "count") for sql in unshadow(self.kept.specs)]  # a view may not lose its table
        try:
            await self.write([*bare, *statements])
        finally:
            self.kept.changed()

    def session(self, *, write: bool, attempt: int = 0, keys: Iterable[KeyName] = ()) -> SqliteSession:
        return SqliteSession(self, write)

    def line(self, write: bool) -> Line:
        """The line that a session goes to."""
        return self._writer if write else self._reader()

    def watch(self, ring: Callable[[], None], clock: Clock) -> SqliteWatch:
        return SqliteWatch("" if self.where == MEMORY else self.where, ring, clock)

    async def live(self) -> dict[str, Live]:
        tables = await self.read(Statement("SELECT name FROM sqlite_master WHERE type = 'table'"))
        found: dict[str, Live] = {}
        for (table,) in tables.rows:
            said = "SELECT name, type, \"notnull\" FROM pragma_table_info(?1, 'main')"
            columns = await self.read(Statement(said, (table,)))
            indexes = await self.read(Statement("SELECT name FROM pragma_index_list(?1, 'main')", (table,)))
            found[table] = Live(
                {name: (kind, not required) for name, kind, required in columns.rows},
                frozenset(name for (name,) in indexes.rows),
            )
        return found

    async def breathe(self) -> None:
        """Let others go on, now and then."""
        self._given += 1
        if self._given >= self._spell:
            self._given = 0
            await asyncio.sleep(0)

    def _reader(self) -> Line:
        if not self._readers:
            return self._writer
        return self._started(min(self._readers, key=lambda one: one.load))

    def _started(self, line: Line) -> Line:
        if line not in self._running:
            line.start()
            self._running.append(line)
        return line

    def _connect(self, read: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.where, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        try:
            if self.where != MEMORY and not read:
                connection.execute("PRAGMA journal_mode = wal")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            if read:
                connection.execute("PRAGMA query_only = on")
        except BaseException:
            connection.close()
            raise
        return connection


class SqliteSession:
    """A unit of work, or a snapshot, on one of the lines."""

    __slots__ = ("_engine", "_later", "_line", "_turn", "_write")

    def __init__(self, engine: SqliteEngine, write: bool) -> None:
        self._engine = engine
        self._write = write
        self._turn = Turn(read=not write)
        self._line: Line | None = None
        self._later: list[Statement] = []

    async def run(self, statements: Sequence[Statement], *, guarded: bool = False) -> list[Any]:
        skip = len(self._later)
        if skip:
            statements, self._later = (*self._later, *statements), []
        guarded = guarded and len(statements) > 1
        line = self._begun()
        answers = line.now(self._turn, statements, "", guarded)
        if answers is None:
            answers = await line.send(self._turn, statements, "", guarded)
        else:
            await self._engine.breathe()
        return answers[skip:] if skip else answers

    def later(self, statement: Statement) -> None:
        self._later.append(statement)

    async def hold(self, keys: Iterable[KeyName]) -> None:
        """One unit of work writes at a time, so all rows are locked."""

    async def commit(self) -> None:
        if self._line is None and not self._later:
            return
        later, self._later = self._later, []
        line = self._begun()
        try:
            await line.send(self._turn, later, "commit")
        except asyncio.CancelledError:
            await line.send(Turn(read=True), (), "alone")  # it cannot be called back, and in a moment it is stored
            raise
        finally:
            self._end()

    async def rollback(self) -> None:
        line = self._line
        if line is None:
            return
        self._end()
        with suppress(Exception):  # what cannot be undone was not done: the transaction is lost as a whole
            await line.send(self._turn, (), "rollback")

    def _begun(self) -> Line:
        """The line that it is on."""
        if self._line is None:
            self._line = self._engine.line(self._write)
            self._line.load += 1
        return self._line

    def _end(self) -> None:
        if self._line is not None:
            self._line.load -= 1
            self._line = None


def _writable(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith("SQLITE_BUSY"):
            return True
        if error.sqlite_errorname.startswith("SQLITE_READONLY"):
            return False
        raise
    return True


def _refuse_old() -> None:
    if sqlite3.sqlite_version_info < OLDEST:
        remedy = "Use a Python that brings a newer one, such as those that uv installs."
        what = f"SQLite {sqlite3.sqlite_version} is too old: rows need {'.'.join(map(str, OLDEST))}."
        raise StartError([Finding("sqlite3", what, remedy, "store")])


def _finding(path: str, error: Exception) -> Finding:
    """Why a file cannot be used, and what to do."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        what = f"the file is not a database, or it is damaged ({error})."
        remedy = "Restore it from a copy; or move it away, with the files -wal and -shm beside it, to start empty."
    elif name.startswith("SQLITE_BUSY"):
        what, remedy = f"another process keeps the file to itself ({error}).", "End that process, and start again."
    else:
        what = f"the database cannot be opened ({error})."
        remedy = f"Make {Path(path).parent} a directory that this user can write, or set another place for the data."
    return Finding(path, what, remedy, "store")
