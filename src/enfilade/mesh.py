"""The processes of an app, as one of them knows the others: calls and events that go there, and those that come."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from enfilade.call import Call, Handler, Station
from enfilade.clock import Clock, SystemClock
from enfilade.contract.operation import Contract
from enfilade.endpoint import rpc
from enfilade.endpoint.letters import EVERYBODY, LETTERS, Between
from enfilade.endpoint.mirror import VARIANTS, Compared, Glass, Mirror, Mirrors
from enfilade.endpoint.ready import READINESS, UNREADY, unready
from enfilade.endpoint.report import REPORT, reporting
from enfilade.endpoint.site import Served, Site
from enfilade.endpoint.spread import Road, Spread
from enfilade.errors import Problem
from enfilade.placement import Share, Way
from enfilade.trace.metrics import Metrics

_PATIENCE: Final = 2.0
"""Seconds that calls wait for a process that cannot be reached: long enough for it to start again."""


class Mesh:
    """The links of a process to the others. What cannot be reached is waited for or refused by the link."""

    def __init__(self, share: Share, clock: Clock, metrics: Metrics) -> None:
        self.share = share
        self._trust = share.trust
        self._metrics = metrics
        self._clock = clock
        self._links: dict[str, rpc.Link] = {}
        self._between: Between | None = None
        self._spreads: dict[str, tuple[Contract, Spread]] = {}
        """By service: which processes its calls from here go to."""
        self._mirror: dict[str, tuple[Contract, Mirror]] = {}
        """By service here: where its calls are made again."""
        self._mirrors = Mirrors(clock, metrics)

    def ends(self, contract: Contract) -> Mapping[str, Handler]:
        """Where the rows of a service go on that is in other processes, whatever processes that will be."""
        spread = self._spread(contract)
        return {one.id: spread.end(one) for one in contract.operations}

    def spread(self, contract: Contract) -> Station:
        """For calls from here to a service that is here, and perhaps in other processes, too."""
        return self._spread(contract).station

    def mirror(self, contract: Contract) -> Station:
        """For calls that are served here: some may be made again, at a variant."""
        mirror = Mirror(self._mirrors)
        self._mirror[contract.name] = contract, mirror
        self._face(contract, mirror)
        return mirror.station

    def between(self) -> Between:
        """What carries events where no broker does."""
        self._between = Between(self._hearers(), self._clock)
        return self._between

    def change(self, share: Share) -> None:
        """From now on the others are as this share says. What is under way is finished where it is."""
        before, self.share = self.share, share
        for contract, spread in self._spreads.values():
            self._lead(contract, spread)
        for contract, mirror in self._mirror.values():
            self._face(contract, mirror)
        if self._between is not None:
            self._between.change(self._hearers())
        # What is tried again at a process that is gone is tried where its services are now.
        heirs = {way.process: share.ways[name][0].process for name, ways in before.ways.items() for way in ways}
        for process, link in tuple(self._links.items()):
            addresses = share.at.get(process) or share.at.get(heirs.get(process, ""), ())
            link.change(*addresses)
            link.patience = self._patience(process)
            if not addresses:
                del self._links[process]

    def compared(self) -> tuple[Compared, ...]:
        """What became of the calls that were made again at variants of services that are here."""
        return self._mirrors.compared()

    def serve(self, site: Site) -> Served:
        """Calls and events from other processes: for a socket that only they may use."""
        site = replace(
            site, contracts=(*site.contracts, REPORT), inside={**site.inside, **reporting(site)},
            callers=_open(site.callers),
        )  # fmt: skip
        if self._between is not None:
            inside = {**site.inside, LETTERS.operations[0].id: self._between.take}
            site = replace(site, contracts=(*site.contracts, LETTERS), inside=inside)
        inside = {**site.inside, VARIANTS.operations[0].id: self._compared, UNREADY.id: _waiting(site)}
        site = replace(site, contracts=(*site.contracts, VARIANTS, READINESS), inside=inside)
        return rpc.rpc().serve(site)

    async def unready(self) -> tuple[str, ...]:
        """What other processes wait for that are the primary ones of services."""
        primary = {ways[0].process for ways in self.share.ways.values()} - {self.share.process}
        ends = {process: rpc.connect(READINESS, self._link(process))[UNREADY.id] for process in sorted(primary)}
        return await unready(ends, self._clock)

    def close(self) -> None:
        """Hang up."""
        self._mirrors.close()
        for link in self._links.values():
            link.close()

    async def _compared(self, _: Call) -> tuple[Compared, ...]:
        return self.compared()

    def _spread(self, contract: Contract) -> Spread:
        spread = Spread()
        self._spreads[contract.name] = contract, spread
        self._lead(contract, spread)
        return spread

    def _lead(self, contract: Contract, spread: Spread) -> None:
        """Let calls from here go where the share says; nowhere else, where all of them are served here."""
        me, ways = self.share.process, self.share.ways.get(contract.name, ())
        known = {road.process: road for road in spread.roads}
        primary, *variants = ways or (Way(process=me),)
        taking = [primary, *(way for way in variants if way.share > 0)]
        alone = len(taking) == 1 and primary.process == me
        spread.roads = () if alone else tuple(self._road(contract, way, known) for way in taking)

    def _road(self, contract: Contract, way: Way, known: Mapping[str, Road]) -> Road:
        before = known.get(way.process)
        if before is not None:
            return before._replace(share=way.share)
        labels = {"service": contract.name, "process": way.process}
        calls = self._metrics.counter("enfilade_variant_calls_total", "Calls that went to each process.", **labels)
        here = way.process == self.share.process
        ends = None if here else {id: _sent(end) for id, end in rpc.connect(contract, self._link(way.process)).items()}
        return Road(way.process, way.share, ends, calls)

    def _face(self, contract: Contract, mirror: Mirror) -> None:
        """Let calls that are served here be made again where the share says, if this is the primary process."""
        primary, *variants = self.share.ways.get(contract.name, ()) or (None,)
        mine = primary is not None and primary.process == self.share.process
        mirror.glasses = tuple(
            Glass(
                process=way.process, percent=way.mirror, compare=way.compare, ignore=way.ignore,
                ends=rpc.connect(contract, self._link(way.process)),
            )
            for way in variants
            if mine and way.mirror
        )  # fmt: skip

    def _hearers(self) -> Mapping[rpc.Link, frozenset[str]]:
        return {self._link(process): topics for process, topics in self.share.hears.items()}

    def _link(self, process: str) -> rpc.Link:
        """The way to another process; the services of one share it."""
        link = self._links.get(process)
        if link is None:
            # Sockets take real time, whatever the clock of the app is.
            link = self._links[process] = rpc.Link(
                *self.share.at[process], patience=self._patience(process), clock=self._clock, pace=SystemClock(),
                tls=self._trust, services=[name for name, ways in self.share.ways.items() if _in(ways, process)],
            )  # fmt: skip
            link.measure(self._metrics, process)
        return link

    def _patience(self, process: str) -> float:
        """Seconds that calls wait for a process that cannot be reached: none for a variant, there is another way."""
        variant = any(way.process == process for ways in self.share.ways.values() for way in ways[1:])
        return 0.0 if variant else _PATIENCE


def _waiting(site: Site) -> Handler:
    async def unready(_: Call) -> tuple[str, ...]:
        return site.unready()

    return unready


def _open(callers: Callable[[str], Container[str]]) -> Callable[[str], Container[str]]:
    """Who may call a service; any of them hands over what it has said, and asks what there is here."""
    return lambda service: EVERYBODY if service in (LETTERS.name, REPORT.name) else callers(service)


def _in(ways: Sequence[Way], process: str) -> bool:
    return any(way.process == process for way in ways)


def _sent(handler: Handler) -> Handler:
    """The end of a row that goes on in another process. What did not get there is written down here."""

    async def send(call: Call) -> Any:
        try:
            reply = await handler(call)
        except Problem:
            call.sent = True
            raise
        call.sent = True
        return reply

    return send
