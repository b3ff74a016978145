"""An app at work: everything it declared is built, opened and wired here, and closed again in the opposite order."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enfilade import guard
from enfilade.call import Call, Handler, Principal, Station, row
from enfilade.clock import Clock
from enfilade.config import Config
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.read import read
from enfilade.endpoint import remote
from enfilade.endpoint.handle import handle
from enfilade.endpoint.local import connect
from enfilade.endpoint.site import Served, Site
from enfilade.errors import Finding, StartError
from enfilade.identity import DevelopmentIssuer, Passwords, Tokens, Verifier
from enfilade.outbound import Http
from enfilade.service.find import implementation, place
from enfilade.service.host import hosted
from enfilade.service.inject import Injector, wants
from enfilade.service.mount import Mount, Scope
from enfilade.service.pools import Processes, Threads
from enfilade.store import Database, Store, open_store
from enfilade.store.blobs import Blobs, FolderBlobs, MemoryBlobs
from enfilade.topic import Topic, handlers_of, schedules_of
from enfilade.topic.consumer import Consumer, consumers_of
from enfilade.topic.messaging import Messaging
from enfilade.trace.collector import Collector
from enfilade.trace.feed import Feed
from enfilade.trace.file import TraceFile
from enfilade.trace.process import watch_process
from enfilade.trace.recorder import Recorder

if TYPE_CHECKING:
    from enfilade.app import App

log = logging.getLogger("enfilade")


@dataclass(frozen=True)
class Tools:
    """What the stations of one service's row are made with."""

    store: Store | None
    recorder: Recorder
    verifier: Verifier
    resolvers: Sequence[guard.Resolver]
    may_call: Callable[[str, str], bool]
    meters: guard.Meters
    bulkhead: guard.Bulkhead
    isolate: bool


Row = Callable[[Tools, Sequence[Station]], tuple[Station, ...]]
"""The app's row of stations; see `enfilade.app.stations`."""


@dataclass
class Placed:
    """A contract and what serves it in this process."""

    contract: Contract
    build: Callable[..., Any] | None
    """None where it is served elsewhere."""
    at: str = ""
    store: Store | None = None
    injector: Injector | None = None
    instance: Any = None
    calls: frozenset[str] = field(default_factory=frozenset[str])
    """Services whose contracts its constructor names."""


