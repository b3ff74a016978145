"""The outbox: events that are said with the rows they belong to, until they have been handed on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from enfilade.contract.message import Message


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
    headers: Mapping[str, str]


class Outbox:
    """What one service has said and nobody has taken yet."""

    async def add(self, entry: Entry) -> None:
        """Say it with the open unit of work; written at its commit. An id that is there already changes nothing."""
        raise NotImplementedError

    async def due(self, now: datetime, limit: int = 200, *, without: Collection[str] = ()) -> tuple[Entry, ...]:
        """What is to be handed on: timers that are due, then the rest in the order it was said.

        Not what waits behind a refused entry: `without` names keys, and ids of entries that have no key.
        """
        raise NotImplementedError

    async def sent(self, ids: Sequence[str]) -> None:
        """These have been taken, and are forgotten."""
        raise NotImplementedError

    async def next_due(self) -> datetime | None:
        """When the next entry is due; None where there is none."""
        raise NotImplementedError

    async def pending(self) -> int:
        """Entries that are here, timers not among them."""
        raise NotImplementedError
