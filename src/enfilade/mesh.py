"""The processes of an app, as one of them knows the others: calls and events that go there, and those that come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from enfilade.call import Call, Handler
from enfilade.clock import Clock
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

    def ends(self, contract: Contract, ways: Sequence[Way]) -> Mapping[str, Handler]:
        """Where the rows of a service go on that is in another process."""
        ends = rpc.connect(contract, self._link(ways[0].process))
        return {id: _sent(handler) for id, handler in ends.items()}

    def between(self) -> Between:
        """What carries events where no broker does."""
        others = {self._link(process): topics for process, topics in self.share.hears.items()}
        self._between = Between(others, self._clock)
        return self._between

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

    def _link(self, process: str) -> rpc.Link:
        """The way to another process; the services of one share it."""
        if process not in self._links:
            self._links[process] = rpc.Link(*self.share.at[process], clock=self._clock)
        return self._links[process]


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
