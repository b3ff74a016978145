"""A process of a stage as the test moves it: `Part` is the contract, `Player` is what serves it."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Protocol

from enfilade.call import Call, Handler
from enfilade.clock import Clock, VirtualClock
from enfilade.contract.declare import command, contract, query
from enfilade.contract.message import Message
from enfilade.contract.need import peers
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.read import read
from enfilade.endpoint.handle import handle
from enfilade.endpoint.rpc import Link, connect
from enfilade.endpoint.site import Site
from enfilade.running import Running
from enfilade.store import Entry, Row, Store
from enfilade.testing.count import Count

_TURNS: Final = 20
"""Turns of the event loop, in which whatever can go on does so."""


class Stir(Message):
    """How a process is."""

    changes: int
    """How many calls began or ended there."""
    due: float
    """When the next of those who wait wakes, in seconds of virtual time."""


class Found(Message):
    """Rows, pickled: between processes of one test, which run the same code."""

    rows: bytes = b""
    """Empty where the process has no such table."""


@contract(name="stage-part", needs=peers)
class Part(Protocol):
    """One process of a stage."""

    @command()
    async def hand_on(self) -> int:
        """Hand on what was said and is due."""
        ...

    @command()
    async def deliver(self) -> int:
        """Run the handlers and timers that are due."""
        ...

    @query()
    async def next_due(self) -> datetime | None:
        """The next moment at which a timer or an event is due."""
        ...

    @command(body="64MB")
    async def hear(self, entries: tuple[Entry, ...]) -> None:
        """Take events that somebody said."""
        ...

    @query()
    async def rows(self, kind: str) -> Found:
        """All rows of a type, by its module and name."""
        ...

    @command()
    async def move(self, by: float) -> None:
        """Move time, by seconds."""
        ...

    @query()
    async def stir(self) -> Stir:
        """Let go on what can, and tell what moved."""
        ...


PART: Final = read(Part)


class Player:
    """A process that runs here. `clock` is its own, where it is not moved by somebody else."""

    def __init__(self, running: Running, count: Count, clock: VirtualClock | None = None) -> None:
        self._running = running
        self._count = count
        self._clock = clock

    async def hand_on(self) -> int:
        return await self._running.messaging.hand_on()

    async def deliver(self) -> int:
        return await self._running.messaging.deliver()

    async def next_due(self) -> datetime | None:
        return await self._running.messaging.next_due()

    async def hear(self, entries: Sequence[Entry]) -> None:
        for dispatcher in self._running.messaging.dispatchers:
            await dispatcher.accept(entries)

    async def rows(self, kind: str) -> Found:
        for store in self._running.stores.values():
            for row in store.rows:
                if name_of(row) == kind:
                    return Found(rows=pickle.dumps(await store.table(row).find()))
        return Found()

    def store(self, row: type[Row]) -> Store | None:
        """The store that keeps rows of a type."""
        return next((one for one in self._running.stores.values() if row in one.rows), None)

    async def move(self, by: float) -> None:
        if self._clock is not None:
            await self._clock.advance(by)

    async def stir(self) -> Stir:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        return Stir(changes=self._count.changes, due=float("inf") if self._clock is None else self._clock.due)


def name_of(kind: type) -> str:
    """What a class is called between processes that run the same code."""
    return f"{kind.__module__}:{kind.__qualname__}"


def serving(site: Site, contract: Contract, served: object) -> Site:
    """A site that has another contract besides, for its listener within the app. Its calls pass no row."""

    def handler(operation: Operation) -> Handler:
        method = getattr(served, operation.name)

        async def run(call: Call) -> Any:
            return await method(**call.arguments)

        return run

    inside: Mapping[str, Handler] = {one.id: handler(one) for one in contract.operations}
    return replace(site, contracts=(*site.contracts, contract), inside={**site.inside, **inside})


def reached(contract: Contract, link: Link, clock: Clock) -> Any:
    """A handle of a contract that `serving` serves. Its calls take the time that they take."""

    def begin(operation: Operation, arguments: dict[str, Any]) -> Call:
        return Call(operation, arguments, clock, float("inf"))

    return handle(contract, connect(contract, link), begin)
