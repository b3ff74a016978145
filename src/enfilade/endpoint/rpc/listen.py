"""A listener for calls between processes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING

from enfilade.endpoint import http1
from enfilade.endpoint.http import Admit
from enfilade.endpoint.http1 import Door, Limits
from enfilade.endpoint.rpc.dial import Tls
from enfilade.endpoint.site import Served

if TYPE_CHECKING:
    from enfilade.identity.workload import Workload


def listening(
    served: Served,
    address: str,
    *,
    tls: Tls = None,
    shared: bool = False,
    limits: Limits | None = None,
    drain: float = 5.0,
) -> AbstractAsyncContextManager[str]:
    """Serve at `unix:/run/shop/orders.sock` or `host:port` until the block ends; gives the address for a `Link`.

    At the end it stops to accept, and what runs is finished within `drain` seconds. The file of a socket is its
    owner's alone; one that a killed process left is replaced. Raises OSError where the address cannot be had.

    With a workload as `tls` whoever connects has to show a certificate of the app, and may call for the services in it.
    """
    door = Door(served=(served,), limits=limits or Limits())
    if tls is None or isinstance(tls, ssl.SSLContext):
        return http1.listening(door, address, tls=tls, shared=shared, drain=drain)
    door.know = _knowing(tls)
    return http1.listening(door, address, tls=tls.server, shared=shared, drain=drain)


def _knowing(me: Workload) -> Callable[[asyncio.BaseTransport], Admit]:
    from enfilade.identity.workload import PeerRefused

    def know(transport: asyncio.BaseTransport) -> Admit:
        try:
            peer = me.peer_of(transport.get_extra_info("ssl_object"))
        except PeerRefused as refused:
            raise PermissionError(str(refused)) from refused
        return partial(me.admit, peer)

    return know
