"""The inbox: events that were taken for a service, until each consumer has heard them; and those that nobody could."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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


class Delivery(Message):
    """An entry that a consumer has leased."""

    consumer: str
    entry: Entry
    tries: int
    """How often it was tried before."""
    lease: str
    """What tells this lease from a later one."""


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
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    async def accept(self, consumer: str, entries: Sequence[Entry]) -> int:
        """Take entries for a consumer, in their order; those that it ever took are left out. How many were new."""
        more = {"consumer": consumer, "due": self._home.clock.now()}
        statements = [
            self._home.statement(
                "INSERT INTO enfilade_inbox (consumer, id, topic, source, key, at, timer, body, headers, state, due, "
                "lease, tries, error) VALUES (:consumer, :id, :topic, :source, :key, :at, :timer, :body, :headers, "
                "'waiting', :due, '', 0, '') ON CONFLICT (consumer, id) DO NOTHING",
                "count", entry_values(entry) | more, quick=True,
            )
            for entry in entries
        ]  # fmt: skip
        return sum(await self._home.engine.write(statements)) if statements else 0

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
        return self._home.statement(
            f"UPDATE enfilade_inbox SET state = 'done', settled = :now, body = :empty WHERE {_THIS} RETURNING 1",
            "change",
            {"consumer": delivery.consumer, "id": delivery.entry.id, "lease": delivery.lease, "empty": b""},
            quick=True,
        )

    async def retry(self, delivery: Delivery, at: datetime, error: str) -> None:
        """Not heard; try again at a time. What has the same key waits for it. Nothing where the lease is lost."""
        await self._write(
            f"UPDATE enfilade_inbox SET due = :at, lease = '', error = :error WHERE {_THIS}", "count", quick=True,
            at=at, error=error, consumer=delivery.consumer, id=delivery.entry.id, lease=delivery.lease,
        )  # fmt: skip

    async def bury(self, delivery: Delivery, error: str) -> None:
        """Not heard, and given up: a dead letter. What has the same key goes on. Nothing where the lease is lost."""
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

    async def _write(self, sql: str, want: Want, *, quick: bool = False, **values: Any) -> list[Any]:
        return await self._home.engine.write((self._home.statement(sql, want, values, quick=quick),))

    def _dead(self, row: Sequence[Any]) -> Dead:
        entry, at = entry_of(row[:9], self._home), moment(row[12], self._home)
        assert at is not None
        return Dead(id=f"{row[9]}/{entry.id}", consumer=row[9], entry=entry, tries=row[10], error=row[11], at=at)


class LeaseLost(Exception):
    """The delivery was claimed again by another one; what was done for it is not stored."""
