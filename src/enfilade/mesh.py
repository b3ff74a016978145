"""The processes of an app, as one of them knows the others: calls and events that go there, and those that come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from enfilade.call import Call, Handler
from enfilade.clock import Clock, SystemClock
from enfilade.contract.operation import Contract
from enfilade.endpoint import rpc
from enfilade.endpoint.letters import LETTERS, Between
from enfilade.endpoint.site import Served, Site
from enfilade.errors import Problem
from enfilade.placement import Share, Way


class Mesh:
    """The links of a process to the others. What cannot be reached is waited for or refused by the link."""

    def __init__(self, share: Share, clock: Clock) -> None:
        self.share = share
        self._clock = clock
        self._links: dict[str, rpc.Link] = {}
        self._between: Between | None = None
        self._ends: dict[str, tuple[Contract, dict[str, Handler]]] = {}
        """By service elsewhere: where its calls go, by operation id."""

    def ends(self, contract: Contract, ways: Sequence[Way]) -> Mapping[str, Handler]:
        """Where the rows of a service go on that is in another process, whatever process that will be."""
        ends: dict[str, Handler] = {}
        self._ends[contract.name] = contract, ends
        self._lead(contract.name, ways)
        return {id: _sent(ends, id) for id in ends}

    def between(self) -> Between:
        """What carries events where no broker does."""
        self._between = Between(self._hearers(), self._clock)
        return self._between

    def change(self, share: Share) -> None:
        """From now on the others are as this share says. What is under way is finished where it is."""
        before, self.share = self.share, share
        for name in self._ends:
            self._lead(name, share.ways[name])
        if self._between is not None:
            self._between.change(self._hearers())
        # What is tried again at a process that is gone is tried where its services are now.
        heirs = {way.process: share.ways[name][0].process for name, ways in before.ways.items() for way in ways}
        for process, link in tuple(self._links.items()):
            addresses = share.at.get(process) or share.at.get(heirs.get(process, ""), ())
            link.change(*addresses)
            if not addresses:
                del self._links[process]

    def serve(self, site: Site) -> Served:
        """Calls and events from other processes: for a socket that only they may use."""
        if self._between is not None:
            inside = {**site.inside, LETTERS.operations[0].id: self._between.take}
            site = replace(site, contracts=(*site.contracts, LETTERS), inside=inside)
        return rpc.rpc().serve(site)

    def close(self) -> None:
        """Hang up."""
        for link in self._links.values():
            link.close()

    def _lead(self, service: str, ways: Sequence[Way]) -> None:
        contract, ends = self._ends[service]
        ends.update(rpc.connect(contract, self._link(ways[0].process)))

    def _hearers(self) -> Mapping[rpc.Link, frozenset[str]]:
        return {self._link(process): topics for process, topics in self.share.hears.items()}

    def _link(self, process: str) -> rpc.Link:
        """The way to another process; the services of one share it."""
        if process not in self._links:
            # Sockets take real time, whatever the clock of the app is.
            self._links[process] = rpc.Link(*self.share.at[process], clock=self._clock, pace=SystemClock())
        return self._links[process]


def _sent(ends: Mapping[str, Handler], id: str) -> Handler:
    """The end of a row that goes on in another process. What did not get there is written down here."""

    async def send(call: Call) -> Any:
        try:
            reply = await ends[id](call)
        except Problem:
            call.sent = True
            raise
        call.sent = True
        return reply

    return send
