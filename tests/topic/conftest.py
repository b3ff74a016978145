"""A world of services with stores and messaging, on virtual time, that can be stopped and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enfilade.call import Call, Principal, row
from enfilade.clock import VirtualClock
from enfilade.contract.message import Event
from enfilade.contract.operation import Operation
from enfilade.guard.needs import needs
from enfilade.service.host import home, hosted
from enfilade.store import Store, open_store
from enfilade.topic import Heard, Messaging, Pace, consumers_of, operation_for
from enfilade.trace.recorder import Recorder


class World:
    """Stores, services and their messaging, which can be stopped and started again on the same files."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = VirtualClock()
        self.recorder = Recorder(self.clock)
        self.pace = Pace()
        self.stores: dict[str, Store] = {}
        self.messaging = Messaging(clock=self.clock, recorder=self.recorder, pace=self.pace)
        self._exit = AsyncExitStack()

    async def store(self, service: str) -> Store:
        if service not in self.stores:
            secret = b"a secret of thirty-two characters"
            store = open_store(self.url, service, clock=self.clock, recorder=self.recorder, secret=secret)
            await store.open()
            self._exit.push_async_callback(store.close)
            self.stores[service] = store
        return self.stores[service]

    async def join(self, name: str, make: Callable[[Store], Any], messaging: Messaging | None = None) -> Any:
        """A service with its handlers, in the row as far as it concerns them."""
        store = await self.store(name)
        service = make(store)
        await store.migrate(apply=True)

        def handler(operation: Operation) -> Any:
            guard = needs(lambda service: self.stores)
            return row(operation, (self.recorder.station, guard, home(store)), hosted(operation, service))

        (messaging or self.messaging).join(store, consumers_of(type(service), name, handler))
        return service

    async def call(
        self, service: str, method: Callable[..., Awaitable[Any]], *args: Any, tenant: str = "", **kwargs: Any
    ) -> Any:
        """Call a method as an operation that a customer called."""
        said = Heard(name=method.__name__, event=Event, topic="", parameter="event", where="", summary="")
        operation = operation_for(said, service)
        call = Call(
            operation, {}, self.clock, self.clock.monotonic() + 30, caller=Principal(subject="ann"), tenant=tenant
        )

        async def last(call: Call) -> Any:
            return await method(*args, **kwargs)

        stations = (self.recorder.station, home(await self.store(service)))
        return await row(operation, stations, last)(call)

    async def restart(self, *joined: tuple[str, Callable[[Store], Any]]) -> list[Any]:
        """End as by a crash, and start again on what is stored."""
        await self._exit.aclose()
        self.stores.clear()
        self.messaging = Messaging(clock=self.clock, recorder=self.recorder, pace=self.pace)
        services = [await self.join(name, make) for name, make in joined]
        await self.messaging.start(background=False)
        return services

    async def settle(self, after: float | timedelta = 0) -> None:
        """Move time, then run all that is due."""
        await self.clock.advance(after)
        await self.messaging.settle()

    async def till(self, condition: Callable[[], Any]) -> None:
        """Leave the loop to the background for as long as it needs; the test's own time limit is the end of it."""
        while not condition():  # noqa: ASYNC110  (any condition, of anybody)
            await asyncio.sleep(0.001)

    def metric(self, name: str, **labels: str) -> float:
        """The value of a series on the metrics page."""
        shown = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        lines = self.recorder.metrics.exposition().decode().splitlines()
        found = [line for line in lines if line.startswith(f"{name}{{{shown}}}")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    async def close(self) -> None:
        await self.messaging.stop()
        await self._exit.aclose()


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[World]:
    """On files, or on a server for whoever asks by parameter, so that a world can be started again."""
    if getattr(request, "param", "sqlite") == "sqlite":
        made = World(f"sqlite:{tmp_path}/{{service}}.db")
    else:
        made = World(request.getfixturevalue("postgres_url"))
    yield made
    await made.close()
