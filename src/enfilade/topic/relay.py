"""Outbox to transport: what a service has said is handed on, and forgotten once it is taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from enfilade.clock import Clock
from enfilade.store.outbox import Entry
from enfilade.store.store import Store
from enfilade.topic.bell import Bell
from enfilade.topic.pace import Pace
from enfilade.topic.transport import Away, Taker
from enfilade.trace.recorder import Recorder

log = logging.getLogger("enfilade.topic")

_ALL = ""
"""Stands for every lane; no lane has this name."""


class Relay:
    """Hands on what one service says: woken by its commits, by the next timer, and by a poll for safety.

    Entries of one key go in their order. A key whose entry is refused waits, and only this key; where the transport
    is away, all of them wait. Of several processes of a service, the background work is done in the one that leads.
    """

    def __init__(
        self,
        store: Store,
        transport: Taker,
        *,
        clock: Clock,
        recorder: Recorder,
        pace: Pace | None = None,
        leads: Callable[[], bool | None] = lambda: True,
    ) -> None:
        self._store = store
        self._transport = transport
        self._clock = clock
        self._pace = pace or Pace()
        self._bell = Bell(clock)
        self.ring = self._bell.ring
        """There may be something to do."""
        self._leads = leads
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._held: dict[str, tuple[int, datetime]] = {}
        """Lanes whose first entry was refused: how often, and until when they wait."""
        labels = {"service": store.service}
        self._pending = recorder.metrics.gauge("enfilade_outbox_pending", "Events not handed on yet.", **labels)
        self._oldest = recorder.metrics.gauge(
            "enfilade_outbox_oldest_seconds", "Age of the oldest event not handed on yet.", **labels
        )
        store.on_commit(self._bell.ring)

    def start(self) -> None:
        """Work in the background until `stop`."""
        self._task = asyncio.create_task(self._run(), name=f"relay {self._store.service}")

    async def stop(self) -> None:
        """End at once. What is not handed on stays in the outbox, for the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def drain(self, within: float) -> bool:
        """Hand on all that is due, for so many seconds at most; False where something is left."""
        end = self._clock.monotonic() + within
        while self._clock.monotonic() < end:
            if not await self.turn():
                return not self._held
        return False

    async def turn(self) -> int:
        """Hand on one batch of what is due; how many entries were taken."""
        async with self._turn:
            now = self._clock.now()
            if self._held.get(_ALL, (0, now))[1] > now:
                return 0
            waiting = [lane for lane, (_, until) in self._held.items() if until > now]
            entries = await self._store.outbox.due(now, self._pace.batch, without=waiting)
            if not entries:
                if not waiting:
                    self._pending.set(0)
                    self._oldest.set(0)
                return 0
            taken = await self._hand_on(entries)
            if taken:
                await self._store.outbox.sent([entry.id for entry in taken])
            return len(taken)

    async def _hand_on(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        try:
            await self._transport.accept(entries)
        except Away as error:
            self._wait(error)
            return ()
        except Exception:
            # One of them, or all: each lane by itself will tell.
            lanes: dict[str, list[Entry]] = {}
            for entry in entries:
                lanes.setdefault(_lane(entry), []).append(entry)
            taken = await asyncio.gather(*(self._one_by_one(lane, queue) for lane, queue in lanes.items()))
            return [entry for part in taken for entry in part]
        for entry in entries:
            self._held.pop(_lane(entry), None)
        if self._held.pop(_ALL, None) is not None:
            log.info("%s: events are handed on again", self._store.service)
        return entries

    def _wait(self, error: Away) -> None:
        """All wait for the transport; said once."""
        tries = self._held.get(_ALL, (0, None))[0] + 1
        wait = min(self._pace.away, self._pace.wait(tries, self._clock.random))
        self._held[_ALL] = (tries, self._clock.now() + timedelta(seconds=wait))
        if tries == 1:
            log.warning("%s: events stay in the outbox: %s", self._store.service, error)

    async def _one_by_one(self, lane: str, queue: Sequence[Entry]) -> Sequence[Entry]:
        for count, entry in enumerate(queue):
            try:
                await self._transport.accept([entry])
            except Exception as error:
                tries = self._held.get(lane, (0, None))[0] + 1
                wait = self._pace.wait(tries, self._clock.random)
                self._held[lane] = (tries, self._clock.now() + timedelta(seconds=wait))
                log.warning("%s %s of %s was not taken (try %d): %r", entry.topic, entry.id, entry.source, tries, error)
                return queue[:count]
            self._held.pop(lane, None)
        return queue

    async def _run(self) -> None:
        measured = float("-inf")
        while True:
            try:
                if self._leads() is False:
                    await self._bell.wait(self._pace.poll)
                    continue
                moved = await self.turn()
                if (moved or self._held) and self._clock.monotonic() - measured >= self._pace.poll:
                    await self.measure()
                    measured = self._clock.monotonic()
                pause = await self._pause(moved)
            except Exception:
                log.exception("the outbox of %s cannot be read; trying again", self._store.service)
                pause = self._pace.poll
            if pause:
                await self._bell.wait(pause)

    async def _pause(self, moved: int) -> float:
        """Seconds to sleep after a turn that moved so many."""
        due = await self._store.outbox.next_due()
        if due is not None and due <= self._clock.now() and (moved or not self._held):
            return 0.0 if moved else self._pace.open
        return self._pace.pause(self._clock, self._next(due))

    async def next_due(self) -> datetime | None:
        """The next moment at which something is due that is not due now; None where there is none."""
        return self._next(await self._store.outbox.next_due())

    def _next(self, due: datetime | None) -> datetime | None:
        """The first moment that is still to come: of this one, and of those until which something is held."""
        now = self._clock.now()
        dues = (due, *(until for _, until in self._held.values()))
        return min((one for one in dues if one is not None and one > now), default=None)

    async def measure(self) -> None:
        """Set the gauges: after a turn that found nothing, they are known to be zero."""
        now = self._clock.now()
        first = await self._store.outbox.due(now, 1)
        self._pending.set(await self._store.outbox.pending())
        self._oldest.set((now - first[0].at).total_seconds() if first else 0.0)


def _lane(entry: Entry) -> str:
    """What keeps its order, and waits for its first."""
    return entry.key or entry.id
