"""The inbox: events that were taken for a service, until each consumer has heard them; and those that nobody could."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from enfilade.contract.message import Message
from enfilade.store.engine import Missed, Statement, Want
from enfilade.store.home import Home
from enfilade.store.outbox import Entry, entry_of, entry_values, moment
from enfilade.store.unit import open_unit

TABLE = """
CREATE TABLE IF NOT EXISTS enfilade_inbox (
    place {serial}, consumer {text} NOT NULL, id {text} NOT NULL, topic {text} NOT NULL, source {text} NOT NULL,
    key {text} NOT NULL, at {moment} NOT NULL, timer {whole} NOT NULL, body {bytes} NOT NULL, headers {text} NOT NULL,
    state {text} NOT NULL, due {moment} NOT NULL, lease {text} NOT NULL, tries {whole} NOT NULL, error {text} NOT NULL,
    settled {moment}, UNIQUE (consumer, id)
){strict};
CREATE INDEX IF NOT EXISTS enfilade_inbox_waiting ON enfilade_inbox (consumer, source, key, place)
    WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS enfilade_inbox_due ON enfilade_inbox (due, place) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS enfilade_inbox_settled ON enfilade_inbox (state, settled) WHERE settled IS NOT NULL;
"""

# `due` is when it may be claimed: of a delivery that is leased, when the lease ends.
_HEADS = """
    state = 'waiting' AND (one.key = '' OR NOT EXISTS (
        SELECT 1 FROM enfilade_inbox AS other WHERE other.consumer = one.consumer AND other.source = one.source
            AND other.key = one.key AND other.state = 'waiting' AND other.place < one.place))"""
_ENTRY = "id, topic, source, key, at, timer, place, body, headers"
_THIS = "consumer = :consumer AND id = :id AND lease = :lease AND state = 'waiting'"
_INSERT = (
    "INSERT INTO enfilade_inbox (consumer, id, topic, source, key, at, timer, body, headers, state, due, lease, tries, "
    "error, settled) VALUES (:consumer, :id, :topic, :source, :key, :at, :timer, :body, :headers, :state, :due, :left, "
    ":tries, :error, :settled) ON CONFLICT (consumer, id) DO "
)
# Of a delivery that is new. It may be there by now: held for who has it, or taken by another one.
_SETTLE = (
    f"{_INSERT} UPDATE SET state = excluded.state, due = excluded.due, lease = excluded.lease, error = excluded.error, "
    f"settled = excluded.settled, body = excluded.body "
    f"WHERE enfilade_inbox.lease = :lease AND enfilade_inbox.state = 'waiting' RETURNING 1"
)


class Delivery(Message):
    """An entry that a consumer has leased, or has before it is in the inbox."""

    consumer: str
    entry: Entry
    tries: int
    """How often it was tried before."""
    lease: str
    """What tells this lease from a later one."""
    new: bool = False
    """It came this moment, and is stored when it is settled or held."""


class Dead(Message):
    """A delivery that was given up."""

    id: str
    """Of the delivery: `consumer/entry id`."""
    consumer: str
    entry: Entry
    tries: int
    error: str
    at: datetime
    """When it was given up."""


class Inbox:
    """What the consumers of one service are to hear.

    A delivery that was claimed is either `done` (by the unit of work of whoever heard it), or comes again: by `retry`,
    or when its lease ends. What was heard is remembered until `sweep`, so that nothing is heard twice.

    One that is `new` can be heard before it is here, as long as whoever handed it on keeps it: it is stored once, with
    the unit of work of whoever heard it, which stores nothing where another one has heard it, or has it.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    async def accept(self, consumer: str, entries: Sequence[Entry]) -> int:
        """Take entries for a consumer, in their order; those that it ever took are left out. How many were new."""
        more = self._row(consumer, "waiting", due=self._home.clock.now())
        statements = [self._insert(entry, more) for entry in entries]
        return sum(await self._home.engine.write(statements)) if statements else 0

    async def begin(self, wanted: Sequence[tuple[str, Entry]]) -> list[Delivery]:
        """New deliveries, of those consumers and entries that can be heard at once: it was never taken, and nothing of
        its key waits. Each key is wanted once by each consumer."""
        if not wanted:
            return []
        consumers = {one for one, _ in wanted}
        values: dict[str, Any] = {
            "consumers": tuple(consumers), "ids": tuple({entry.id for _, entry in wanted}),
            "sources": tuple({entry.source for _, entry in wanted}), "keys": tuple({entry.key for _, entry in wanted}),
        }  # fmt: skip
        statement = self._home.statement(
            "SELECT consumer, id, '', '' FROM enfilade_inbox WHERE consumer IN :consumers AND id IN :ids "
            "UNION SELECT consumer, '', source, key FROM enfilade_inbox WHERE consumer IN :consumers "
            "AND source IN :sources AND key IN :keys AND key <> '' AND state = 'waiting'",
            "rows", values, quick=True,
        )  # fmt: skip
        found = {tuple(row) for row in (await self._home.engine.read(statement)).rows}
        return [
            Delivery(consumer=consumer, entry=entry, tries=0, lease=self._home.token(), new=True)
            for consumer, entry in wanted
            if not {(consumer, entry.id, "", ""), (consumer, "", entry.source, entry.key)} & found
        ]

    async def hold(self, deliveries: Sequence[Delivery], lease: float) -> None:
        """Store new deliveries that take longer, leased for `lease` seconds: from now on they come again by themselves.
        Nothing for what was settled meanwhile."""
        due = self._home.clock.now() + timedelta(seconds=lease)
        await self._home.engine.write(
            [self._insert(one.entry, self._row(one.consumer, "waiting", due, one.lease, tries=1)) for one in deliveries]
        )

    async def claim(
        self, now: datetime, limit: int = 32, lease: float = 60.0, *, consumers: Collection[str]
    ) -> tuple[Delivery, ...]:
        """Lease what can be heard now, for `lease` seconds: of each consumer, source and key only the first one.

        Only for these consumers: a replica of another release may have taken entries for others.
        """
        skip = " FOR UPDATE SKIP LOCKED" if self._home.dialect.name == "postgres" else ""
        token = self._home.token()
        (answer,) = await self._write(
            f"UPDATE enfilade_inbox SET lease = :lease, due = :ends, tries = tries + 1 WHERE place IN ("
            f"SELECT one.place FROM enfilade_inbox AS one WHERE {_HEADS} AND one.due <= :now "
            f"AND one.consumer || '' IN :consumers "  # in the order of the index on `due`, not by consumer
            f"ORDER BY one.due, one.place LIMIT :limit{skip}) RETURNING {_ENTRY}, consumer, tries",
            "rows", lease=token, ends=now + timedelta(seconds=lease), now=now, limit=limit,
            consumers=tuple(consumers),
        )  # fmt: skip
        found = [
            Delivery(consumer=row[9], entry=entry_of(row[:9], self._home), tries=row[10] - 1, lease=token)
            for row in answer.rows
        ]
        return tuple(sorted(found, key=lambda one: one.entry.seq))

    async def done(self, delivery: Delivery) -> None:
        """Heard: with the open unit of work, or by itself where none is open.

        `@atomic` says it in its own commit for `call.delivery`, which it then sets to None; the dispatcher says it for
        handlers that have stored nothing. Raises LeaseLost where another one has claimed the delivery since.
        """
        statement = self.heard(delivery)
        unit = open_unit(self._home)
        if unit is not None:
            unit.later(statement)
            return
        try:
            await self._home.engine.write((statement,))
        except Missed:
            raise LeaseLost from None

    def heard(self, delivery: Delivery) -> Statement:
        """The statement that marks it as heard, and misses where the lease is lost."""
        if delivery.new:
            return self._settle(delivery, "done", b"", settled=True)
        return self._home.statement(
            f"UPDATE enfilade_inbox SET state = 'done', settled = :now, body = :empty WHERE {_THIS} RETURNING 1",
            "change",
            {"consumer": delivery.consumer, "id": delivery.entry.id, "lease": delivery.lease, "empty": b""},
            quick=True,
        )

    async def retry(self, delivery: Delivery, at: datetime, error: str) -> None:
        """Not heard; try again at a time. What has the same key waits for it. Nothing where the lease is lost."""
        if delivery.new:
            await self._settled(self._settle(delivery, "waiting", delivery.entry.body, due=at, error=error))
            return
        await self._write(
            f"UPDATE enfilade_inbox SET due = :at, lease = '', error = :error WHERE {_THIS}", "count", quick=True,
            at=at, error=error, consumer=delivery.consumer, id=delivery.entry.id, lease=delivery.lease,
        )  # fmt: skip

    async def bury(self, delivery: Delivery, error: str) -> None:
        """Not heard, and given up: a dead letter. What has the same key goes on. Nothing where the lease is lost."""
        if delivery.new:
            await self._settled(self._settle(delivery, "dead", delivery.entry.body, error=error, settled=True))
            return
        await self._write(
            f"UPDATE enfilade_inbox SET state = 'dead', settled = :now, error = :error WHERE {_THIS}", "count",
            quick=True, error=error, consumer=delivery.consumer, id=delivery.entry.id, lease=delivery.lease,
        )  # fmt: skip

    async def dead(self, limit: int = 100) -> tuple[Dead, ...]:
        """The dead letters, the oldest first."""
        statement = self._home.statement(
            f"SELECT {_ENTRY}, consumer, tries, error, settled FROM enfilade_inbox WHERE state = 'dead' "
            f"AND settled IS NOT NULL ORDER BY settled, place LIMIT :limit",
            "rows", {"limit": limit},
        )  # fmt: skip
        answer = await self._home.engine.read(statement)
        return tuple(self._dead(row) for row in answer.rows)

    async def revive(self, id: str) -> bool:
        """Try a dead letter again, from the first try; False where there is none of this id."""
        return await self._raise(id, "state = 'waiting', due = :now, lease = '', tries = 0")

    async def drop(self, id: str) -> bool:
        """Forget a dead letter; it will not come again. False where there is none of this id."""
        return await self._raise(id, "state = 'done', settled = :now")

    async def next_due(self) -> datetime | None:
        """When something can be claimed next, which may be now; None where nothing waits."""
        sql = f"SELECT one.due FROM enfilade_inbox AS one WHERE {_HEADS} ORDER BY one.due LIMIT 1"
        answer = await self._home.engine.read(Statement(sql))
        return moment(answer.rows[0][0], self._home) if answer.rows else None

    async def pending(self) -> int:
        """Deliveries that wait, dead letters not among them."""
        answer = await self._home.engine.read(Statement("SELECT count(*) FROM enfilade_inbox WHERE state = 'waiting'"))
        return answer.rows[0][0]

    async def sweep(self, before: datetime, *, consumers: Collection[str]) -> int:
        """Forget what these heard before then; it must be longer ago than anything can come twice. How many."""
        (count,) = await self._write(
            "DELETE FROM enfilade_inbox WHERE state = 'done' AND settled < :before AND consumer IN :consumers", "count",
            before=before, consumers=tuple(consumers),
        )  # fmt: skip
        return count

    async def _raise(self, id: str, change: str) -> bool:
        consumer, _, entry = id.rpartition("/")
        (count,) = await self._write(
            f"UPDATE enfilade_inbox SET {change} WHERE consumer = :consumer AND id = :id AND state = 'dead'", "count",
            consumer=consumer, id=entry,
        )  # fmt: skip
        return count > 0

    def _row(
        self, consumer: str, state: str, due: datetime, left: str = "", *, tries: int = 0, error: str = "",
        settled: datetime | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """What a delivery has beside its entry; `left` is the lease that the row has."""
        return {
            "consumer": consumer, "state": state, "due": due, "left": left, "tries": tries, "error": error,
            "settled": settled,
        }  # fmt: skip

    def _insert(self, entry: Entry, row: dict[str, Any]) -> Statement:
        return self._home.statement(f"{_INSERT} NOTHING", "count", entry_values(entry) | row, quick=True)

    def _settle(
        self, delivery: Delivery, state: str, body: bytes, *, due: datetime | None = None, error: str = "",
        settled: bool = False,
    ) -> Statement:  # fmt: skip
        """How a new delivery ended, for the first time that it is stored; misses where the lease is lost."""
        now = self._home.clock.now()
        row = self._row(delivery.consumer, state, due or now, tries=1, error=error, settled=now if settled else None)
        values = entry_values(delivery.entry) | row | {"body": body, "lease": delivery.lease}
        return self._home.statement(_SETTLE, "change", values, quick=True)

    async def _settled(self, statement: Statement) -> None:
        with suppress(Missed):
            await self._home.engine.write((statement,))

    async def _write(self, sql: str, want: Want, *, quick: bool = False, **values: Any) -> list[Any]:
        return await self._home.engine.write((self._home.statement(sql, want, values, quick=quick),))

    def _dead(self, row: Sequence[Any]) -> Dead:
        entry, at = entry_of(row[:9], self._home), moment(row[12], self._home)
        assert at is not None
        return Dead(id=f"{row[9]}/{entry.id}", consumer=row[9], entry=entry, tries=row[10], error=row[11], at=at)


class LeaseLost(Exception):
    """The delivery was claimed again by another one; what was done for it is not stored."""
