"""Idempotency records: what was done under a key, so that a repeated command is answered and not done again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from enfilade.contract.message import Message


class Record(Message):
    """What is known of one command under one key."""

    key: str
    operation: str
    principal: str
    fingerprint: str
    """Of the request: the same key with another request is refused."""
    state: Literal["running", "committed", "done"]
    """running: somebody has begun. committed: the unit of work is stored, the reply is not. done: the reply is stored."""
    lease: str = ""
    """What tells this run from another."""
    method: str = ""
    """The `@atomic` method whose result is recorded."""
    result: bytes | None = None
    """Its result, packed; None where it cannot be."""
    reply: bytes | None = None
    """The final reply, in the form of whoever stored it."""
    at: datetime


class Records:
    """The idempotency records of one service.

    The guard begins a record before the call and sets `call.record`; the call's unit of work commits it with the rows;
    the guard stores the reply with `finish`. A repeat then takes the reply; where only the unit was stored, `begin` gives
    the record in the state "committed", the call runs, and its `@atomic` answers with the recorded result.

        record = await store.records.begin(call.key, operation.id, call.me, fingerprint, lease=60.0)
        if record.state == "done":
            return replay(record.reply)
        call.record = record
        try:
            reply = await handler(call)
        except Problem as problem:                       # declared: an answer like any other
            await store.records.finish(call.record, packed(problem)); raise
        except BaseException:
            await store.records.release(call.record); raise
        await store.records.finish(call.record, packed(reply))
    """

    async def find(self, key: str, operation: str, principal: str) -> Record | None:
        """The record, or None."""
        raise NotImplementedError

    async def begin(self, key: str, operation: str, principal: str, fingerprint: str, lease: float) -> Record:
        """Claim the key for `lease` seconds.

        State "running" or "committed": the claim is ours, go on. "done": the reply is there. Raises Conflict where
        another run holds the claim, KeyReused where the key was used for another request.
        """
        raise NotImplementedError

    async def finish(self, record: Record, reply: bytes) -> None:
        """Store the final reply. Nothing happens where the claim was lost to another run."""
        raise NotImplementedError

    async def release(self, record: Record) -> None:
        """Give the claim up without a reply: the next with this key may run at once."""
        raise NotImplementedError

    async def sweep(self, before: datetime) -> int:
        """Forget the records from before then; 24 hours is what callers may count on."""
        raise NotImplementedError
