"""An app on a port: uvicorn with uvloop and httptools, started when it really accepts, stopped in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import uvicorn

from enfilade.cli.lanes import BACKLOG, mine
from enfilade.cli.refused import Refused
from enfilade.endpoint.http1 import Connection, Door, Forwarded, OurEdge, Proxies

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.running import Running

T = TypeVar("T")

_LOOK: Final = 0.05
"""Seconds between two looks whether all clients have left."""


@asynccontextmanager
async def serving(app: App, host: str = "127.0.0.1", port: int = 8080, *, drain: float = 10.0) -> AsyncGenerator[str]:
    """Serve an app until the block ends; gives its URL once it accepts connections.

        async with serving(app, port=0) as url:
            ...

    At the end it stops to accept, finishes what runs, then delivers what was published and closes the app, each of the
    two within `drain` seconds. Port 0 takes any that is free. Raises Refused where the port cannot be had, and
    StartError where the app cannot start.
    """
    with listening(host, port) as listener:
        bound, taken, *_ = listener.getsockname()
        async with app.running(bound, taken) as running, accepting(app, running, [listener], drain):
            yield url_of(listener)


class Reception:
    """What accepts connections: in which lanes, and how it leaves them. They stay open, for other workers."""

    def __init__(self, server: uvicorn.Server, lanes: Sequence[socket.socket], drain: float) -> None:
        self._server = server
        self._lanes = lanes
        self._drain = drain
        self._at: dict[socket.socket, asyncio.Server] = {}

    async def take(self, worker: int, workers: int) -> None:
        """Accept in the lanes of this worker of so many, and no longer in others; the first worker is 1."""
        await self._accept(mine(self._lanes, worker, workers))

    async def _accept(self, listeners: Sequence[socket.socket]) -> None:
        loop, server = asyncio.get_running_loop(), self._server
        for one in [one for one in self._at if one not in listeners]:
            self._at.pop(one).close()
        make = partial(
            server.config.http_protocol_class, config=server.config, server_state=server.server_state,
            app_state=server.lifespan.state, _loop=loop,
        )  # fmt: skip
        for one in listeners:
            if one not in self._at:
                self._at[one] = await loop.create_server(cast("Any", make), sock=one.dup(), backlog=BACKLOG)
        server.servers = list(self._at.values())

    async def leave(self) -> None:
        """Accept nothing more, and answer each connection once more, and tell it so, within `drain` seconds: no client
        loses a request to a connection that closes."""
        await self._accept(())
        connections = cast("set[Any]", self._server.server_state.connections)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain):
                while connections:
                    for one in tuple(connections):
                        if isinstance(one, Connection):  # and no websocket, which has no end of its own
                            one.leave()
                    await asyncio.sleep(_LOOK)


@asynccontextmanager
async def accepting(
    app: App,
    running: Running,
    lanes: Sequence[socket.socket],
    drain: float,
    edge: OurEdge | None = None,
    worker: int = 1,
    workers: int = 1,
) -> AsyncGenerator[Reception]:
    """Answer what comes in the lanes of a port, for an app that runs; at the end, finish what has come.

    Where `edge` asks there, it is believed.
    """
    settings = _settings(app, running, drain, edge)
    settings.load()
    server = uvicorn.Server(settings)
    # Its parts and not `serve()`, which takes the signals for itself and does not say when it accepts.
    server.lifespan = settings.lifespan_class(settings)
    collect_less()
    await server.startup(sockets=[])
    reception = Reception(server, lanes, drain)
    await reception.take(worker, workers)
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield reception
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown(sockets=list(lanes))


def collect_less() -> None:
    """Once all is loaded, let the garbage collector look less often."""
    # What was loaded stays for good: the collector need not look at it again with every tenth of a request.
    gc.collect()
    gc.freeze()
    # Nearly all that a request makes goes with it, without the collector: let it look a tenth as often.
    gc.set_threshold(7_000, 20, 20)


def run_until_stopped(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop, where there is one."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


@contextlib.contextmanager
def signals(at_once: Callable[[], None] = lambda: None) -> Generator[asyncio.Event]:
    """An event that SIGINT or SIGTERM sets. A second signal ends the process, after `at_once`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopped() -> None:
        if stop.is_set():
            at_once()
            os._exit(130)
        stop.set()

    try:
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(one, stopped)
    except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt
        yield stop
        return
    try:
        yield stop
    finally:
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)


def url_of(listener: socket.socket) -> str:
    """Where a client on this machine finds it."""
    bound, port, *_ = listener.getsockname()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound, str(bound))  # noqa: S104  (compared with, not bound to)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _settings(app: App, running: Running, drain: float, edge: OurEdge | None) -> uvicorn.Config:
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)  # what it says at start and end we say ourselves
    # Whom to believe about the client's address is the operator's to say; by default nobody.
    believed = os.environ.get("FORWARDED_ALLOW_IPS")
    return uvicorn.Config(
        app,
        http=cast("Any", _driver(running, edge or (None if believed is None else Proxies(believed)))),
        ws="auto" if app.mounts else "none",
        lifespan="off",  # the app is started around the server, so that an error at start is an error here
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=believed is not None,
        backlog=BACKLOG,
        timeout_graceful_shutdown=max(1, round(drain)),
    )


def _driver(running: Running, proxies: Forwarded | None) -> Callable[..., asyncio.Protocol]:
    """What uvicorn makes the protocol of each connection with."""
    doors: list[Door] = []

    def connection(
        *, config: uvicorn.Config, server_state: Any, app_state: Any, _loop: asyncio.AbstractEventLoop | None = None
    ) -> asyncio.Protocol:
        if not doors:
            mounts, ws = running.app.mounts, config.ws_protocol_class

            def upgrade() -> asyncio.Protocol:
                return cast("Any", ws)(config=config, server_state=server_state, app_state=app_state)

            doors.append(
                Door(
                    served=running.served,
                    asgi=cast("Any", config).loaded_app if mounts else None,
                    upgrade=upgrade if mounts and ws is not None else None,
                    proxies=proxies,
                    connections=server_state.connections,
                    tasks=server_state.tasks,
                )
            )
        return Connection(doors[0], _loop)

    return connection


@contextlib.contextmanager
def listening(host: str, port: int) -> Generator[socket.socket]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        # With the protocol named, or asyncio leaves Nagle's algorithm on, and small answers wait 40 ms for an ACK.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (socket.gaierror, UnicodeError) as unknown:
        raise Refused(f"{host} is no address of this machine.", "Say another: --host 127.0.0.1") from unknown
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            raise _refused(host, port, error) from error
        yield listener


def _refused(host: str, port: int, error: OSError) -> Refused:
    if error.errno == errno.EADDRINUSE:
        what = f"port {port} of {host} is taken: another program listens there."
        return Refused(what, f"Stop that program, or choose another port: --port {port + 1 if port < 65535 else 8080}")
    if error.errno == errno.EACCES:
        return Refused(f"port {port} needs more rights than this user has.", "Choose one from 1024: --port 8080")
    return Refused(f"{host}:{port} cannot be listened on: {error.strerror}.", "Say another: --host 127.0.0.1")
