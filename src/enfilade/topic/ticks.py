"""Turns of the schedules: what `@every` asks for, made into timers.

A schedule of the fleet is an event that a service says to itself, with an id that follows from its name and time:
however many replicas say it, it is heard once. Only the next turn is ever said, so that turns missed while nobody was
there are made up by one. A schedule of the replica is nothing but a moment that is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid5

from enfilade.clock import Clock
from enfilade.store.inbox import Delivery
from enfilade.store.outbox import Entry
from enfilade.store.store import Store
from enfilade.topic.consumer import Consumer
from enfilade.topic.handlers import Scheduled

_NAMES = UUID("5f0c1a52-2f5e-4d0e-9a53-6d0f5f1f6c11")
"""Namespace of the ids of turns; any value, and never another one."""


class Ticks:
    """The schedules of one service."""

    def __init__(self, store: Store, consumers: Iterable[Consumer], clock: Clock) -> None:
        self._store = store
        self._clock = clock
        scheduled = [(one, one.said) for one in consumers if isinstance(one.said, Scheduled)]
        self._fleet = [(one, said.schedule) for one, said in scheduled if said.runs == "fleet"]
        self._replica = [(one, said.schedule) for one, said in scheduled if said.runs == "replica"]
        self._next: dict[str, datetime] = {}
        """When the turn comes that was said last, by consumer."""
        self._last: dict[str, datetime] = {}
        """The newest turn that has come, by consumer."""

    async def begin(self) -> None:
        """Say the first turns. Those from before a restart are there still."""
        now = self._clock.now()
        self._next = {
            one.id: schedule.after(now) if schedule.offset else now + schedule.every for one, schedule in self._replica
        }
        await self._say(now)

    async def turn(self) -> list[Consumer]:
        """Say the next turn of each schedule whose turn has come; which schedules of this replica are to be run now."""
        now = self._clock.now()
        await self._say(now)
        come = [(one, schedule) for one, schedule in self._replica if self._next.get(one.id, now) <= now]
        for one, schedule in come:
            self._next[one.id] = schedule.after(now) if schedule.offset else now + schedule.every
        return [one for one, _ in come]

    def overtaken(self, delivery: Delivery) -> bool:
        """Whether a newer turn has come, so that this one need not run."""
        return delivery.entry.at < self._last.get(delivery.consumer, delivery.entry.at)

    def next_due(self) -> datetime | None:
        """When the next turn comes; None where there is no schedule."""
        return min(self._next.values(), default=None)

    async def _say(self, now: datetime) -> None:
        come = [(one, schedule) for one, schedule in self._fleet if self._next.get(one.id, now) <= now]
        if not come:
            return
        await self._store.outbox.say([_entry(one, schedule.after(now)) for one, schedule in come])
        for one, schedule in come:
            if one.id in self._next:
                self._last[one.id] = self._next[one.id]
            self._next[one.id] = schedule.after(now)


def _entry(consumer: Consumer, due: datetime) -> Entry:
    return Entry(
        id=str(uuid5(_NAMES, f"{consumer.id} {due.isoformat()}")),
        topic=consumer.topic,
        source=consumer.operation.service,
        key=consumer.id,
        at=due,
        timer=True,
        body=b"{}",
        headers={"cause": consumer.id},
    )
