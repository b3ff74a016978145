"""The processes of a stage: what the test asks of all of them, and the one time in which they live."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

import httpx2

from enfilade.clock import VirtualClock
from enfilade.running import Running
from enfilade.store import Entry, Row
from enfilade.testing.count import Count
from enfilade.testing.part import Part, Player, name_of

R = TypeVar("R", bound=Row)

_ROUNDS: Final = 4
"""Looks, one after the other, at which nothing has moved: then what is under way waits for time."""
_PAUSE: Final = 0.005
"""Seconds between two of them: for what works in a thread."""


class SharedClock(VirtualClock):
    """The time of several processes: whoever moves it moves it for all."""

    lead: Callable[[float], Awaitable[None]] | None = None
    """What moves all of them, this one included."""

    async def advance(self, by: timedelta | float) -> None:
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        await (self.alone if self.lead is None else self.lead)(seconds)

    async def alone(self, by: float) -> None:
        """Move it in this process."""
        await super().advance(by)


class Scene:
    """An app on its stage, in whatever shape."""

    def __init__(
        self,
        clock: VirtualClock,
        mine: Running,
        parts: Sequence[Part],
        count: Count,
        transport: httpx2.AsyncBaseTransport,
    ) -> None:
        self.mine = mine
        """The process in which the calls of the test begin."""
        self.transport = transport
        """The way of its HTTP requests."""
        self._parts = parts
        """In the order of the app's services."""
        self._clock = clock
        self._count = count
        """The calls of the test."""
        if isinstance(clock, SharedClock):
            clock.lead = self._move

    async def settle(self) -> None:
        """Deliver what was published and is due, until nothing is left."""
        await self._still()
        while await self._turn():
            await self._still()

    async def advance(self, by: float) -> None:
        """Move time by seconds, and let happen what becomes due on the way."""
        end = self._clock.monotonic() + by
        await self.settle()
        while (due := await self._next_due()) is not None:
            wait = (due - self._clock.now()).total_seconds()
            if self._clock.monotonic() + wait > end:
                break
            await self._clock.advance(max(wait, 0.000001))
            await self.settle()
        await self._clock.advance(max(end - self._clock.monotonic(), 0.0))
        await self.settle()

    async def hear(self, entry: Entry) -> None:
        """Give an event to whoever hears it."""
        for part in self._parts:
            await part.hear((entry,))
        await self.settle()

    async def rows(self, row: type[R]) -> tuple[R, ...] | None:
        """All rows of a type; None where no process keeps them."""
        for part in self._parts:
            if isinstance(part, Player):
                if (store := part.store(row)) is not None:
                    return await store.table(row).find()
            elif found := (await part.rows(name_of(row))).rows:
                return pickle.loads(found)  # noqa: S301  (of a process that this test has started)
        return None

    async def _turn(self) -> int:
        """As one process does it: all hand on, in their order, and then all deliver."""
        moved = 0
        for part in self._parts:
            moved += await part.hand_on()
        for part in self._parts:
            moved += await part.deliver()
        return moved

    async def _next_due(self) -> datetime | None:
        dues = [await part.next_due() for part in self._parts]
        return min((due for due in dues if due is not None), default=None)

    async def _still(self) -> float:
        """Until no call goes on without time; when the next of those who wait wakes, if calls are under way."""
        rounds, last = 0, -1
        while self._count.under_way and isinstance(self._clock, SharedClock):
            stirs = await asyncio.gather(*(part.stir() for part in self._parts))
            changes = sum(one.changes for one in stirs)
            rounds = rounds + 1 if changes == last else 0
            if rounds == _ROUNDS:
                return min(self._clock.due, *(one.due for one in stirs))
            last = changes
            await asyncio.sleep(_PAUSE)
        return float("inf")

    async def _move(self, by: float) -> None:
        """In all processes; step by step where calls are under way, so that each goes on at its moment."""
        end = self._clock.monotonic() + by
        while (wakes := await self._still()) <= end:
            await self._step(wakes - self._clock.monotonic())
        await self._step(end - self._clock.monotonic())

    async def _step(self, by: float) -> None:
        assert isinstance(self._clock, SharedClock)
        by = max(by, 0.0)
        await asyncio.gather(self._clock.alone(by), *(part.move(by) for part in self._parts))