class Running:
    """A started app. Made by `App.running()`, and by tests, where nothing happens by itself."""

    def __init__(
        self,
        app: App,
        config: Config,
        stations: Row,
        *,
        background: bool = True,
        topic: Callable[[Any, str], Topic[Any]] = Topic,
    ) -> None:
        self.app = app
        self.config = config
        self.clock: Clock = app.clock
        self.folder = Path(config.folder)
        self.recorder = Recorder(app.clock, service=app.name, enabled=config.trace.enabled, sample=config.trace.sample)
        self.served: tuple[Served, ...] = ()
        self.handlers: dict[str, Handler] = {}
        """By operation id: the whole row."""
        self.placed: dict[str, Placed] = {}
        """By service name."""
        self.outsiders: set[str] = set()
        """Peers that are no service and may call what is for peers: tests."""
        self._stations = stations
        self._by_type: dict[type, Contract] = {}
        self._exit = AsyncExitStack()
        self._waiting: set[str] = {"start"}
        self._background = background
        self._topic = topic
        self.messaging = Messaging(clock=app.clock, recorder=self.recorder)

    # -- start and stop

    async def start(self) -> None:
        """Build, check and open everything. Raises StartError with all that is wrong, and leaves nothing open then."""
        try:
            self._read()
            self._place()
            self._prepare()
            await self._record()
            await self._open()
            self._wire()
            await self._enter()
            await self.messaging.start(background=self._background)
            self._exit.push_async_callback(self.messaging.stop, self.config.drain if self._background else 0.0)
        except BaseException:
            await self._exit.aclose()
            raise
        self._waiting.discard("start")
        log.info("%s is ready: %d services, %d operations", self.app.name, len(self.placed), len(self.handlers))

    async def stop(self) -> None:
        """Finish what runs, deliver what was published, close everything, within `drain` seconds."""
        self._waiting.add("stop")
        await self._exit.aclose()

    def unready(self) -> tuple[str, ...]:
        """What the app still waits for; empty when it is ready."""
        return tuple(sorted(self._waiting))

    # -- what is there

    def _read(self) -> None:
        findings: list[Finding] = []
        for kind in self.app.services:
            try:
                contract = read(kind)
            except StartError as wrong:
                findings.extend(wrong.findings)
                continue
            if contract.name in self.placed:
                other = self.placed[contract.name].contract
                what = f"two services are named {contract.name}: {other.where} and {contract.where}."
                findings.append(
                    Finding(contract.where, what, 'Name one of them: @contract(name="...").', "service-name")
                )
                continue
            self.placed[contract.name] = Placed(contract, None, self.config.at(contract.name))
            self._by_type[contract.type] = contract
            for role in contract.roles:
                self._by_type.setdefault(role, contract)
        known = {placed.contract.type for placed in self.placed.values()}
        for kind in self.app.builders:
            if kind not in known:
                what = f"app.service({kind.__name__}) has no such service."
                remedy = f"Add {kind.__name__} to the app's services."
                findings.append(Finding(place(kind), what, remedy, "unknown-service"))
        _raise(findings)

    def _place(self) -> None:
        findings: list[Finding] = []
        for placed in self.placed.values():
            given = self.app.builders.get(placed.contract.type)
            if given is not None:
                placed.build, placed.at = given, ""
            elif not placed.at:
                try:
                    placed.build = implementation(placed.contract)
                except StartError as wrong:
                    findings.extend(wrong.findings)
        if not self.config.development and len(self.config.secret) < 32:
            remedy = "Set ENFILADE_SECRET to 32 characters or more, the same in every process of the app."
            findings.append(Finding("enfilade.toml", "outside development the app needs a secret.", remedy, "secret"))
        _raise(findings)

    def _prepare(self) -> None:
        """Build the services: handles first know only where their rows will be."""
        secret = (self.config.secret or secrets.token_hex(32)).encode()
        self._identity()
        findings: list[Finding] = []
        for name, placed in self.placed.items():
            if placed.build is None:
                continue
            if keeps(placed.contract, placed.build):
                placed.store = open_store(
                    self.config.data_url, name, clock=self.clock, recorder=self.recorder, secret=secret,
                    synchronous=self.config.synchronous,
                )  # fmt: skip
            placed.injector = Injector(
                name,
                self.config,
                placed.store,
                self._contract_for,
                self._topic,
                self._singles(placed),
                self.app.provided,
            )
            placed.instance = placed.injector.build(placed.build)
            placed.calls = frozenset(
                self._by_type[want.type].name
                for want in wants(placed.build)
                if want.kind == "contract" and want.type in self._by_type
            )
            findings.extend(placed.injector.findings)
        _raise(findings)

    def _identity(self) -> None:
        audience = self.config.audience or self.app.name
        issuers = list(self.config.issuers)
        self.tokens: Tokens | None = None
        if self.config.development:
            issuer = DevelopmentIssuer(self.folder, audience)
            issuers.append(issuer.issuer)
            self.tokens = Tokens(issuer, self.clock)
        self.verifier = Verifier(issuers, self.clock)
        self.passwords = Passwords(self.clock)

    def _singles(self, placed: Placed) -> Mapping[type, Callable[[Any], Any]]:
        """What the platform gives to one service, by type."""
        store = placed.store
        blobs: Blobs = (
            MemoryBlobs() if self.config.data_url == "sqlite::memory:" else FolderBlobs(self.folder / "blobs")
        )
        self.blobs = blobs
        singles: dict[type, Callable[[Any], Any]] = {
            Http: lambda kind: self._closing(kind(self.recorder)),
            Threads: lambda kind: self._closing(kind(self.config.threads)),
            Processes: lambda kind: self._closing(kind(self.config.processes)),
            Passwords: lambda _: self.passwords,
            Blobs: lambda _: blobs,
            Clock: lambda _: self.clock,
        }
        if self.tokens is not None:
            singles[Tokens] = lambda _: self.tokens
        if store is not None:
            singles[Database] = lambda _: store.database
        return singles

    def _closing(self, thing: Any) -> Any:
        self._exit.push_async_callback(thing.aclose)
        return thing

    def _contract_for(self, kind: type) -> Any | None:
        contract = self._by_type.get(kind)
        return None if contract is None else connect(contract, self.handlers)

    async def _record(self) -> None:
        """Where spans go beside the ring: the trace file, a collector."""
        trace = self.config.trace
        if not (trace.enabled and self._background):
            return
        watch_process(self.recorder.metrics, self.clock)
        if trace.file:
            await self._exit.enter_async_context(Feed(self.recorder, TraceFile(self.folder / "traces"), name="file"))
        if trace.otlp:
            collector = Collector(trace.otlp, resource={"service.name": self.app.name})
            await self._exit.enter_async_context(Feed(self.recorder, collector, name="otlp"))

    # -- open and wire

    async def _open(self) -> None:
        findings: list[Finding] = []
        for placed in self.placed.values():
            if placed.store is None:
                continue
            await placed.store.open()
            self._exit.push_async_callback(placed.store.close)
            changes = await placed.store.migrate(apply=self.config.development)
            for change in changes:
                if not change.applied:
                    remedy = "Run `enfilade migrate` and read what it would do."
                    findings.append(Finding(placed.contract.name, str(change), remedy, "schema"))
        _raise(findings)

    def _wire(self) -> None:
        meters = guard.Meters(self.clock)
        for placed in self.placed.values():
            tools = self._tools(placed, meters)
            stations = self._stations(tools, self.app.stations)
            last = self._remote(placed) if placed.build is None else None
            for operation in placed.contract.operations:
                end = hosted(operation, placed.instance) if last is None else last[operation.id]
                self.handlers[operation.id] = row(operation, stations, end)
            if placed.store is not None:
                self.messaging.join(placed.store, self._consumers(placed, tools))
        site = Site(
            name=self.app.name,
            contracts=tuple(placed.contract for placed in self.placed.values()),
            handlers=self.handlers,
            clock=self.clock,
            recorder=self.recorder,
            blobs=self.blobs,
            unready=self.unready,
        )
        self.served = tuple(endpoint.serve(site) for endpoint in self.app.endpoints)

    def _tools(self, placed: Placed, meters: guard.Meters) -> Tools:
        isolate = self.config.codec == "always" or (self.config.codec == "" and self.config.development)
        return Tools(
            store=placed.store,
            recorder=self.recorder,
            verifier=self.verifier,
            resolvers=self.app.resolvers,
            may_call=self.may_call,
            meters=meters,
            bulkhead=guard.Bulkhead(self.config.concurrency),
            isolate=isolate,
        )

    def _consumers(self, placed: Placed, tools: Tools) -> Sequence[Consumer]:
        """The handlers and timers of a service. Who says an event does not know who hears it: any peer may call them."""
        if not isinstance(placed.build, type):
            return ()
        stations = self._stations(replace(tools, may_call=_anybody), self.app.stations)
        name = placed.contract.name
        return consumers_of(placed.build, name, lambda one: row(one, stations, hosted(one, placed.instance)))

    def _remote(self, placed: Placed) -> Mapping[str, Handler]:
        return remote.connect(placed.contract, placed.at, self._closing(Http(self.recorder)))

    def may_call(self, peer: str, service: str) -> bool:
        """Whether a service's constructor names the contract of another; one's own operations are one's own."""
        if peer in self.outsiders or peer == service:
            return True
        placed = self.placed.get(peer)
        return placed is not None and service in placed.calls

    async def _enter(self) -> None:
        for placed in self.placed.values():
            for resource in placed.injector.resources if placed.injector else ():
                await self._exit.enter_async_context(resource)
        for mount in self.app.mounts:
            await self._exit.enter_async_context(mount.lifespan())

    # -- requests

    def mount_for(self, scope: Scope) -> Mount | None:
        """The mounted application that a request is for: ours have the precedence, by method and path."""
        path: str = scope["path"]
        for mount in self.app.mounts:
            if mount.has(path):
                ours = scope["type"] == "http" and any(one.knows(scope["method"], path) for one in self.served)
                return None if ours else mount
        return None

    # -- calls from code that is no service

    def get(self, kind: Any, *, acting: Principal | None = None, peer: str = "") -> Any:
        """A handle whose calls begin here: as a person, or as a peer."""
        contract = self._by_type[kind]

        def begin(operation: Operation, arguments: dict[str, Any]) -> Call:
            deadline = self.clock.monotonic() + operation.timeout
            tenant = acting.tenant if acting else ""
            return Call(operation, arguments, self.clock, deadline, caller=acting, tenant=tenant, peer=peer)

        return handle(contract, self.handlers, begin)


def keeps(contract: Contract, build: Callable[..., Any]) -> bool:
    """Whether a service needs a store: for rows, for events that it says or hears, for commands repeated by key."""
    if any(want.kind in ("table", "topic") or want.type is Database for want in wants(build)):
        return True
    if isinstance(build, type) and (handlers_of(build) or schedules_of(build)):
        return True
    return any(operation.kind == "command" for operation in contract.operations)


def _anybody(_peer: str, _service: str) -> bool:
    return True


def _raise(findings: Sequence[Finding]) -> None:
    if findings:
        raise StartError(findings)
