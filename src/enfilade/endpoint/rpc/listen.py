"""A listener for calls between processes."""

from __future__ import annotations

import ssl
from contextlib import AbstractAsyncContextManager

from enfilade.endpoint import http1
from enfilade.endpoint.http1 import Door, Limits
from enfilade.endpoint.site import Served


def listening(
    served: Served, address: str, *, tls: ssl.SSLContext | None = None, limits: Limits | None = None, drain: float = 5.0
) -> AbstractAsyncContextManager[str]:
    """Serve at `unix:/run/shop/orders.sock` or `host:port` until the block ends; gives the address for a `Link`.

    At the end it stops to accept, and what runs is finished within `drain` seconds. The file of a socket is its
    owner's alone; one that a killed process left is replaced. Raises OSError where the address cannot be had.
    """
    return http1.listening(Door(served=(served,), limits=limits or Limits()), address, tls=tls, drain=drain)
