"""An app at work: what it declared is built, opened and wired here, and closed again in the opposite order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from enfilade import guard
from enfilade.call import Call, Handler, Outside, Principal, Rows, Station, row
from enfilade.config import Config
from enfilade.contract.operation import Operation
from enfilade.contract.plan import Plans
from enfilade.endpoint import remote
from enfilade.endpoint.asgi import known
from enfilade.endpoint.handle import handle
from enfilade.endpoint.local import connect
from enfilade.endpoint.site import Served, Site
from enfilade.errors import Finding, Misuse
from enfilade.identity import Resolver, Verifier
from enfilade.identity.apikeys import ApiKeys
from enfilade.identity.apikeys.resolver import KnownKeys
from enfilade.identity.provider import Provider
from enfilade.mesh import Mesh
from enfilade.placement import Placed, Placement, Share, refuse
from enfilade.secrets import Source
from enfilade.service.host import hosted
from enfilade.service.inject import Injector, secrets_of
from enfilade.service.mount import Mount, Scope
from enfilade.store import Store
from enfilade.supplies import Supplies, provider_of
from enfilade.topic import Topic, Transport
from enfilade.topic.consumer import Consumer, consumers_of
from enfilade.topic.messaging import Messaging
from enfilade.trace.recorder import Recorder

if TYPE_CHECKING:
    from enfilade.app import App

log = logging.getLogger("enfilade")

_TIDY: Final = 3600.0
"""Seconds between two removals of what is old."""
_WRITE_DOWN: Final = 5.0
"""Seconds between two times of writing down what was taken of quotas."""
_KEPT: Final = timedelta(hours=24)
"""How long a command can be repeated under its idempotency key."""


@dataclass(frozen=True)
class Tools:
    """What the stations of one service's row are made with."""

    store: Store | None
    recorder: Recorder
    verifier: Verifier
    trail: guard.Trail | None
    resolvers: Sequence[Resolver]
    callers: guard.Callers
    policy: guard.Policy | None
    meters: guard.Meters
    bulkhead: guard.Bulkhead
    isolate: bool
    spread: Station | None = None
    """Of a service that other processes may serve, too."""
    mirror: Station | None = None


Row = Callable[[Tools, Sequence[Station]], tuple[Station | Outside, ...]]
"""The app's row of stations; see `enfilade.app.stations`."""


