"""One SQLite connection and the thread that alone uses it.

Sessions take turns on the line: the statements of one travel to it trip by trip, and those of the others wait.
On the writer's line the sessions are savepoints of one transaction: as long as another session waits, the next one
begins at once, and one COMMIT (one fsync) is for all of them. Nobody is answered before it, not even who was refused or
only looked, so nobody can learn what is not stored yet. That works because a session waits for nothing but the line.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any, Literal, TypeAlias

from enfilade.store.engine import Answer, Broken, Missed, Rerun, Statement

End: TypeAlias = Literal["", "commit", "rollback", "alone"]
"""What becomes of the session after the trip; "alone" is one statement outside of any session."""

PATIENCE = 0.01
"""Seconds after which a transaction takes no further session; other processes wait for the file too."""


class Turn:
    """A session on the line."""

    __slots__ = ("lost", "read")

    def __init__(self, read: bool = False) -> None:
        self.read = read
        self.lost: BaseException | None = None
        """Why it has no place on the line any more."""


class Trip:
    """Statements that travel together, and the answer to them."""

    __slots__ = ("answer", "end", "guarded", "statements", "turn")

    def __init__(
        self, turn: Turn, statements: Sequence[Statement], end: End, guarded: bool, answer: asyncio.Future[list[Any]]
    ) -> None:
        self.turn = turn
        self.statements = statements
        self.end: End = end
        self.guarded = guarded
        self.answer = answer


class Line:
    """Serves the sessions of one connection, one after another."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], *, begin: str, group: int, threaded: bool = True
    ) -> None:
        """`group` is how many sessions one transaction has at most. Without a thread, work is done where it is sent."""
        self._connect = connect
        self._begin = begin
        self._most = group
        self._threaded = threaded
        self._queue: SimpleQueue[Trip | None] = SimpleQueue()
        self._holder: Turn | None = None
        self._waiting: deque[Trip] = deque()
        self._group: list[tuple[asyncio.Future[list[Any]], Any]] = []
        self._answers: list[tuple[asyncio.Future[list[Any]], Any]] = []
        self._since = 0.0
        self.load = 0
        """Sessions that were sent here and have not ended, as the loop's side counts them."""

    def start(self) -> None:
        """Connect; raises sqlite3.Error."""
        self._loop = asyncio.get_running_loop()
        self.connection = self._connect()
        if self._threaded:
            self._thread = threading.Thread(target=self._serve, name="enfilade-sqlite", daemon=True)
            self._thread.start()

    def send(
        self, turn: Turn, statements: Sequence[Statement], end: End = "", guarded: bool = False
    ) -> asyncio.Future[list[Any]]:
        """The future of the answers."""
        answer: asyncio.Future[list[Any]] = self._loop.create_future()
        trip = Trip(turn, statements, end, guarded, answer)
        if self._threaded:
            self._queue.put(trip)
        else:
            self._take(trip)
            self._commit()
            self._loop.call_soon(self._deliver, self._swap())
        return answer

    async def stop(self) -> None:
        """Finish what was sent, and close."""
        if self._threaded:
            self._queue.put(None)
            await self._loop.run_in_executor(None, self._thread.join)
        self.connection.close()

    # -- on the line's thread

    def _serve(self) -> None:
        while True:
            trip = self._queue.get()
            while trip is not None:
                self._take(trip)
                try:
                    trip = self._queue.get_nowait()
                except Empty:
                    break
            self._commit()
            try:
                self._loop.call_soon_threadsafe(self._deliver, self._swap())
            except RuntimeError:  # the loop is closed; nobody waits any more
                return
            if trip is None:
                return

    def _take(self, trip: Trip) -> None:
        if trip.turn is not self._holder:
            if trip.end == "rollback":
                trip.turn.lost = asyncio.CancelledError()
                self._answers.append((trip.answer, []))
                return
            if self._holder is not None:
                self._waiting.append(trip)
                return
        self._work(trip)
        while self._holder is None and self._waiting:
            self._work(self._waiting.popleft())

    def _work(self, trip: Trip) -> None:
        """One trip of the session whose turn it is."""
        if trip.turn.lost is not None:
            self._answers.append((trip.answer, trip.turn.lost))
            return
        try:
            if trip.end == "alone":
                self._commit()
                self._answers.append((trip.answer, self._all(trip)))
                return
            if self._holder is None:
                self._enter()
                self._holder = trip.turn
            results = self._all(trip)
        except BaseException as error:
            self._fail(trip, error)
            return
        if trip.end:
            self._leave(trip, results)
        else:
            self._answers.append((trip.answer, results))

    def _enter(self) -> None:
        if self._group and (len(self._group) >= self._most or perf_counter() - self._since > PATIENCE):
            self._commit()
        if not self.connection.in_transaction:
            self.connection.execute(self._begin)
            self._since = perf_counter()
        self.connection.execute("SAVEPOINT session")

    def _leave(self, trip: Trip, results: Any) -> None:
        """The session ends; its answer waits for the transaction's."""
        self._holder = None
        try:
            if trip.end == "rollback" or isinstance(results, BaseException):
                self.connection.execute("ROLLBACK TO session")
            self.connection.execute("RELEASE session")
        except sqlite3.Error as error:
            self._undo(error)
            results = _told(error)
        self._group.append((trip.answer, results))

    def _fail(self, trip: Trip, error: BaseException) -> None:
        told = _told(error)
        if self._holder is None:  # it could not even begin
            self._answers.append((trip.answer, told))
        elif not self.connection.in_transaction:  # SQLite gave the whole transaction up: disk full, I/O error
            self._undo(error)
            self._answers.append((trip.answer, told))
        elif trip.end:
            self._leave(trip, told)
        else:
            self._answers.append((trip.answer, told))

    def _commit(self) -> None:
        """Nobody's turn: commit what the group did, and let its answers go."""
        if self._holder is not None:
            return
        if self.connection.in_transaction:
            try:
                self.connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._undo(error)
        self._answers += self._group
        self._group = []

    def _undo(self, error: BaseException) -> None:
        """The transaction is lost, and with it all that the group did."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        told = _told(error)
        self._group = [(answer, told) for answer, _ in self._group]
        if self._holder is not None:
            self._holder.lost, self._holder = told, None

    def _all(self, trip: Trip) -> list[Any]:
        if not trip.turn.read or self._threaded:
            return self._guarded(trip.statements) if trip.guarded else [self._run(one) for one in trip.statements]
        self.connection.execute("PRAGMA query_only = on")  # a reader that shares the writer's connection
        try:
            return [self._run(one) for one in trip.statements]
        finally:
            self.connection.execute("PRAGMA query_only = off")

    def _guarded(self, statements: Sequence[Statement]) -> list[Any]:
        self.connection.execute("SAVEPOINT guarded")
        try:
            results = [self._run(one) for one in statements]
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK TO guarded")
                self.connection.execute("RELEASE guarded")
            raise
        self.connection.execute("RELEASE guarded")
        return results

    def _run(self, one: Statement) -> Any:
        cursor = self.connection.execute(one.sql, one.values)
        if one.want == "count":
            return cursor.rowcount
        rows = cursor.fetchall()
        if one.want == "change" and not rows:
            raise Missed
        return Answer([column[0] for column in cursor.description or ()], rows)

    # -- back on the loop

    def _swap(self) -> list[tuple[asyncio.Future[list[Any]], Any]]:
        answers, self._answers = self._answers, []
        return answers

    @staticmethod
    def _deliver(answers: list[tuple[asyncio.Future[list[Any]], Any]]) -> None:
        for answer, result in answers:
            if answer.done():  # whoever asked was cancelled
                continue
            if isinstance(result, BaseException):
                answer.set_exception(result)
            else:
                answer.set_result(result)


_RULES: dict[str, Literal["unique", "check", "null", "type", "write", "sql"]] = {
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "unique",
    "SQLITE_CONSTRAINT_ROWID": "unique",
    "SQLITE_CONSTRAINT_CHECK": "check",
    "SQLITE_CONSTRAINT_NOTNULL": "null",
    "SQLITE_CONSTRAINT_DATATYPE": "type",
    "SQLITE_READONLY": "write",
}


def _told(error: BaseException) -> BaseException:
    """SQLite's error in the store's words."""
    if not isinstance(error, sqlite3.Error):
        return error
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Rerun(str(error))
    if name in _RULES:
        return Broken(_RULES[name], str(error))
    if isinstance(error, (sqlite3.OperationalError, sqlite3.ProgrammingError)) and name in ("", "SQLITE_ERROR"):
        return Broken("sql", str(error))
    return error
