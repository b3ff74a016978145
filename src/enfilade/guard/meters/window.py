"""Windows: what starts anew with the hour, the day or the month, and is kept in the service's store.

A process takes from the store in slices, a tenth of what is left at most, and calls take from the slice in memory: so
nobody exceeds a limit, however many processes there are, and few calls wait for a commit. What of a slice is not used
is given back when it rests and at stop; what was spent beyond what was set aside is written down then too. A process
that is killed takes both with it: its slices stay counted, and the last seconds of overspending do not.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from enfilade.clock import Clock
from enfilade.guard.meters.meter import Meter
from enfilade.store import Counts, Window

log = logging.getLogger("enfilade.guard")

_PART: Final = 10
"""A slice is this part of what is left."""
_SHUT: Final = 1.0
"""Seconds for which the store is not asked again after it refused."""


class Count:
    """One window of somebody, as this process knows it."""

    __slots__ = ("asking", "busy", "granted", "home", "key", "refused", "shut", "total", "used", "window")

    def __init__(self, key: tuple[str, str], window: Window, home: Counts | None) -> None:
        self.key = key
        self.window = window
        self.home = home
        """Where it is kept; None where the service keeps nothing."""
        self.used = 0
        """By calls of this process."""
        self.granted = 0
        """By the store, to this process."""
        self.total = 0
        """Granted to all processes, as it was last seen."""
        self.busy = True
        self.asking: asyncio.Task[None] | None = None
        self.shut = 0.0
        """Till when the store is not asked for `refused` or more."""
        self.refused = 0


class Windows:
    """All windows of a process."""

    def __init__(self, clock: Clock, size: int) -> None:
        self._clock = clock
        self._size = size
        self._counts: dict[tuple[str, str], Count] = {}
        self._open: set[Count] = set()
        """Those that the store may not know all of."""

    async def take(self, home: Counts | None, meter: Meter, who: str) -> tuple[Count, float]:
        """Take what a call costs; or seconds to wait until it could be, and nothing is taken."""
        if len(self._open) > self._size:
            await self.flush(all=True)
        count, amount = self._count(home, meter, who), meter.cost
        while count.used + amount > (meter.limit if count.home is None else count.granted):
            if count.home is None or (amount >= count.refused and self._clock.monotonic() < count.shut):
                return count, max((count.window.ends - self._clock.now()).total_seconds(), 0.001)
            if count.asking is None:
                count.asking = asyncio.create_task(self._grant(count, amount, meter.limit))
                count.asking.add_done_callback(_heard)
            await asyncio.shield(count.asking)
        self.add(count, amount)
        return count, 0.0

    def add(self, count: Count, amount: int) -> None:
        """Take more, whether there is room or not, or give back."""
        count.used += amount
        count.busy = True
        if count.home is not None:
            self._open.add(count)

    def item(self, count: Count, meter: Meter) -> str:
        left = meter.limit - count.total + count.granted - count.used
        return meter.item(left, (count.window.ends - self._clock.now()).total_seconds())

    async def flush(self, *, all: bool = False) -> None:
        """Write down what the store does not know: what is over a slice; of slices that rest, or of all, the rest."""
        changes: dict[Counts, list[tuple[Count, int]]] = {}
        for count in list(self._open):
            over = count.used - count.granted
            rests = all or not count.busy
            if count.home is not None and (over > 0 or (over < 0 and rests)):
                changes.setdefault(count.home, []).append((count, over))
                _move(count, over)
            if rests:
                self._open.discard(count)
            count.busy = False
        for home, changed in changes.items():
            try:
                await home.add([(count.window, over) for count, over in changed])
            except Exception:
                log.exception("what was taken of quotas could not be written down; it is tried again")
                for count, over in changed:
                    _move(count, -over)
                    self._open.add(count)

    def _count(self, home: Counts | None, meter: Meter, who: str) -> Count:
        key = meter.id, who
        now = self._clock.now()
        count = self._counts.pop(key, None)
        if count is None or not count.window.began <= now < count.window.ends:
            if len(self._counts) >= self._size:
                del self._counts[next(iter(self._counts))]  # what is open is written down all the same
            count = Count(key, Window(meter.id, who, *meter.quota.window(now)), home)
        self._counts[key] = count
        return count

    async def _grant(self, count: Count, amount: int, limit: int) -> None:
        """Ask the store for a slice, or for as much as is needed."""
        assert count.home is not None
        try:
            while (needed := count.used + amount - count.granted) > 0:
                slice = max(needed, (limit - count.total) // _PART)
                granted, count.total = await count.home.take(count.window, slice, limit)
                if granted:
                    count.granted += slice
                elif slice == needed:
                    count.shut, count.refused = self._clock.monotonic() + _SHUT, amount
                    return
            self._open.add(count)
        finally:
            count.asking = None


def _move(count: Count, more: int) -> None:
    count.granted += more
    count.total += more


def _heard(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # who asked may be gone
