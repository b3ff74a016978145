"""Saying that something happened: `Topic[OrderPlaced]` is injected, `publish` is called inside `@atomic`."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

from enfilade.contract.message import Event

E = TypeVar("E", bound=Event)


class Topic(Generic[E]):
    """Where a service says its events of one type.

        @atomic
        async def _record(self, row: OrderRow) -> None:
            await self.orders.add(row)
            await self.placed.publish(OrderPlaced(order=row.into(Order)))

    The event commits with the rows of the same unit of work, or not at all, and is heard by every service that has an
    `@on(OrderPlaced)` method. Events of one service with the same key are heard in the order of their commits.
    """

    def __init__(self, event: type[E], service: str) -> None:
        self.event = event
        self.service = service
        """The service that says it."""

    async def publish(self, event: E, *, at: datetime | None = None) -> None:
        """Say it; with `at`, a moment with a zone, not before then: a timer. Misuse outside of `@atomic`."""
        raise NotImplementedError
