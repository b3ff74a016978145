"""The inbox: events that were taken for a service, until each consumer has heard them; and those that nobody could."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from enfilade.contract.message import Message
from enfilade.store.outbox import Entry


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
    """What the consumers of one service are to hear."""

    async def accept(self, consumer: str, entries: Sequence[Entry]) -> int:
        """Take entries for a consumer, in their order; those that it ever took are left out. How many were new."""
        raise NotImplementedError

    async def claim(
        self, now: datetime, limit: int = 32, lease: float = 60.0, *, consumers: Collection[str] | None = None
    ) -> tuple[Delivery, ...]:
        """Lease what can be heard now, for `lease` seconds: of each consumer, source and key only the first one.

        Only for these consumers; a replica of another release may have taken entries for others.
        """
        raise NotImplementedError

    async def done(self, delivery: Delivery) -> None:
        """Heard. `@atomic` says it in its own commit for `call.delivery`; else the dispatcher does."""
        raise NotImplementedError

    async def retry(self, delivery: Delivery, at: datetime, error: str) -> None:
        """Not heard; try again at a time. What has the same key waits for it."""
        raise NotImplementedError

    async def bury(self, delivery: Delivery, error: str, at: datetime) -> None:
        """Not heard, and given up: to the dead letters. What has the same key goes on."""
        raise NotImplementedError

    async def dead(self, limit: int = 100) -> tuple[Dead, ...]:
        """The dead letters, the oldest first."""
        raise NotImplementedError

    async def revive(self, id: str, now: datetime) -> bool:
        """Try a dead letter again; False where there is none of this id."""
        raise NotImplementedError

    async def drop(self, id: str) -> bool:
        """Forget a dead letter; it will not come again."""
        raise NotImplementedError

    async def next_due(self) -> datetime | None:
        """When something can be claimed next; None where nothing waits."""
        raise NotImplementedError

    async def pending(self) -> int:
        """Deliveries that wait, dead letters not among them."""
        raise NotImplementedError

    async def sweep(self, before: datetime, *, consumers: Collection[str] | None = None) -> int:
        """Forget what (these consumers) heard before then; it must be longer ago than anything can come twice."""
        raise NotImplementedError
