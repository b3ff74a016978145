"""The relays and dispatchers of one process, as one thing that is started, settled and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from enfilade.clock import Clock
from enfilade.store.store import Store
from enfilade.topic.consumer import Consumer
from enfilade.topic.dispatch import Dispatcher
from enfilade.topic.pace import Pace
from enfilade.topic.relay import Relay
from enfilade.topic.transport import Local
from enfilade.trace.recorder import Recorder


class Messaging:
    """Events between the services of one process.

    messaging = Messaging(clock=clock, recorder=recorder)
    messaging.join(store, consumers_of(OrdersService, "orders", row))   # each service that has a store
    await messaging.start()
    ...
    await messaging.stop(within=10.0)
    """

    def __init__(self, *, clock: Clock, recorder: Recorder, pace: Pace | None = None) -> None:
        self.dispatchers: list[Dispatcher] = []
        self.relays: list[Relay] = []
        self._local = Local()
        self._clock = clock
        self._recorder = recorder
        self._pace = pace or Pace()

    def join(self, store: Store, consumers: Sequence[Consumer] = ()) -> None:
        """A service that says what is in its outbox, and hears with these; its store is open before `start`."""
        dispatcher = Dispatcher(store, consumers, clock=self._clock, recorder=self._recorder, pace=self._pace)
        self._local.hearers.append(dispatcher)
        self.dispatchers.append(dispatcher)
        self.relays.append(Relay(store, self._local, clock=self._clock, recorder=self._recorder, pace=self._pace))

    async def start(self, *, background: bool = True) -> None:
        """Begin the schedules and work until `stop`. In tests, `background=False` leaves the work to `settle`."""
        for dispatcher in self.dispatchers:
            await dispatcher.start(background=background)
        if background:
            for relay in self.relays:
                relay.start()

    async def settle(self) -> None:
        """Until nothing is due at this moment: time does not move, and handlers that fail raise nothing here."""
        while sum([await one.turn() for one in (*self.relays, *self.dispatchers)]):
            pass

    async def next_due(self) -> datetime | None:
        """The next moment after this one at which something is due; None where nothing is awaited."""
        dues = [await one.next_due() for one in (*self.relays, *self.dispatchers)]
        return min((due for due in dues if due is not None), default=None)

    async def stop(self, within: float = 0.0) -> None:
        """Let running handlers end and hand on what was said, for so many seconds at most; the rest stays stored."""
        end = self._clock.monotonic() + within
        await asyncio.gather(*(one.drain(within) for one in self.dispatchers))
        await asyncio.gather(*(one.drain(end - self._clock.monotonic()) for one in self.relays))
        for part in (*self.relays, *self.dispatchers):
            await part.stop()
