"""What all connections of a server share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from enfilade.endpoint.http import Admit
from enfilade.endpoint.http1.proxies import Forwarded
from enfilade.endpoint.site import Served
from enfilade.errors import Problem

Asgi: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
Upgrade: TypeAlias = Callable[[], asyncio.Protocol]

HEAD: Final = 64 * 1024
"""Bytes of a request's first line and header fields; servers and proxies take 8 to 64 KiB."""
FIELDS: Final = 128
"""Header fields of a request, and trailer fields; browsers send about 20, servers take 100 to 1000."""
SLICE: Final = 8 * 1024
"""Bytes that are parsed before it is asked whether there is room for more: some 250 of the smallest requests."""
ROOM: Final = 64 * 1024
"""Bytes of a body that wait for their reader; the client waits when there are more."""


class HeadTooLarge(Problem, status=431, type="/problems/head-too-large"):
    """The request's address and header fields are larger than this server takes."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How patient a server is, in seconds, and how long a connection may live."""

    head: float = 5.0
    """From a connection's begin to its first request, and from the first byte of a request to the end of its head."""
    idle: float = 65.0
    """From an answer to the next request: more than the 60 for which most proxies keep their connections."""
    silence: float = 60.0
    """Without a byte of a body that is waited for, or taken of an answer that is sent."""
    linger: float = 1.0
    """For which a client that is refused may go on sending: one that is cut off while it sends never reads why."""
    requests: int = 10_000
    """On one connection; the next ones come on a new one, so that load spreads over the servers there are."""


@dataclass(kw_only=True, eq=False)
class Door:
    """The endpoints behind a port, and who is at it."""

    served: Sequence[Served]
    limits: Limits = Limits()
    asgi: Asgi | None = None
    """Takes what no endpoint knows as its own, for what is mounted; without it the endpoints answer that, too."""
    upgrade: Upgrade | None = None
    """Makes the protocol of connections that become websockets; without it they stay what they are."""
    proxies: Forwarded | None = None
    """Whom to believe about clients. By a Unix socket nobody calls for himself where somebody is."""
    know: Callable[[asyncio.BaseTransport], Admit] | None = None
    """Asks who is at the other end of a connection. Raises PermissionError where that is nobody who may come in."""
    connections: set[Any] = field(default_factory=set[Any])
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    """What still runs when the server stops."""

    def __post_init__(self) -> None:
        self._second = 0
        self._starts: dict[int, bytes] = {}

    def start(self, status: int) -> bytes:
        """The first lines of an answer, without their end: the status and the date. Made once a second."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._starts.clear()
        start = self._starts.get(status)
        if start is None:
            try:
                phrase = HTTPStatus(status).phrase
            except ValueError:
                phrase = ""
            said = f"HTTP/1.1 {status} {phrase}\r\ndate: {formatdate(second, usegmt=True)}"
            start = self._starts[status] = said.encode("ascii")
        return start
