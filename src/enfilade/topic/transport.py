"""How entries get from the outbox of the service that said them to those who hear them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from enfilade.store.outbox import Entry


class Transport(Protocol):
    """Takes entries. In the process this is `Local`; a broker's adapter fits as well."""

    async def accept(self, entries: Sequence[Entry]) -> None:
        """Take them, in their order for each key. Whoever returns has them for good: they survive a crash.

        Taking an entry twice is the same as taking it once. Raises where not all were taken; all of them come again.
        """
        ...


class Hearer(Transport, Protocol):
    """One that takes entries of some topics: a service's dispatcher."""

    @property
    def topics(self) -> frozenset[str]: ...


class Local:
    """Within the process: into the inbox of each service that hears the event."""

    def __init__(self, hearers: Sequence[Hearer] = ()) -> None:
        self.hearers = list(hearers)
        """The services' dispatchers; more may come until the first relay starts."""

    async def accept(self, entries: Sequence[Entry]) -> None:
        said = {entry.topic for entry in entries}
        hearers = [one for one in self.hearers if not one.topics.isdisjoint(said)]
        # Each for himself: one whose store is down does not keep the event from the others.
        outcomes = await asyncio.gather(*(one.accept(entries) for one in hearers), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
