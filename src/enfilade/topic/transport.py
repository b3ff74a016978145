"""How entries get from the outbox of the service that said them to those who hear them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from enfilade.store.outbox import Entry
from enfilade.store.watch import Watch


class Away(Exception):
    """Nothing can be handed on for the moment, whatever it is: what carries it does not answer."""


class Taker(Protocol):
    """Takes entries: a transport from a relay, a service's dispatcher from a transport."""

    async def accept(self, entries: Sequence[Entry]) -> None:
        """Take them, in their order for each key. Whoever returns has them for good: they survive a crash.

        Taking an entry twice is the same as taking it once. Raises where not all were taken; all of them come again.
        """
        ...


class Hearer(Taker, Protocol):
    """One that takes entries of some topics: a service's dispatcher."""

    @property
    def service(self) -> str: ...

    @property
    def topics(self) -> frozenset[str]: ...

    @property
    def turns(self) -> frozenset[str]:
        """Those of its topics that are turns of its own schedules, which nobody else says or hears."""
        ...


class Transport(Taker, Protocol):
    """Both ends of the way: `accept` takes from the relays, and what was taken is given to those who `hear`.

    Within the process this is `Local`, and `nats.Nats` between processes. `accept` may raise Away.
    """

    @property
    def waiting(self) -> tuple[str, ...]:
        """What it waits for, so that the app is not ready."""
        ...

    def hear(self, hearer: Hearer, watch: Watch) -> None:
        """Give it the entries of its topics, from the process of its service that leads, once it is started."""
        ...

    async def start(self, *, background: bool = True) -> None:
        """Be ready to carry, and once more for those who hear since then. Raises StartError, with the remedy. Without
        `background`, `turn` gives what has come."""
        ...

    async def turn(self) -> int:
        """Give the hearers all that is there for them now; how much it was."""
        ...

    async def stop(self) -> None:
        """End at once; what was not given comes again."""
        ...


class Local:
    """Within the process: into the inbox of each service that hears the event."""

    def __init__(self, hearers: Sequence[Hearer] = ()) -> None:
        self.waiting: tuple[str, ...] = ()
        self._hearers = list(hearers)

    def hear(self, hearer: Hearer, watch: Watch) -> None:
        self._hearers.append(hearer)

    async def accept(self, entries: Sequence[Entry]) -> None:
        said = {entry.topic for entry in entries}
        hearers = [one for one in self._hearers if not one.topics.isdisjoint(said)]
        # Each for himself: one whose store is down does not keep the event from the others.
        outcomes = await asyncio.gather(*(one.accept(entries) for one in hearers), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def start(self, *, background: bool = True) -> None: ...

    async def turn(self) -> int:
        return 0

    async def stop(self) -> None: ...