class Running:
    """A started app. Made by `App.running()`, and by tests, where nothing happens by itself."""

    site: Site
    """What endpoints are given."""

    def __init__(
        self,
        app: App,
        config: Config,
        stations: Row,
        *,
        background: bool = True,
        topic: Callable[[Any, str], Topic[Any]] = Topic,
        outsiders: Sequence[str] = (),
        sources: Sequence[Source] = (),
    ) -> None:
        """Raises StartError with what is wrong; nothing is open yet.

        `outsiders` are peers that are no service and may call what is for peers, `sources` are asked for secrets first:
        tests.
        """
        self.app = app
        self.config = config
        self.clock = app.clock
        self.placement = Placement(app.services, app.builders, config, app.share)
        self._exit = AsyncExitStack()
        self._own = provider_of(self.placement, config, lambda: self.get(Provider))
        self.supplies = Supplies(app.name, config, app.clock, self._exit, sources, self._own, app.share.replica)
        self.recorder = self.supplies.recorder
        self.mesh = Mesh(app.share, app.clock, self.recorder.metrics)
        self._exit.callback(self.mesh.close)
        self.messaging = Messaging(clock=app.clock, recorder=self.recorder, transport=self._transport())
        self.stores: dict[str, Store] = {}
        """By service name, of those that keep something."""
        self.handlers = Rows()
        """By operation id: the whole row."""
        self._inside = Rows()
        """The same for calls between services."""
        self._served: dict[str, Handler] = {}
        """The same for those that come from another process, of what is served here."""
        self._idle: dict[str, Sequence[Consumer]] = {}
        """By service: what is not heard here as long as no calls come here."""
        self.served: tuple[Served, ...] = ()
        services = self.placement.services
        self._callers = {
            name: {name, *outsiders, *(other for other, placed in services.items() if name in placed.calls)}
            for name in services
        }
        contracts = [placed.contract for placed in services.values()]
        self.policy = None if app.policy is None else app.policy.open(contracts)
        self._stations = stations
        self._meters = guard.Meters(app.clock)
        self._background = background
        self._trail: guard.Trail | None = None
        self._topic = topic
        self._instances: dict[str, Any] = {}
        self._resources: list[Any] = []
        self._waiting = {"start"}

    # -- start and stop

    async def start(self) -> None:
        """Build, open and wire everything. Raises StartError with what is wrong, and leaves nothing open then."""
        try:
            self._build(await self._missing())
            if self._background:
                await self.supplies.record()
                self._trail = self.supplies.trail()
            await self._open()
            self._wire()
            for resource in self._resources:
                await self._exit.enter_async_context(resource)
            for mount in self.app.mounts if self.app.share.front else ():
                await self._exit.enter_async_context(mount.lifespan())
            await self.messaging.start(background=self._background)
            self._exit.push_async_callback(self.messaging.stop, self.config.drain if self._background else 0.0)
            if self._background:
                for seconds, work in ((_TIDY, self.tidy), (_WRITE_DOWN, self._meters.flush)):
                    task = asyncio.create_task(self._often(seconds, work), name=f"enfilade-{work.__name__}")
                    self._exit.callback(task.cancel)
        except BaseException:
            await self._exit.aclose()
            raise
        self._waiting.discard("start")
        log.info("%s is ready, with %s", self.app.name, ", ".join(self._instances) or "no service of its own")

    async def stop(self) -> None:
        """Finish what runs, deliver what was published, close everything, within `drain` seconds."""
        self._waiting.add("stop")
        await self._exit.aclose()

    def unready(self) -> tuple[str, ...]:
        """What the app still waits for; empty when it is ready."""
        return tuple(sorted((*self._waiting, *self.messaging.waiting)))

    def rearrange(self, share: Share) -> None:
        """From now on the other processes are as this share says; what this one serves stays the same."""
        self.app.share = share
        for name, placed in self.placement.services.items():
            placed.calls = share.calls.get(name, placed.calls)
            if placed.ways:
                placed.ways = share.ways[name]
            for other in placed.calls:
                self._callers[other].add(name)
        self.mesh.change(share)
        if self._hear() and "start" not in self._waiting:
            joining = asyncio.create_task(self.messaging.begin(background=self._background), name="enfilade-join")
            self._exit.callback(joining.cancel)

    async def _missing(self) -> list[Finding]:
        """The secrets that services ask for and no source has."""
        builds = [placed.build for placed in self.placement.services.values() if placed.build is not None]
        asked = [one for build in builds for one in secrets_of(build, self.app.provided)]
        if self._own is not None:
            asked += [(f"client {one.id}", one.secret, False) for one in self._own.settings.clients if one.secret]
        return await self.supplies.secrets.missing(asked)

    def _build(self, findings: list[Finding]) -> None:
        """The services, with all that they ask for. Their handles know only where the rows will be."""
        for name, placed in self.placement.services.items():
            if placed.build is None:
                continue
            if placed.keeps:
                self.stores[name] = self.supplies.store(name)
            store = self.stores.get(name)
            injector = Injector(
                name, self.config, store, self._handle, self._topic, self.supplies.singles(store),
                self.supplies.secrets, self.app.provided,
            )  # fmt: skip
            self._instances[name] = injector.build(placed.build)
            self._resources += injector.resources
            findings += injector.findings
        refuse(findings)

    def _handle(self, kind: type) -> Any | None:
        contract = self.placement.contract(kind)
        return None if contract is None else connect(contract, self._inside)

    async def _open(self) -> None:
        findings: list[Finding] = []
        for name, store in self.stores.items():
            await store.open()
            self._exit.push_async_callback(store.close)
            for change in await store.migrate(apply=self.config.development):
                if change.needed and not change.applied:
                    remedy = "Run `enfilade migrate` and read what it would do."
                    findings.append(Finding(name, str(change), remedy, "schema"))
        refuse(findings)
        await self._give_keys()

    async def _give_keys(self) -> None:
        """What encrypted fields are sealed with, for the stores that have some."""
        stores = [store for store in self.stores.values() if store.seals]
        if not stores:
            return
        keys = await self.supplies.data_keys()
        for store in stores:
            store.home.keys = keys
        if self._background:
            following = asyncio.create_task(self.supplies.follow(keys), name="enfilade-data-keys")
            self._exit.callback(following.cancel)

    def _wire(self) -> None:
        """The row of each operation, handler and timer; then the endpoints, which are given the rows."""
        meters = self._meters
        self._exit.push_async_callback(meters.flush, all=True)
        if (plans := self.placement.contract(Plans)) is not None:
            meters.allowed.plans = self._handle(Plans)
            self._callers[plans.name] |= {name for name, placed in self.placement.services.items() if placed.planned}
        resolvers = self._resolvers()
        for name, placed in self.placement.services.items():
            tools = self._tools(name, meters, resolvers)
            self._rows(placed, tools)
            if name in self.stores:
                self._idle[name] = self._consumers(placed, tools)
        self._hear()
        contracts = tuple(placed.contract for placed in self.placement.services.values())
        here = {name for name, placed in self.placement.services.items() if placed.build is not None}
        self.site = Site(
            name=self.app.name, config=self.config, contracts=contracts, handlers=self.handlers, clock=self.clock,
            inside=self._served, callers=self.callers,
            recorder=self.recorder, blobs=self.supplies.blobs, unready=self.unready,
            talk=partial(self.placement.talk, self.app.provided), url=self.config.url, issuers=self.supplies.issuers,
        )  # fmt: skip
        share = self.app.share
        if share.front or (share.edge and here):
            others = self.mesh.unready if share.front and share.process else None
            site = replace(self.site, others=others, only=None if share.front else frozenset(here))
            self.served = tuple(endpoint.serve(site) for endpoint in self.app.endpoints)

    def _rows(self, placed: Placed, tools: Tools) -> None:
        """The rows of a service: what comes from another process or from the edge was meant for this one."""
        share, users, ends = self.app.share, self.app.stations, cache(lambda: self._ends(placed))
        served = chosen = self._stations(tools, users)
        if share.process and placed.build is not None:
            chosen = self._stations(replace(tools, spread=self.mesh.spread(placed.contract)), users)

        def make(operation: Operation, stations: Sequence[Station | Outside], inside: bool) -> Handler:
            return row(operation, stations, ends()[operation.id], inside=inside)

        outer = chosen if share.front and not share.edge else served
        for operation in placed.contract.operations:
            id = operation.id
            for rows, way, inside in ((self.handlers, outer, False), (self._inside, chosen, True)):
                if placed.ways:  # of what others serve, most processes call little
                    rows.later(id, partial(make, operation, way, inside))
                else:
                    rows[id] = make(operation, way, inside)
            if placed.build is not None:
                self._served[id] = self._inside[id] if chosen is served else make(operation, served, True)

    def _hear(self) -> bool:
        """Join those who hear events, all but variants that no calls come to; whether there are new ones."""
        joining = [name for name in self._idle if not self.app.share.idle(name)]
        for name in joining:
            self.messaging.join(self.stores[name], self._idle.pop(name))
        return bool(joining)

    def callers(self, service: str) -> Collection[str]:
        """The services that may call this one: those whose constructors name its contract."""
        return self._callers.get(service, ())

    def _tools(self, service: str, meters: guard.Meters, resolvers: Sequence[Resolver]) -> Tools:
        placed = self.placement.services[service]
        mirrored = placed.build is not None and self.app.share.process
        return Tools(
            store=self.stores.get(service),
            recorder=self.recorder,
            verifier=self.supplies.verifier,
            trail=self._trail,
            resolvers=resolvers,
            callers=self.callers,
            policy=self.policy,
            meters=meters,
            bulkhead=guard.Bulkhead(self.config.concurrency),
            isolate=self.config.isolate and not placed.ways,
            mirror=self.mesh.mirror(placed.contract) if mirrored else None,
        )

    def _resolvers(self) -> Sequence[Resolver]:
        """The app's own, and the platform's where a service asks for sessions or keeps API keys."""
        found: list[Resolver] = [*self.app.resolvers]
        if self.app.share.sessions:
            self.supplies.in_cookies()  # the service that lets people in is elsewhere
        if self.supplies.sessions is not None:
            found.append(self.supplies.sessions)
        if (keys := self.placement.contract(ApiKeys)) is not None:
            asked = self.get(ApiKeys, peer=keys.name)
            found.append(KnownKeys(asked.identify, self.clock))
        return found

    def _ends(self, placed: Placed) -> Mapping[str, Handler]:
        """Where the rows of a service end: at its methods, or at its address."""
        if placed.ways:
            return self.mesh.ends(placed.contract)
        if placed.build is None:
            return remote.connect(placed.contract, placed.at, self.supplies.remote(placed.at))
        instance = self._instances[placed.contract.name]
        return {operation.id: hosted(operation, instance) for operation in placed.contract.operations}

    def _transport(self) -> Transport:
        """What carries events: a broker, where the configuration names one, or else we ourselves."""
        return self.supplies.transport() if self.config.events or not self.app.share.process else self.mesh.between()

    def _consumers(self, placed: Placed, tools: Tools) -> Sequence[Consumer]:
        """The handlers and timers of a service. Who says an event does not know who hears it: any peer may call."""
        if not isinstance(placed.build, type):
            return ()
        name = placed.contract.name
        stations = self._stations(replace(tools, callers=_everybody, mirror=None), self.app.stations)
        instance = self._instances[name]
        return consumers_of(placed.build, name, lambda one: row(one, stations, hosted(one, instance), inside=True))

    async def tidy(self) -> None:
        """Forget idempotency records that are older than callers may count on, and quotas of windows that ended."""
        for name, store in self.stores.items():
            try:
                await store.records.sweep(self.clock.now() - _KEPT)
                await store.counts.sweep(self.clock.now())
            except Exception:
                log.exception("the old records of %s could not be removed; it is tried again", name)

    async def _often(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await self.clock.sleep(seconds)
            await asyncio.shield(work())  # what was begun is finished before the stores close

    # -- calls

    def mount_for(self, scope: Scope) -> Mount | None:
        """The mounted application that a request is for: ours have the precedence, by method and path."""
        path: str = scope["path"]
        for mount in self.app.mounts:
            if mount.has(path):
                ours = scope["type"] == "http" and known(self.served, scope)
                return None if ours else mount
        return None

    def get(self, kind: Any, *, acting: Principal | None = None, peer: str = "") -> Any:
        """A handle whose calls begin here: as a person, or as a peer."""
        contract = self.placement.contract(kind)
        if contract is None:
            raise Misuse(f"{self.app.name} has no service {kind.__name__}: add it to the app's services.")

        def begin(operation: Operation, arguments: dict[str, Any]) -> Call:
            deadline = self.clock.monotonic() + operation.timeout
            tenant = acting.tenant if acting else ""
            return Call(operation, arguments, self.clock, deadline, caller=acting, tenant=tenant, peer=peer)

        return handle(contract, self.handlers, begin)


class _Everybody:
    def __contains__(self, _: object) -> bool:
        return True


def _everybody(_: str) -> _Everybody:
    return _Everybody()
