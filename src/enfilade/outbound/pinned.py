"""Connects to the address that was checked, and to no other: a name is looked up once for each connection."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final, TypeAlias, cast

import httpcore2
import httpx2

from enfilade.outbound.addresses import read_address
from enfilade.outbound.reach import Blocked, Reach, bare

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as texts, the best first. Raises OSError where it has none."""

_TRIED: Final = 4
"""Addresses of one host that are tried, in their order."""
_KEPT: Final = 4.0
"""Seconds for which an unused connection is kept: fewer than the 5 after which Node and uvicorn close theirs."""


@cache
def authorities() -> ssl.SSLContext:
    """Whose certificates are believed: read once, for it takes longer than all the rest of a client."""
    return httpx2.create_ssl_context(trust_env=False)


async def resolve(host: str, port: int) -> Sequence[str]:
    """As the machine does: its hosts file and its name servers."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Pinned(httpx2.AsyncHTTPTransport):
    """A transport that reaches what it may reach. `Host` and the certificate's name stay the host's own.

    The connection is kept for that host alone. No proxy stands between, whatever the environment says.
    """

    def __init__(
        self,
        reach: Reach,
        *,
        resolve: Resolve = resolve,
        network: httpcore2.AsyncNetworkBackend | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        trust = trust or authorities()
        super().__init__(verify=trust, trust_env=False)
        if type(getattr(self, "_pool", None)) is not httpcore2.AsyncConnectionPool:
            raise RuntimeError("httpx2 keeps its connections elsewhere now: they would go unchecked")
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=trust,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=_KEPT,
            network_backend=_Network(reach, resolve, network),
        )


class _Network(httpcore2.AsyncNetworkBackend):
    def __init__(self, reach: Reach, resolve: Resolve, network: httpcore2.AsyncNetworkBackend | None) -> None:
        self._reach = reach
        self._resolve = resolve
        self._network = network or cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore2's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._allowed(host, port)
        each = None if timeout is None else timeout / len(addresses)
        failed: Exception | None = None
        for address in addresses:
            try:
                return await self._network.connect_tcp(address, port, each, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = failed or error
        raise failed or httpcore2.ConnectError(f"{host} cannot be reached")

    async def _allowed(self, host: str, port: int) -> list[str]:
        try:
            found = {text: read_address(text) for text in await self._resolve(host, port)}
        except (OSError, ValueError) as unknown:
            raise httpcore2.ConnectError(f"{host} has no address: {unknown}") from unknown
        name = bare(host)
        allowed = [text for text, address in found.items() if self._reach.admits(name, address, port)]
        if not found:
            raise httpcore2.ConnectError(f"{host} has no address")
        if not allowed:
            raise Blocked(f"{name}:{port} is not public, or not a port that is open to all; see [outbound] allow")
        return allowed[:_TRIED]

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore2's signature)
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise Blocked("a socket in the file system is nobody else's")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
