"""A world of services with stores and messaging, on virtual time, that can be stopped and started again."""

from __future__ import annotations

import asyncio
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from enfilade.call import Call, Principal, row
from enfilade.clock import SystemClock, VirtualClock
from enfilade.contract.message import Event
from enfilade.contract.operation import Operation
from enfilade.guard.needs import needs
from enfilade.service.host import home, hosted
from enfilade.store import Store, open_store
from enfilade.topic import Heard, Local, Messaging, Pace, consumers_of, operation_for
from enfilade.topic.nats import Nats
from enfilade.trace.recorder import Recorder


class Fate:
    """Lets so many things happen, and then nothing any more."""

    def __init__(self, things: int, after: bool, end: type[BaseException]) -> None:
        self.left = things
        self.after = after
        """End when the thing is done and before anybody is told, or before it."""
        self.end = end

    async def pass_(self, thing: Callable[[], Awaitable[Any]]) -> Any:
        self.left -= 1
        if self.left < 0 or (self.left == 0 and not self.after):
            raise self.end("the store is gone")
        done = await thing()
        if self.left == 0:
            raise self.end("the store is gone")
        return done


class Mortal:
    """An engine, or a session of one, that dies by fate."""

    def __init__(self, inner: Any, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "session":
            return lambda **options: Mortal(found(**options), self._fate)
        if name in ("read", "write", "run", "commit"):
            return lambda *args, **options: self._fate.pass_(lambda: found(*args, **options))
        return found


class World:
    """Stores, services and their messaging, which can be stopped and started again on the same files."""

    def __init__(self, url: str, *, clock: Any = None, pace: Pace | None = None, broker: str = "") -> None:
        self.url = url
        self.clock = clock or VirtualClock()
        self.recorder = Recorder(self.clock)
        self.pace = pace or Pace()
        self.stores: dict[str, Store] = {}
        self._broker = broker
        self.messaging = self._new()
        self._exit = AsyncExitStack()

    def _new(self) -> Messaging:
        self.transport = Nats(self._broker, clock=self.clock) if self._broker else Local()
        return Messaging(clock=self.clock, recorder=self.recorder, pace=self.pace, transport=self.transport)

    async def store(self, service: str) -> Store:
        if service not in self.stores:
            secret = b"a secret of thirty-two characters"
            store = open_store(self.url, service, clock=self.clock, recorder=self.recorder, secret=secret)
            await store.open()
            self._exit.push_async_callback(store.close)
            self.stores[service] = store
        return self.stores[service]

    def doom(self, things: int, after: bool, end: type[BaseException]) -> Fate:
        """From now on stores do so many things, and then raise."""
        fate = Fate(things, after, end)
        for store in self.stores.values():
            store.home.engine = cast("Any", Mortal(store.home.engine, fate))
        return fate

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
        self.messaging = self._new()
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


class Broker:
    """A nats-server of this run, that can be killed and started again on the same files."""

    def __init__(self, folder: Path, *more: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        binary = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        assert binary is not None
        self._command = [binary, "-a", "127.0.0.1", "-p", str(self.port), *(more or ("-js", "-sd", str(folder)))]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL, preexec_fn=_die_with_us)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise AssertionError("nats-server did not start")

    @property
    def runs(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _die_with_us() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("nats"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
async def broker(nats_server: Broker) -> AsyncGenerator[Broker]:
    """A broker without streams, running."""
    import nats

    yield nats_server
    if not nats_server.runs:
        nats_server.start()
    client = await nats.connect(nats_server.url)
    for stream in await client.jetstream().streams_info():
        await client.jetstream().delete_stream(stream.config.name)
    await client.close()


@pytest.fixture
def mute_server(tmp_path: Path) -> Generator[Broker]:
    """A broker that keeps nothing."""
    broker = Broker(tmp_path, "--name", "mute")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
async def process(broker: Broker, tmp_path: Path) -> AsyncGenerator[Callable[..., World]]:
    """Makes worlds that are joined by the broker alone, each like a process of its own, in real time."""
    made: list[World] = []
    quick = Pace(first=0.05, poll=0.05, away=0.1)

    def make(url: str = f"sqlite:{tmp_path}/{{service}}.db") -> World:
        made.append(World(url, clock=SystemClock(), pace=quick, broker=broker.url))
        return made[-1]

    yield make
    for world in made:
        await world.close()
