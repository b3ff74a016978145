"""`rpc()`: the operations that are served in this process, for other processes of the same operator."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final

import msgspec

from enfilade.contract.compare import told
from enfilade.contract.operation import Contract
from enfilade.endpoint.http import Request, Response
from enfilade.endpoint.rpc.exchange import JSON, Exchange, exchange, unknown
from enfilade.endpoint.site import Served, Site

CONTRACTS: Final = "/.contract/"
"""Below it each service tells its operations: what their fingerprints are made of."""


@dataclass(frozen=True, kw_only=True)
class Rpc:
    """Calls between processes, as they were asked for; see `rpc`."""

    network: bool = False

    def serve(self, site: Site) -> Served:
        """At work for a site."""
        return _Served(self, site)


def rpc(*, network: bool = False) -> Rpc:
    """Serve every operation of the services in this process at `/<service>/<operation>`, for a listener of its own.

    Requests say who calls, and are believed. So they are answered only where they come by a Unix socket, whose file
    says who may connect, or from a process that has shown its certificate, for the services that it holds; on any other
    listener nothing is found here, whatever it is mounted beside. `network=True` believes whoever reaches the port.
    """
    return Rpc(network=network)


class _Served:
    """Calls between processes at work."""

    prefix = ""

    def __init__(self, rpc: Rpc, site: Site) -> None:
        self._network = rpc.network
        self._exchanges: dict[str, Exchange] = {}
        for contract in site.contracts:
            here = [one for one in contract.operations if one.id in site.inside]
            for operation in here:
                self._exchanges["/" + operation.id.replace(".", "/", 1)] = exchange(operation, site)
            if here:
                self._exchanges[CONTRACTS + contract.name] = _tells(contract)

    def knows(self, method: str, path: str) -> bool:
        return path in self._exchanges

    def answer(self, request: Request) -> Awaitable[Response]:
        if not (request.local or self._network or request.admit is not None):
            return self._nothing()
        path = request.path
        found = self._exchanges.get(path)
        if found is None:
            return self._unknown(path)
        if request.method != ("GET" if path.startswith(CONTRACTS) else "POST"):
            return self._not_so()
        return found(request)

    async def _nothing(self) -> Response:
        return Response(404, [])

    async def _unknown(self, path: str) -> Response:
        return unknown(path)

    async def _not_so(self) -> Response:
        return Response(405, [(b"allow", b"POST")])


def _tells(contract: Contract) -> Exchange:
    async def tell(_: Request) -> Response:
        said = {one.id: told(one) for one in contract.operations}
        whole = {"service": contract.name, "version": contract.version, "fingerprint": contract.fingerprint}
        return Response(200, [JSON], msgspec.json.encode({**whole, "operations": said}))

    return tell
