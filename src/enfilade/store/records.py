"""Idempotency records: what was done under a key, so that a repeated command is answered and not done again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import msgspec

from enfilade.contract.message import Message
from enfilade.errors import Conflict, KeyReused
from enfilade.secrets.seal import Seal, Unsealable
from enfilade.store.engine import Statement, Want
from enfilade.store.holder import gone, named
from enfilade.store.home import Home
from enfilade.store.outbox import moment

TABLE = """
CREATE TABLE IF NOT EXISTS enfilade_record (
    key {text} NOT NULL, operation {text} NOT NULL, principal {text} NOT NULL, fingerprint {text} NOT NULL,
    state {text} NOT NULL, lease {text} NOT NULL, ends {moment} NOT NULL, method {text} NOT NULL, result {bytes},
    reply {bytes}, at {moment} NOT NULL, PRIMARY KEY (key, operation, principal)
){strict};
CREATE INDEX IF NOT EXISTS enfilade_record_at ON enfilade_record (at);
"""
_COLUMNS = "key, operation, principal, fingerprint, state, lease, method, result, reply, at, ends"
_SAME = "key = :key AND operation = :operation AND principal = :principal"


class Record(Message):
    """What is known of one command under one key."""

    key: str
    operation: str
    principal: str
    fingerprint: str
    """Of the request: the same key with another request is refused."""
    state: Literal["running", "committed", "done"]
    """running: somebody has begun. committed: the unit of work is stored, no reply yet. done: the reply is stored."""
    lease: str
    """What tells this run from another."""
    method: str = ""
    """The `@atomic` method whose result is recorded."""
    result: bytes | None = None
    """Its result, packed; None where it cannot be."""
    reply: bytes | None = None
    """The final reply, in the form of whoever stored it."""
    at: datetime
    """When the key was first used."""


class Records:
    """The idempotency records of one service.

    The guard begins a record before the call and sets `call.record`; the call's unit of work commits it with the rows;
    the guard stores the reply with `finish`. A repeat then takes the reply. Where only the unit was stored, because the
    process ended in between, `begin` gives the record in the state "committed", the call runs, and its `@atomic` method
    answers with the recorded result instead of running.

        record = await store.records.begin(call.key, operation.id, principal, fingerprint, lease=call.remaining)
        if record.state == "done":
            return replayed(record.reply)
        call.record = record
        try:
            reply = await handler(call)
        except Problem as problem:                       # declared: an answer like any other
            await store.records.finish(call.record, packed(problem))
            raise
        except BaseException:
            await store.records.release(call.record)
            raise
        await store.records.finish(call.record, packed(reply))

    All of these are units of work by themselves. What is stored of a reply is sealed with the app's secret, for this
    one key, operation and principal; of the request there is a digest that nothing can be guessed from.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._seal = Seal(home.secret, "idempotency")

    async def find(self, key: str, operation: str, principal: str) -> Record | None:
        """The record, or None."""
        found = await self._find({"key": key, "operation": operation, "principal": principal})
        return None if found is None else found[0]

    async def begin(self, key: str, operation: str, principal: str, fingerprint: str, lease: float) -> Record:
        """Claim the key for `lease` seconds, after which another run may take it over, or when our process has ended.

        State "running" or "committed": the claim is ours, go on. "done": the reply is there. Raises Conflict (409)
        where another run holds the claim, KeyReused (422) where the key was used for another request.
        """
        fingerprint = self._seal.digest(fingerprint.encode())
        now, token = self._home.clock.now(), named(self._home.token())
        same: dict[str, Any] = {"key": key, "operation": operation, "principal": principal}
        ends = now + timedelta(seconds=lease)
        (count,) = await self._write(
            "INSERT INTO enfilade_record (key, operation, principal, fingerprint, state, lease, ends, method, at) "
            "VALUES (:key, :operation, :principal, :fingerprint, 'running', :lease, :ends, '', :now) "
            "ON CONFLICT DO NOTHING",
            "count", **same, fingerprint=fingerprint, lease=token, ends=ends, now=now,
        )  # fmt: skip
        if count:
            return Record(**same, fingerprint=fingerprint, state="running", lease=token, at=now)
        found = await self._find(same)
        if found is None:  # released this moment
            return await self.begin(key, operation, principal, fingerprint, lease)
        record, until = found
        if record.fingerprint != fingerprint:
            raise KeyReused(detail=f"The key {key!r} was used for another request.")
        if record.state == "done":
            return record
        (count,) = await self._write(
            f"UPDATE enfilade_record SET lease = :lease, ends = :ends WHERE {_SAME} AND lease = :before "
            f"AND ends <= :now AND state = :state",
            "count", **same, lease=token, ends=ends, before=record.lease, state=record.state,
            now=until if (left := gone(record.lease)) else now,
        )  # fmt: skip
        if not count and left:  # what it had begun was stored this moment, or another run was quicker
            return await self.begin(key, operation, principal, fingerprint, lease)
        if not count:
            raise Conflict(detail=f"The request with the key {key!r} is still running, until {until} at most.")
        return replaced(record, lease=token)

    async def finish(self, record: Record, reply: bytes) -> None:
        """Store the final reply. Nothing happens where the claim was lost to another run."""
        await self._write(
            f"UPDATE enfilade_record SET state = 'done', reply = :reply WHERE {_SAME} AND lease = :lease "
            f"AND state <> 'done'",
            "count", **_values(record), reply=self._seal.seal(reply, _place(record, "reply")),
        )  # fmt: skip

    async def release(self, record: Record) -> None:
        """Give the claim up without a reply: the next with this key may run at once."""
        await self._home.engine.write(
            (
                self._home.statement(
                    f"DELETE FROM enfilade_record WHERE {_SAME} AND lease = :lease AND state = 'running'",
                    "count", _values(record), quick=True,
                ),
                self._home.statement(
                    f"UPDATE enfilade_record SET ends = :now WHERE {_SAME} AND lease = :lease AND state = 'committed'",
                    "count", _values(record), quick=True,
                ),
            )
        )  # fmt: skip

    def committed(self, record: Record, method: str, result: bytes | None) -> Statement:
        """The statement that commits it with a unit of work, and misses where the claim was lost."""
        if result is not None:
            result = self._seal.seal(result, _place(record, "result"))
        return self._home.statement(
            f"UPDATE enfilade_record SET state = 'committed', method = :method, result = :result "
            f"WHERE {_SAME} AND lease = :lease AND state = 'running' RETURNING 1",
            "change", {**_values(record), "method": method, "result": result}, quick=True,
        )  # fmt: skip

    async def sweep(self, before: datetime) -> int:
        """Forget the records from before then; 24 hours is what callers may count on. How many."""
        (count,) = await self._write(
            "DELETE FROM enfilade_record WHERE at < :before", "count", quick=False, before=before
        )
        return count

    async def _find(self, same: dict[str, Any]) -> tuple[Record, datetime] | None:
        statement = self._home.statement(
            f"SELECT {_COLUMNS} FROM enfilade_record WHERE {_SAME}", "rows", same, quick=True
        )
        answer = await self._home.engine.read(statement)
        return self._record(answer.rows[0]) if answer.rows else None

    def _record(self, row: Sequence[Any]) -> tuple[Record, datetime]:
        names = _COLUMNS.split(", ")
        fields = dict(zip(names, row, strict=True))
        at, ends = moment(fields.pop("at"), self._home), moment(fields.pop("ends"), self._home)
        assert at is not None
        assert ends is not None
        return self._opened(Record(**fields, at=at)), ends

    def _opened(self, record: Record) -> Record:
        try:
            result, reply = (
                None if sealed is None else self._seal.open(sealed, _place(record, part))
                for sealed, part in ((record.result, "result"), (record.reply, "reply"))
            )
        except Unsealable:
            detail = f"What was answered under the key {record.key!r} cannot be read any more. It is not done again."
            raise Conflict(detail=detail) from None
        return replaced(record, result=result, reply=reply)

    async def _write(self, sql: str, want: Want, *, quick: bool = True, **values: Any) -> list[Any]:
        return await self._home.engine.write((self._home.statement(sql, want, values, quick=quick),))


def _place(record: Record, part: str) -> bytes:
    """What a sealed part of a record is good for."""
    return msgspec.msgpack.encode((part, record.key, record.operation, record.principal))


def _values(record: Record) -> dict[str, Any]:
    return {"key": record.key, "operation": record.operation, "principal": record.principal, "lease": record.lease}


def replaced(record: Record, **changes: Any) -> Record:
    """The same record, changed."""
    return msgspec.structs.replace(cast("Any", record), **changes)
