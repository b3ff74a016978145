"""One SQLite connection, and the turns that units of work take on it.

On the writer's line sessions share a transaction: while one session commits, those that have queued up are taken one
after another, each after the first as a savepoint, and a single COMMIT (a single fsync) is for all of them. Nobody is
answered before it, not even who was refused or only looked, so nobody can learn what is not stored yet. That works
because a session waits for nothing but the line.

A statement by key takes a few microseconds, less than it takes to wake a thread, and once the transaction has begun it
waits for nobody: it is run where it is asked for. Whatever may take longer is done by the line's thread: COMMIT with
its fsync, waiting for another process, scans, SQL of the service's own. One of the two has the connection at a time.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Literal, TypeAlias

from enfilade.errors import Overloaded
from enfilade.store.engine import Answer, Broken, Missed, Rerun, Statement
from enfilade.store.shield import Shield
from enfilade.store.worker import Worker

End: TypeAlias = Literal["", "commit", "rollback", "alone"]
"""What becomes of the session after the trip; "alone" is a statement outside of any session."""

PATIENCE = 0.01
"""Seconds after which a transaction takes no further session; other processes wait for the file too."""
BUSY_MS = 5000
"""Milliseconds that a statement waits for another process."""
MANY = 32
"""Statements that are run where they are asked for, at most, in one go."""


class Trip:
    """Statements that go together, and the answer to them."""

    __slots__ = ("answer", "end", "guarded", "statements")

    def __init__(
        self, statements: Sequence[Statement], end: End, guarded: bool, answer: asyncio.Future[list[Any]]
    ) -> None:
        self.statements = statements
        self.end: End = end
        self.guarded = guarded
        self.answer = answer


class Turn:
    """A session on the line."""

    __slots__ = ("lost", "read", "trips")

    def __init__(self, read: bool = False) -> None:
        self.read = read
        self.trips: deque[Trip] = deque()
        """Those that have not been done; gathered reads send several."""
        self.lost: BaseException | None = None
        """Why it has no place on the line any more."""


class Line:
    """Serves the sessions of one connection, one after another.

    Either the loop or the line's thread has the connection, never both: the thread has it while `_away`.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        shield: Shield,
        *,
        begin: str,
        group: int,
        worker: Worker | None,
    ) -> None:
        """`group` is how many sessions a transaction has at most. Without a worker, all is done where it is asked."""
        self._connect = connect
        self._shield = shield
        self._begin = begin
        self._most = group
        self._worker = worker
        self._holder: Turn | None = None
        self._waiting: deque[Turn] = deque()
        self._group: list[tuple[asyncio.Future[list[Any]], Any]] = []
        self._away = False
        self._since = 0.0
        self._changes = 0
        self._kept = 0
        """Sessions that the open transaction has to store; after the first, each is a savepoint until its end."""
        self._patient = True
        """Statements wait for other processes."""
        self.load = 0
        """Sessions that were sent here and have not ended."""

    def start(self) -> None:
        """Connect; raises sqlite3.Error."""
        self._loop = asyncio.get_running_loop()
        self.connection = self._connect()
        self._shield.put_on(self.connection)

    async def stop(self) -> None:
        """Finish what was sent, undo what was not ended, and close."""
        # A loop, because it happens once, at the very end, and nobody should signal for it before.
        while self._away or (self._holder is None and (self._waiting or self._group)):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        if self._worker is not None:
            await self._worker.stop()
        if self._holder is not None:
            self._holder.lost = Overloaded("the store was closed")
        self.connection.close()

    def now(self, turn: Turn, statements: Sequence[Statement], end: End, guarded: bool) -> list[Any] | None:
        """The answers, at once; None where it has to be sent: it may take long, or it is not the session's turn."""
        if self._away or turn.trips or turn.lost is not None or not self._quick(statements):
            return None
        if self._holder is not turn:
            if self._holder is not None or self._waiting or self._full():
                return None
            if end == "alone":
                return None if self.connection.in_transaction else self._work(turn, statements, end, guarded)
            if not self._enter(patient=False):
                return None
            self._holder = turn
        try:
            return self._work(turn, statements, end, guarded)
        except BaseException as error:
            if not self.connection.in_transaction:
                self._lose(turn, error)
            raise

    def send(
        self, turn: Turn, statements: Sequence[Statement], end: End = "", guarded: bool = False
    ) -> asyncio.Future[list[Any]]:
        """The future of the answers."""
        answer: asyncio.Future[list[Any]] = self._loop.create_future()
        if end == "rollback" and turn is not self._holder:
            turn.lost = asyncio.CancelledError()  # its turn has not come, and need not
            answer.set_result([])
            return answer
        if turn.lost is not None:
            answer.set_exception(turn.lost)
            return answer
        if turn is not self._holder and not turn.trips:
            self._waiting.append(turn)
        turn.trips.append(Trip(statements, end, guarded, answer))
        self._pump()
        return answer

    # -- turns

    def _pump(self) -> None:
        """Do what can be done now."""
        while not self._away:
            if self._holder is not None:
                if not self._holder.trips:
                    return
                self._go(self._holder, self._holder.trips.popleft())
            elif not self._waiting:
                if self._group:
                    self._loop.call_soon(self._close)  # let those join who are ready now
                return
            elif self._full() or (self._waiting[0].trips[0].end == "alone" and self.connection.in_transaction):
                self._store()
            else:
                self._next(self._waiting.popleft())

    def _next(self, turn: Turn) -> None:
        """The next one's turn."""
        if turn.lost is not None:
            while turn.trips:
                _give(turn.trips.popleft().answer, turn.lost)
        elif turn.trips[0].end == "alone":
            self._go(turn, turn.trips.popleft())
        else:
            try:
                entered = self._enter(patient=False)
            except BaseException as error:
                self._entered(turn, error)
                return
            if entered:
                self._holder = turn
            else:
                self._send_away(lambda: self._enter(patient=True), lambda result: self._entered(turn, result))

    def _entered(self, turn: Turn, result: Any) -> None:
        """Another process wrote, and we have waited for it."""
        if isinstance(result, BaseException):
            turn.lost = result
            self._next(turn)
        else:
            self._holder = turn

    def _go(self, turn: Turn, trip: Trip) -> None:
        """One trip, here or on the thread."""

        def done(results: Any) -> None:
            if turn is self._holder and trip.end:
                if self._kept and not self.connection.in_transaction:
                    self._lose(turn, results)
                self._holder, turn.lost = None, Overloaded("the unit of work has ended")
                self._group.append((trip.answer, results))  # answered when it is stored
                while turn.trips:  # of somebody whom it did not wait for
                    _give(turn.trips.popleft().answer, turn.lost)
            else:
                if turn is self._holder and not self.connection.in_transaction:
                    self._lose(turn, results)
                _give(trip.answer, results)

        if not self._quick(trip.statements):
            self._send_away(lambda: self._work(turn, trip.statements, trip.end, trip.guarded), done)
            return
        try:
            results: Any = self._work(turn, trip.statements, trip.end, trip.guarded)
        except BaseException as error:
            results = error
        done(results)

    def _lose(self, turn: Turn, error: Any) -> None:
        """SQLite has undone the whole transaction, because the disk is full or fails."""
        turn.lost, self._holder, self._kept = error, None, 0
        self._group = [(answer, one if isinstance(one, BaseException) else error) for answer, one in self._group]

    def _full(self) -> bool:
        """Whether the transaction takes no new session."""
        return bool(self._group) and (len(self._group) >= self._most or perf_counter() - self._since > PATIENCE)

    def _close(self) -> None:
        """Nobody is ready any more: store what the group did."""
        if self._group and self._holder is None and not self._away and not self._waiting:
            self._store()

    def _store(self) -> None:
        """COMMIT, and answer the group."""
        group, self._group = self._group, []

        def done(result: Any) -> None:
            for answer, results in group:
                _give(answer, result if isinstance(result, BaseException) else results)

        if self._worker is not None and self.connection.total_changes != self._changes:
            self._send_away(self._commit, done)
            return
        try:
            done(self._commit())  # nothing for the disk
        except BaseException as error:
            done(error)

    def _send_away(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        assert self._worker is not None
        self._away = True

        def back(result: Any) -> None:
            self._away = False
            done(result)
            self._pump()

        self._worker.do(work, back)

    # -- on the connection, by whoever has it

    def _enter(self, *, patient: bool) -> bool:
        """Begin the session; False where another process writes and we are not to wait for it."""
        if self.connection.in_transaction:
            self.connection.execute("SAVEPOINT session")
            return True
        hurry = self._worker is not None and not patient and self._begin != "BEGIN"
        try:
            if self._patient is hurry:  # in a transaction that writes there is nobody left to wait for: it may stay so
                self.connection.execute(f"PRAGMA busy_timeout = {0 if hurry else BUSY_MS}")
                self._patient = not hurry
            self._shield.shadow(self.connection)
            self.connection.execute(self._begin)
        except sqlite3.Error as error:
            if hurry and _busy(error):
                return False
            raise _told(error) from error
        self._since = perf_counter()
        self._changes = self.connection.total_changes
        self._kept = 0
        return True

    def _work(self, turn: Turn, statements: Sequence[Statement], end: End, guarded: bool) -> list[Any]:
        """One trip of the session whose turn it is. Raises in the store's words."""
        try:
            results = self._all(turn, statements, guarded) if statements else []
            if end == "commit":
                if self._kept:
                    self.connection.execute("RELEASE session")
                self._kept += 1
            elif end == "rollback":
                self._undo()
        except BaseException as error:
            if end == "commit" and self.connection.in_transaction:
                self._undo()
            told = _told(error)
            if told is error:
                raise
            raise told from error
        return results

    def _undo(self) -> None:
        if self._kept:
            self.connection.execute("ROLLBACK TO session")
            self.connection.execute("RELEASE session")
        else:
            self.connection.execute("ROLLBACK")

    def _commit(self) -> None:
        self._kept = 0
        try:
            if self.connection.in_transaction:
                self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise _told(error) from error

    def _all(self, turn: Turn, statements: Sequence[Statement], guarded: bool) -> list[Any]:
        if turn.read and self._worker is None:
            self.connection.execute("PRAGMA query_only = on")  # a reader that shares the writer's connection
            try:
                return [self._run(one) for one in statements]
            finally:
                self.connection.execute("PRAGMA query_only = off")
        if not guarded:
            return [self._run(one) for one in statements]
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
        if one.own is not None:
            return self._shield.run(self.connection, one)
        cursor = self.connection.execute(one.sql, one.values)
        if one.want == "count":
            return cursor.rowcount
        rows = cursor.fetchall()
        if one.want == "change" and not rows:
            raise Missed
        return Answer([column[0] for column in cursor.description or ()], rows)

    def _quick(self, statements: Sequence[Statement]) -> bool:
        return self._worker is None or (len(statements) <= MANY and all(one.quick for one in statements))


def _give(answer: asyncio.Future[list[Any]], result: Any) -> None:
    if answer.done():  # whoever asked was cancelled
        return
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
    "SQLITE_AUTH": "sql",
}


def _busy(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorname", "") or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _told(error: BaseException) -> BaseException:
    """SQLite's error in the store's words."""
    if not isinstance(error, sqlite3.Error):
        return error
    if _busy(error):
        return Rerun(str(error))
    name = getattr(error, "sqlite_errorname", "") or ""
    if name in _RULES:
        return Broken(_RULES[name], str(error))
    if isinstance(error, (sqlite3.OperationalError, sqlite3.ProgrammingError)) and name in ("", "SQLITE_ERROR"):
        return Broken("sql", str(error))
    return error
