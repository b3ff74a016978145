"""Which services an app has, and what serves each of them in this process: a class, or somebody elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from enfilade.config import Config
from enfilade.contract.compare import Talk, talk
from enfilade.contract.message import Event
from enfilade.contract.operation import Contract
from enfilade.contract.read import read
from enfilade.errors import Finding, StartError
from enfilade.service.find import implementation, place
from enfilade.service.inject import topics_of, wants
from enfilade.store import Database
from enfilade.topic import handlers_of, schedules_of

if TYPE_CHECKING:
    from enfilade.identity.workload import Workload


@dataclass
class Placed:
    """A contract and what serves it."""

    contract: Contract
    build: Callable[..., Any] | None
    """None where it is served elsewhere."""
    at: str = ""
    """Where that is, if the app is not what serves it."""
    ways: Sequence[Way] = ()
    """The processes of the app that serve it, if they are others."""
    calls: frozenset[str] = field(default_factory=frozenset[str])
    """Services whose contracts its constructor names."""

    @property
    def keeps(self) -> bool:
        """Whether it needs a store: for rows, for events that it says or hears, for keyed commands, for quotas."""
        if self.build is None:
            return False
        if any(want.kind in ("table", "topic") or want.type is Database for want in wants(self.build)):
            return True
        if isinstance(self.build, type) and (handlers_of(self.build) or schedules_of(self.build)):
            return True
        operations = self.contract.operations
        return any(one.kind == "command" or any(rate.quota().calendar for rate in one.rates) for one in operations)

    @property
    def hears(self) -> tuple[type[Event], ...]:
        """The events for which it has methods."""
        return tuple(one.event for one in handlers_of(self.build)) if isinstance(self.build, type) else ()

    @property
    def planned(self) -> bool:
        """Whether it asks what a tenant's plan allows."""
        return any(rate.plan for operation in self.contract.operations for rate in operation.rates)


@dataclass(frozen=True, kw_only=True)
class Way:
    """A process that serves a service; of several the first is the primary one, and the others are its variants."""

    process: str
    share: float = 100.0
    """Percent of the calls that go there."""
    mirror: float = 0.0
    """Percent of the primary's calls that are made there again, in rehearsal."""
    compare: bool = False
    """Whether the outcomes of both are compared."""
    ignore: tuple[str, ...] = ()
    """Paths into an answer at which they may differ: `/at`, `/items/*/id`."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """What a process is told of itself and of the others of its app. By default it is alone and does everything."""

    process: str = ""
    """Its own name."""
    replica: str = ""
    """The same among those that are alike: `orders@2` is the second of its name."""
    front: bool = True
    """Whether it serves the app's endpoints."""
    edge: bool = False
    """Whether an edge stands before the app, which asks each process for its own services, and the front for the
    rest."""
    at: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """By name of another process: the addresses of its replicas."""
    ways: Mapping[str, tuple[Way, ...]] = field(default_factory=dict[str, tuple[Way, ...]])
    """By service: the processes that serve it. What is not named is served here."""
    calls: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """By service: what its constructor names. Where it is elsewhere nobody imports it to see."""
    hears: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """By name of another process: the topics that are heard there."""
    sessions: bool = False
    """Whether a service of the app lets people in by a cookie."""
    trust: Workload | None = None
    """What it shows processes of other hosts, and believes of them."""
    use: Mapping[str, str] = field(default_factory=dict[str, str])
    """By service: the module of its implementation here, `module` or `module:Class`, where it is not the one beside
    its contract."""

    def idle(self, service: str) -> bool:
        """Whether this process is a variant that no calls go to: it hears no events and runs no timers."""
        mine = next((way for way in self.ways.get(service, ())[1:] if way.process == self.process), None)
        return mine is not None and not mine.share


class Placement:
    """All services of an app, by name."""

    def __init__(
        self,
        services: Sequence[Any],
        builders: Mapping[Any, Callable[..., Any]],
        config: Config,
        share: Share = Share(),
    ) -> None:
        """Raises StartError with every contract that cannot be read and every service that nobody serves."""
        self.services: dict[str, Placed] = {}
        self._contracts: dict[type, Contract] = {}
        self._read(services, builders)
        self._place(builders, config, share)
        for name, placed in self.services.items():
            if placed.build is None:
                placed.calls = share.calls.get(name, frozenset())
            else:
                asked = [self.contract(want.type) for want in wants(placed.build) if want.kind == "contract"]
                placed.calls = frozenset(one.name for one in asked if one is not None)

    def contract(self, kind: type) -> Contract | None:
        """Whose contract this is: a service's own, or a role that it plays."""
        return self._contracts.get(kind)

    def talk(self, provided: Mapping[Any, Callable[..., Any]]) -> dict[str, Talk]:
        """What the services here say and hear, by their names; `provided` is what the app gives them."""
        return {
            name: talk(topics_of(one.build, provided), one.hears)
            for name, one in self.services.items()
            if one.build is not None
        }

    def _read(self, services: Sequence[Any], builders: Mapping[Any, Callable[..., Any]]) -> None:
        findings: list[Finding] = []
        for kind in services:
            try:
                contract = read(kind)
            except StartError as wrong:
                findings.extend(wrong.findings)
                continue
            if contract.name in self.services:
                other = self.services[contract.name].contract
                what = f"two services are named {contract.name}: {other.where} and {contract.where}."
                remedy = 'Name one of them: @contract(name="...").'
                findings.append(Finding(contract.where, what, remedy, "service-name"))
                continue
            self.services[contract.name] = Placed(contract, None)
            self._contracts[contract.type] = contract
            for role in contract.roles:
                self._contracts.setdefault(role, contract)
        for kind in builders:
            if kind not in services:
                what = f"app.service({kind.__name__}) has no such service."
                remedy = f"Add {kind.__name__} to the app's services."
                findings.append(Finding(place(kind), what, remedy, "unknown-service"))
        refuse(findings)

    def _place(self, builders: Mapping[Any, Callable[..., Any]], config: Config, share: Share) -> None:
        findings: list[Finding] = []
        for name, placed in self.services.items():
            given, at, ways = builders.get(placed.contract.type), config.at(name), share.ways.get(name, ())
            if ways and all(way.process != share.process for way in ways):
                placed.ways = ways
            elif given is not None and name not in share.use:
                placed.build = given
            elif at:
                placed.at = at
                if not at.startswith(("http://", "https://")):
                    remedy = f'Write one such as at = "https://{name}.example".'
                    findings.append(Finding(f"[service.{name}]", f"{at!r} is no address.", remedy, "address"))
            else:
                try:
                    placed.build = implementation(placed.contract, share.use.get(name, ""))
                except StartError as wrong:
                    findings.extend(wrong.findings)
        refuse(findings)


def refuse(findings: Sequence[Finding]) -> None:
    """Raises StartError where there are findings."""
    if findings:
        raise StartError(findings)
