"""Inbox to handlers: each event once, in order for each key, again when it fails, at last to the dead letters."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any

from enfilade.clock import Clock
from enfilade.store.inbox import Delivery
from enfilade.store.outbox import Entry
from enfilade.store.store import Store
from enfilade.topic.bell import Bell
from enfilade.topic.consumer import Consumer
from enfilade.topic.deliver import Deliverer
from enfilade.topic.handlers import Scheduled
from enfilade.topic.pace import Pace
from enfilade.topic.ticks import Ticks
from enfilade.trace.recorder import Recorder

log = logging.getLogger("enfilade.topic")

_SPARE = 15.0
"""Seconds that a lease is longer than a handler may run, for its last commit."""


class Dispatcher:
    """Runs the handlers and schedules of one service, so many at a time.

    What a handler changes and that it heard the event commit together: what is delivered twice is heard once.
    A handler that fails is run again later, and what has the same key waits for it; other keys go on.

    While it works in the background it begins what comes at once, if there is room and nothing is in its way, and
    stores it only with its end: one unit of work for an event, and not three. What takes longer than `Pace.soon`, what
    has to wait, and what is older than this process, goes into the inbox first. (An event whose handler ends the
    process would come for ever, if nobody counted.)
    """

    def __init__(
        self, store: Store, consumers: Sequence[Consumer], *, clock: Clock, recorder: Recorder, pace: Pace | None = None
    ) -> None:
        self.consumers = {one.id: one for one in consumers}
        self.topics = frozenset(one.topic for one in consumers)
        """What the service hears."""
        self.turns = frozenset(one.topic for one in consumers if isinstance(one.said, Scheduled))
        """Turns of its own schedules, which are among them."""
        self.service = store.service
        self._store = store
        self._clock = clock
        self._pace = pace or Pace()
        self._deliverer = Deliverer(store, clock=clock, recorder=recorder, pace=self._pace)
        self._ticks = Ticks(store, consumers, clock)
        self._lease = _SPARE + max((one.operation.timeout for one in consumers), default=0.0)
        self._bell = Bell(clock)
        self.ring = self._bell.ring
        """There may be something to do."""
        self._claiming = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._running: dict[asyncio.Task[bool], Delivery | None] = {}
        self._since = clock.now()
        self._behind = False
        """Something waits in the inbox."""
        self._due: datetime | None = None
        """When, as far as it was looked."""
        self._full = False
        """The last claim took as many as there was room for: there may be more."""
        self._cleaned = float("-inf")

    async def accept(self, entries: Sequence[Entry]) -> None:
        """Take what the service hears of these: the end of a transport."""
        heard = {one.id: [entry for entry in entries if entry.topic == one.topic] for one in self.consumers.values()}
        begun = await self._begin_new(heard)
        at_once = {(one.consumer, one.entry.id) for one in begun.values()}
        rest = {one: [entry for entry in some if (one, entry.id) not in at_once] for one, some in heard.items()}
        # Together, so that they share a commit. Where one fails, all come again, and the others know theirs.
        outcomes = await asyncio.gather(
            self._till_soon(begun),
            *(self._store.inbox.accept(one, some) for one, some in rest.items() if some),
            return_exceptions=True,
        )
        if any(rest.values()):
            self._behind = True
            self._bell.ring()
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _begin_new(self, heard: Mapping[str, Sequence[Entry]]) -> dict[asyncio.Task[bool], Delivery]:
        """Begin what can be heard at once."""
        wanted = {(one, entry.id): entry for one, some in heard.items() for entry in self._young(some)}
        if not wanted:
            return {}
        async with self._claiming:
            # What could not be stored comes again while it runs.
            begun = {
                task: one
                for task, one in self._running.items()
                if one is not None and wanted.pop((one.consumer, one.entry.id), None) is not None
            }
            room = self._pace.at_once - len(self._running)
            if room > 0 and self._task is not None:
                some = [(consumer, entry) for (consumer, _), entry in wanted.items()]
                for one in await self._store.inbox.begin(some[:room]):
                    begun[self._start(self._deliverer.deliver(self.consumers[one.consumer], one), one)] = one
        return begun

    def _young(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those younger than this process, if it is the only one of its key, and no turn of a schedule."""
        keys = Counter((one.source, one.key) for one in entries)
        return [
            one
            for one in entries
            if one.at > self._since and one.topic not in self.turns and (not one.key or keys[one.source, one.key] == 1)
        ]

    async def _till_soon(self, begun: Mapping[asyncio.Task[bool], Delivery]) -> None:
        """Till they are stored: as heard, by the handler's end, or in the inbox."""
        if not begun:
            return
        await asyncio.wait(begun, timeout=self._pace.soon)
        left = [one for task, one in begun.items() if not _settled(task)]
        if left:
            self._behind = True
            await self._store.inbox.hold(left, self._lease)

    async def start(self, *, background: bool = True) -> None:
        """Begin the schedules, and work in the background until `stop`; without it, `turn` does the work."""
        await self._ticks.begin()
        if background and self.consumers:
            self._task = asyncio.create_task(self._run(), name=f"dispatcher {self._store.service}")

    async def drain(self, within: float) -> bool:
        """Begin nothing more, and let what runs end, for so many seconds at most; False where something still runs."""
        await self._end_loop()
        end = self._clock.monotonic() + within
        while self._running and (left := end - self._clock.monotonic()) > 0:
            await self._bell.wait(left)
        return not self._running

    async def stop(self) -> None:
        """End at once. What was running is run again, by the next start or by another replica."""
        await self._end_loop()
        for task, delivery in list(self._running.items()):
            await _end(task)
            if delivery is not None:
                try:
                    await self._deliverer.again(delivery, 0.0, "it was stopped before its end")
                except Exception as error:  # the store is gone; what else is to be stopped is stopped
                    log.warning("%s: a delivery could not be given back; its lease will end: %r", self.service, error)

    async def turn(self) -> int:
        """Run all that can be run now, to its end; how much there was."""
        begun = await self._begin()
        while self._running:
            await asyncio.wait(self._running)
        return begun

    async def next_due(self) -> datetime | None:
        """The next moment at which something is due that is not due now; None where there is none."""
        return self._next(await self._store.inbox.next_due())

    def _next(self, due: datetime | None) -> datetime | None:
        """The first moment that is still to come: of this one, and of the schedules' next turns."""
        now = self._clock.now()
        dues = (due, self._ticks.next_due())
        return min((one for one in dues if one is not None and one > now), default=None)

    async def clean(self) -> None:
        """Forget what was heard so long ago that it cannot come again, and count the dead letters."""
        self._cleaned = self._clock.monotonic()
        await self._deliverer.clean(self.consumers.values())

    async def _run(self) -> None:
        while True:
            try:
                begun = await self._begin()
                if self._clock.monotonic() - self._cleaned >= self._pace.clean:
                    await self.clean()
                pause = 0.0 if begun else self._pace.pause(self._clock, self._next(self._due))
            except Exception:
                log.exception("the inbox of %s cannot be read; trying again", self._store.service)
                pause = self._pace.poll
            if pause:
                await self._bell.wait(pause)

    async def _begin(self) -> int:
        """Start what is due, as far as there is room; how much was started."""
        async with self._claiming:
            turns = await self._ticks.turn()
            for one in turns:
                self._start(self._deliverer.tick(one), None)
            self._due = None
            room = self._pace.at_once - len(self._running)
            if room <= 0 or not self.consumers:
                return len(turns)
            claimed = await self._claim(room)
            for delivery in claimed:
                consumer = self.consumers[delivery.consumer]
                if self._ticks.overtaken(delivery):
                    self._start(self._deliverer.skip(delivery), delivery)
                else:
                    self._start(self._deliverer.deliver(consumer, delivery), delivery)
            return len(turns) + len(claimed)

    async def _claim(self, room: int) -> Sequence[Delivery]:
        """Lease what can be heard now. A look before it takes no lock, and leasing does."""
        now, claimed = self._clock.now(), ()
        if self._full:
            claimed = await self._store.inbox.claim(now, room, self._lease, consumers=tuple(self.consumers))
        if not claimed:
            self._due = await self._store.inbox.next_due()
            self._behind = self._due is not None
            if self._due is not None and self._due <= now:
                claimed = await self._store.inbox.claim(now, room, self._lease, consumers=tuple(self.consumers))
        self._full = len(claimed) == room
        return claimed

    def _start(self, work: Coroutine[None, None, bool], delivery: Delivery | None) -> asyncio.Task[bool]:
        task = asyncio.create_task(work)
        self._running[task] = delivery
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[bool]) -> None:
        self._running.pop(task, None)
        if self._behind or self._task is None or not (_settled(task) and task.result()):
            self._bell.ring()  # there may be something to do, or somebody waits for the end
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error(
                "%s: how a delivery ended could not be stored; its lease will end", self._store.service, exc_info=error
            )

    async def _end_loop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            async with self._claiming:  # what is being claimed is begun first, or nobody has it until its lease ends
                task.cancel()
            await _end(task)


def _settled(task: asyncio.Task[bool]) -> bool:
    """Whether the delivery's end is stored, whatever it was."""
    return task.done() and not task.cancelled() and task.exception() is None


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
