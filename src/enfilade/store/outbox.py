"""The outbox: events that are said with the rows they belong to, until they have been handed on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from enfilade.contract.message import Message
from enfilade.store.engine import Statement
from enfilade.store.home import Home
from enfilade.store.unit import writing
from enfilade.store.watch import channel

TABLE = """
CREATE TABLE IF NOT EXISTS enfilade_outbox (
    seq {serial}, id {text} NOT NULL UNIQUE, topic {text} NOT NULL, source {text} NOT NULL, key {text} NOT NULL,
    at {moment} NOT NULL, timer {whole} NOT NULL, body {bytes} NOT NULL, headers {text} NOT NULL
){strict};
CREATE INDEX IF NOT EXISTS enfilade_outbox_said ON enfilade_outbox (seq) WHERE timer = 0;
CREATE INDEX IF NOT EXISTS enfilade_outbox_timer ON enfilade_outbox (at, seq) WHERE timer = 1;
"""
PATIENCE = 10.0
"""Seconds for which an entry waits for those who may have said something before it and have not ended; see `due`."""
_OVER = "age(xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid)"
"""PostgreSQL: the transaction that wrote the row, and all that began before it, have ended."""
_COLUMNS = "id, topic, source, key, at, timer, seq, body, headers"


class Entry(Message):
    """An event on its way."""

    id: str
    """Never a row's number: the same wherever the event is seen."""
    topic: str
    """Name of the event's type: `orders.OrderPlaced`."""
    source: str
    """The service that said it."""
    key: str = ""
    """Entries of one source and key are heard in their order; `""` has none."""
    at: datetime
    """When it was said; of a timer, when it is due."""
    timer: bool = False
    """Said to be heard at `at`, and not before."""
    seq: int = 0
    """Place in the outbox; 0 before it is there."""
    body: bytes
    """JSON of the event."""
    headers: Mapping[str, str] = {}


class Outbox:
    """What one service has said and nobody has taken yet.

    `add` belongs to a unit of work; everything else is the relay's, and a unit of work by itself.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        names = "id, topic, source, key, at, timer, body, headers"
        marks = ", ".join(f"{home.dialect.marker}{at}" for at in range(1, 9))
        self._insert = f"INSERT INTO enfilade_outbox ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"
        if home.dialect.name == "postgres":  # wakes the other processes of the service, with the commit
            told = f"SELECT pg_notify('{channel(home.service)}', '') FROM said"
            self._insert = f"WITH said AS ({self._insert} RETURNING 1) {told}"
        self._moment = home.dialect.store["datetime"]

    async def add(self, entry: Entry) -> None:
        """Say it with the open unit of work; written at its commit. An id that is there already changes nothing."""
        unit = writing(self._home, f"{entry.topic}: publish")
        unit.later(self._said(entry))
        unit.said = True

    async def say(self, entries: Sequence[Entry]) -> None:
        """Say what belongs to no rows, by itself: turns of schedules, which several replicas may say at once."""
        await self._home.engine.write([self._said(entry) for entry in entries])
        self._home.tell()

    def _said(self, entry: Entry) -> Statement:
        timer, headers = 1 if entry.timer else 0, msgspec.json.encode(entry.headers).decode()
        values = (entry.id, entry.topic, entry.source, entry.key, self._moment(entry.at), timer, entry.body, headers)
        return Statement(self._insert, values, "count", quick=True)

    async def due(self, now: datetime, limit: int = 200, *, without: Collection[str] = ()) -> tuple[Entry, ...]:
        """What is to be handed on: timers that are due, by their time, then the rest in the order it was said.

        Not what waits behind a refused entry: `without` names keys, and ids of entries that have none.

        Entries of one key were said in the order of their numbers wherever the key's row was locked; a clock that is
        set back, or another machine's, cannot turn them around. On PostgreSQL two units of work can be open at once,
        and the one with the lower numbers end last: an entry with a key is not handed on before all have ended that
        began before its own. That holds for whatever is open in the whole server, so it waits no longer than
        `PATIENCE`; a unit of work that said something is milliseconds from its end.
        """
        values: dict[str, Any] = {"now": now, "limit": limit}
        wanted = over = ""
        if without:
            wanted = "AND NOT (CASE WHEN key = :none THEN id ELSE key END) IN :without"
            values |= {"none": "", "without": tuple(without)}
        if self._home.dialect.name == "postgres":
            over = f"AND (key = :none OR at <= :patient OR {_OVER})"
            values |= {"none": "", "patient": now - timedelta(seconds=PATIENCE)}
        statement = self._home.statement(
            f"SELECT * FROM (SELECT {_COLUMNS} FROM enfilade_outbox WHERE timer = 1 AND at <= :now {wanted} "
            f"ORDER BY at, seq LIMIT :limit) AS timers UNION ALL "
            f"SELECT * FROM (SELECT {_COLUMNS} FROM enfilade_outbox WHERE timer = 0 {wanted} {over} "
            f"ORDER BY seq LIMIT :limit) AS said",
            "rows", values,
        )  # fmt: skip
        answer = await self._home.engine.read(statement)
        return tuple(entry_of(row, self._home) for row in answer.rows[:limit])

    async def sent(self, ids: Sequence[str]) -> None:
        """These have been taken, and are forgotten."""
        if ids:
            await self._home.engine.write(
                (self._home.statement("DELETE FROM enfilade_outbox WHERE id IN :ids", "count", {"ids": tuple(ids)}),)
            )

    async def next_due(self) -> datetime | None:
        """When the next entry is due: a time that has passed where one waits now, None where there is none."""
        sql = (
            "SELECT min(at) FROM (SELECT at FROM (SELECT at FROM enfilade_outbox WHERE timer = 0 ORDER BY seq LIMIT 1) "
            "AS said UNION ALL SELECT min(at) FROM enfilade_outbox WHERE timer = 1) AS both_kinds"
        )
        answer = await self._home.engine.read(Statement(sql))
        return moment(answer.rows[0][0], self._home)

    async def pending(self) -> int:
        """Entries that wait to be handed on, timers not among them."""
        answer = await self._home.engine.read(Statement("SELECT count(*) FROM enfilade_outbox WHERE timer = 0"))
        return answer.rows[0][0]


def entry_values(entry: Entry) -> dict[str, Any]:
    """An entry's columns, its number aside."""
    return {
        "id": entry.id, "topic": entry.topic, "source": entry.source, "key": entry.key, "at": entry.at,
        "timer": 1 if entry.timer else 0, "body": entry.body,
        "headers": msgspec.json.encode(entry.headers).decode(),
    }  # fmt: skip


def entry_of(row: Sequence[Any], home: Home) -> Entry:
    """The entry of columns in the order id, topic, source, key, at, timer, seq, body, headers."""
    id, topic, source, key, at, timer, seq, body, headers = row
    at = moment(at, home)
    assert at is not None
    return Entry(
        id=id, topic=topic, source=source, key=key, at=at, timer=bool(timer), seq=seq, body=bytes(body),
        headers=msgspec.json.decode(headers, type=dict[str, str]),
    )  # fmt: skip


def moment(raw: Any, home: Home) -> datetime | None:
    """A datetime as the driver gives it."""
    load = home.dialect.load.get("datetime")
    return raw if raw is None or load is None else load(raw)
