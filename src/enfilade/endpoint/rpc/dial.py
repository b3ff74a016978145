"""How a connection to an address is made: by a Unix socket, or by TCP with or without TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from enfilade.errors import Unavailable

if TYPE_CHECKING:
    from enfilade.identity.workload import Workload

_CONNECT: Final = 2.0
"""Seconds that a connection may take; one within a data centre takes milliseconds."""
_NEVER: Final = float("inf")

Make: TypeAlias = Callable[[], asyncio.Protocol]
Tls: TypeAlias = "ssl.SSLContext | Workload | None"


class Unreached(Unavailable):
    """There is no connection. Nothing was sent, so it has not run."""


class Dial:
    """`unix:/path`, `http://host:port` or `https://host:port`.

    With a workload as `tls` it shows our certificate, and the other end's has to hold all of `services`.
    """

    def __init__(self, address: str, tls: Tls, services: Collection[str]) -> None:
        self.address = address
        self._tls = tls
        self._services = frozenset(services)

    async def __call__(self, make: Make, seconds: float) -> float:
        """Connect, and tell when to use another connection, in seconds since 1970. Raises Unreached."""
        try:
            async with asyncio.timeout(min(seconds, _CONNECT)):
                return await self._connect(make)
        except TimeoutError:
            raise Unreached(f"{self.address} does not take a connection") from None
        except OSError as error:
            raise Unreached(f"{self.address} cannot be reached: {error.strerror or error}") from error

    async def _connect(self, make: Make) -> float:
        loop = asyncio.get_running_loop()
        if self.address.startswith("unix:"):
            await loop.create_unix_connection(make, self.address.removeprefix("unix:"))
            return _NEVER
        url = urlsplit(self.address)
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        if url.scheme != "https":
            await loop.create_connection(make, host, port)
            return _NEVER
        if self._tls is None or isinstance(self._tls, ssl.SSLContext):
            context = self._tls or ssl.create_default_context()
            await loop.create_connection(make, host, port, ssl=context)
            return _NEVER
        return await self._known(self._tls, make, host, port)

    async def _known(self, me: Workload, make: Make, host: str, port: int) -> float:
        """A process of ours, that shows what it holds."""
        from enfilade.identity.workload import PeerRefused

        if not self._services:
            raise Unreached(f"{self.address} holds no service that its certificate could show")
        name = me.host(min(self._services))
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(make, host, port, ssl=me.client, server_hostname=name)
        try:
            peer = me.peer_of(transport.get_extra_info("ssl_object"))
        except PeerRefused as refused:
            transport.abort()
            raise Unreached(f"{self.address} is refused: {refused}") from refused
        if missing := self._services - peer.services:
            transport.abort()
            raise Unreached(f"{self.address} is {peer.id}, which does not hold {', '.join(sorted(missing))}")
        return peer.leave
