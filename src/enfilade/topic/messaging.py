"""The relays, transport and dispatchers of one process, as one thing that is started, settled and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from enfilade.clock import Clock
from enfilade.store.store import Store
from enfilade.store.watch import Watch
from enfilade.topic.consumer import Consumer
from enfilade.topic.dispatch import Dispatcher
from enfilade.topic.pace import Pace
from enfilade.topic.relay import Relay
from enfilade.topic.transport import Local, Transport
from enfilade.trace.recorder import Recorder


class Messaging:
    """Events between services: of one process, or of several where the transport joins them.

    messaging = Messaging(clock=clock, recorder=recorder)
    messaging.join(store, consumers_of(OrdersService, "orders", row))   # each service that has a store
    await messaging.start()
    ...
    await messaging.stop(within=10.0)
    """

    def __init__(
        self, *, clock: Clock, recorder: Recorder, pace: Pace | None = None, transport: Transport | None = None
    ) -> None:
        self.dispatchers: list[Dispatcher] = []
        self.relays: list[Relay] = []
        self._transport = transport or Local()
        self._watches: list[Watch] = []
        self._begun = 0
        """How many of them work."""
        self._clock = clock
        self._recorder = recorder
        self._pace = pace or Pace()

    def join(self, store: Store, consumers: Sequence[Consumer] = ()) -> None:
        """A service that says what is in its outbox, and hears with these; its store is open before `start`."""
        dispatcher = Dispatcher(store, consumers, clock=self._clock, recorder=self._recorder, pace=self._pace)

        def ring() -> None:
            relay.ring()
            dispatcher.ring()

        watch = store.watch(ring)
        relay = Relay(
            store, self._transport, clock=self._clock, recorder=self._recorder, pace=self._pace,
            leads=lambda: watch.leads,
        )  # fmt: skip
        self._transport.hear(dispatcher, watch)
        self._watches.append(watch)
        self.dispatchers.append(dispatcher)
        self.relays.append(relay)

    @property
    def waiting(self) -> tuple[str, ...]:
        """What it waits for, so that the app is not ready."""
        return self._transport.waiting

    async def start(self, *, background: bool = True) -> None:
        """Begin the schedules and work until `stop`. In tests, `background=False` leaves the work to `settle`."""
        try:
            await self.begin(background=background)
        except BaseException:
            await self.stop()
            raise

    async def begin(self, *, background: bool = True) -> None:
        """The same for those who joined since then."""
        new, self._begun = slice(self._begun, None), len(self._watches)
        watches, dispatchers, relays = self._watches[new], self.dispatchers[new], self.relays[new]
        if background:
            await asyncio.gather(*(watch.start() for watch in watches))
        await self._transport.start(background=background)
        for dispatcher in dispatchers:
            await dispatcher.start(background=background)
        if background:
            for relay in relays:
                relay.start()

    async def settle(self) -> None:
        """Until nothing is due at this moment: time does not move, and handlers that fail raise nothing here."""
        while await self.hand_on() + await self.deliver():
            pass

    async def hand_on(self) -> int:
        """Hand on what was said and is due, a batch of each service; how much it was."""
        return sum([await one.turn() for one in (*self.relays, self._transport)])

    async def deliver(self) -> int:
        """Run the handlers and timers that are due, to their ends; how many."""
        return sum([await one.turn() for one in self.dispatchers])

    async def next_due(self) -> datetime | None:
        """The next moment after this one at which something is due; None where nothing is awaited."""
        dues = [await one.next_due() for one in (*self.relays, *self.dispatchers)]
        return min((due for due in dues if due is not None), default=None)

    async def stop(self, within: float = 0.0) -> None:
        """Let running handlers end and hand on what was said, for so many seconds at most; the rest stays stored."""
        end = self._clock.monotonic() + within
        await asyncio.gather(*(one.drain(within) for one in self.dispatchers))
        await asyncio.gather(*(one.drain(end - self._clock.monotonic()) for one in self.relays))
        for part in (*self.relays, self._transport, *self.dispatchers, *self._watches):
            await part.stop()
