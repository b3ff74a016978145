"""The composition root: which services an app has, and the one row of stations that every call passes.

    app = App("shop", services=[Accounts, Catalog, Cart, Orders])

`App` only says what there is. `running.py` builds it, `enfilade run` or any ASGI server serves it: the app is a plain
ASGI application.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar, cast

import msgspec
from typing_extensions import TypeForm

from enfilade import guard
from enfilade.call import Outside, Principal, Station
from enfilade.clock import Clock, SystemClock
from enfilade.config import Config, load
from enfilade.endpoint import openid, rest
from enfilade.endpoint.asgi import serve_http
from enfilade.endpoint.local import through_codec
from enfilade.endpoint.reading import reading
from enfilade.endpoint.site import HttpEndpoint
from enfilade.errors import Misuse
from enfilade.identity import Resolver
from enfilade.placement import Share
from enfilade.policy import Cedar
from enfilade.running import Running, Tools
from enfilade.service.host import home
from enfilade.service.mount import Mount, Receive, Scope, Send

C = TypeVar("C")


def stations(tools: Tools, users: Sequence[Station]) -> tuple[Station | Outside, ...]:
    """The row. Every call passes it in this order: a request, a call between services, an event, a timer."""
    return (
        tools.recorder.station,  # trace: the call becomes current(), with a span and its metrics
        home(tools.store),  # at home in its service's store
        guard.audit(tools.trail),  # commands and refusals, one line each
        Outside(guard.identity(tools.verifier, tools.resolvers)),  # who calls; from here on it is known
        *users,  # the app's own stations
        guard.needs(tools.callers),  # may he
        Outside(tools.meters.station),  # how often
        Outside(reading),  # now his request is read, and not before
        guard.rules(tools.callers),  # may he, with these arguments
        guard.policies(tools.policy),  # and by the central policies
        guard.deadline(),  # how long
        Outside(tools.bulkhead.station),  # how many at once
        *((tools.spread,) if tools.spread else ()),  # here, or in another process of a plan
        guard.idempotency(),  # again, or for the first time
        *((tools.mirror,) if tools.mirror else ()),  # and perhaps at a variant, in rehearsal
        guard.raises(),  # only declared problems leave
        *((through_codec,) if tools.isolate else ()),  # development: what a wire would have made of it
    )


class Seat(Generic[C]):
    """The place of one contract in an app: `app.service(Orders).by(OrdersService)`."""

    def __init__(self, put: Callable[[Callable[..., Any]], None]) -> None:
        self._put = put

    def by(self, build: Callable[..., C]) -> None:
        """Served by what `build` makes: a class or a function, injected like any service."""
        self._put(build)


class App:
    """An app: the services it has, and the endpoints that they are reached by.

    `services` are contracts; each implementation is found beside its contract, or said by `app.service(C).by(build)`.
    `endpoints` are values such as `rest("/api")`; by default `rest("/")` and `openid()`. `stations` are your own,
    passed by every call after the caller is known. `config` and `clock` are for tests; an app is configured by
    `enfilade.toml`.
    """

    def __init__(
        self,
        name: str,
        *,
        services: Sequence[TypeForm[Any]],
        endpoints: Sequence[HttpEndpoint] | None = None,
        stations: Sequence[Station] = (),
        config: Config | None = None,
        clock: Clock | None = None,
        policy: Cedar | None = None,
    ) -> None:
        self.name = name
        self.services: tuple[Any, ...] = tuple(services)
        self.endpoints: tuple[HttpEndpoint, ...] = (rest("/"), openid()) if endpoints is None else tuple(endpoints)
        self.stations = tuple(stations)
        self.config = config
        self.clock = clock or SystemClock()
        self.policy = policy
        self.builders: dict[Any, Callable[..., Any]] = {}
        """What serves a contract that is not served by the class beside it."""
        self.provided: dict[Any, Callable[..., Any]] = {}
        self.mounts: list[Mount] = []
        self.resolvers: list[Resolver] = []
        self.running_now: Running | None = None
        self.share = Share()
        """What this process is told of others that serve the rest of it; see `enfilade.plan`."""

    def service(self, contract: TypeForm[C]) -> Seat[C]:
        """Who serves a contract, where it is not the class beside it: `app.service(Psp).by(FakePsp)`."""
        return Seat(lambda build: self.builders.__setitem__(contract, build))

    def provide(self, kind: TypeForm[C]) -> Seat[C]:
        """How a thing is made that services ask for: `app.provide(Index).by(open_index)`. One for each service."""
        return Seat(lambda build: self.provided.__setitem__(kind, build))

    def mount(self, path: str, asgi: Any, *, name: str = "") -> None:
        """Another ASGI application below a path, with its lifespan. Our operations come first, by method and path."""
        if not path.startswith("/"):
            raise Misuse(f"a mount's path starts with a slash: app.mount('/{path}', ...)")
        self.mounts.append(Mount(path.rstrip("/"), asgi, name or getattr(asgi, "__module__", "mounted")))

    def identify(self, resolver: Resolver) -> None:
        """Another way to know who calls than a bearer token: `Credentials -> Principal | None`."""
        self.resolvers.append(resolver)

    @asynccontextmanager
    async def running(self, host: str = "", port: int = 0) -> AsyncGenerator[Running]:
        """Start, and stop at the end: everything but the listening. Raises StartError with all that is wrong.

        `host` and `port` are where it is listened, if it is not what the configuration says.
        """
        config = self.config or load()
        if port:
            config = msgspec.structs.replace(cast("Any", config), host=host, port=port)
        running = Running(self, config, stations)
        await running.start()
        self.running_now = running
        try:
            yield running
        finally:
            self.running_now = None
            await running.stop()

    def get(self, contract: TypeForm[C], *, acting: Principal | None = None) -> C:
        """A handle for code that is no service (a script, a mounted app), calling as `acting`."""
        if self.running_now is None:
            raise Misuse(f"{self.name} is not running: take the handle inside `async with app.running()`.")
        return self.running_now.get(contract, acting=acting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        running = self.running_now
        if running is None:
            raise Misuse(f"{self.name} was asked before its lifespan began: run it on a server that supports lifespan.")
        mount = running.mount_for(scope) if self.mounts else None
        if mount is not None:
            await mount.serve(scope, receive, send)
        elif scope["type"] == "http":
            await serve_http(running.served, scope, receive, send)
        else:
            raise Misuse(f"{self.name} does not speak {scope['type']} at {scope['path']}.")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self.running():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as failed:
            await send({"type": "lifespan.startup.failed", "message": str(failed)})
            raise
        await send({"type": "lifespan.shutdown.complete"})
