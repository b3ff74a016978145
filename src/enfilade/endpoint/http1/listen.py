"""A listener of our own: a Unix socket that only its owner may use, or a port."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from enfilade.endpoint.http1.connection import Connection
from enfilade.endpoint.http1.door import Door

_BACKLOG: Final = 1024
_LAST: Final = 20
"""Times of 5 ms, at the end, for requests that are on their way: a caller that loses one cannot know if it ran."""


@asynccontextmanager
async def listening(
    door: Door, address: str, *, tls: ssl.SSLContext | None = None, shared: bool = False, drain: float = 5.0
) -> AsyncGenerator[str]:
    """Serve at `unix:/run/shop/orders.sock` or `host:port` until the block ends; gives the address that was had.

    At the end it stops to accept, and what runs is finished within `drain` seconds. The file of a socket is its
    owner's alone; one that a killed process left is replaced. Raises OSError where the address cannot be had. A port
    that is `shared` may be that of other processes of this user, too: each gets some of the connections.
    """
    loop = asyncio.get_running_loop()
    if address.startswith("unix:"):
        path = Path(address.removeprefix("unix:"))
        listener, where = bound(path), address
        server = await loop.create_unix_server(lambda: Connection(door, loop), sock=listener, backlog=_BACKLOG)
    else:
        path = None
        host, _, port = address.rpartition(":")
        make = lambda: Connection(door, loop)  # noqa: E731
        server = await loop.create_server(make, host, int(port), ssl=tls, backlog=_BACKLOG, reuse_port=shared or None)
        where = f"{'https' if tls else 'http'}://{host}:{server.sockets[0].getsockname()[1]}"
    mine = path.stat().st_ino if path is not None else 0
    try:
        yield where
    finally:
        server.close()
        if path is not None:
            with suppress(OSError):
                if path.stat().st_ino == mine:  # a new version may have taken the name
                    path.unlink()
        for connection in tuple(door.connections):
            connection.leave()
        for _ in range(_LAST):
            if door.connections:
                await asyncio.sleep(0.005)
        for connection in tuple(door.connections):
            connection.shutdown()
        if door.tasks:
            await asyncio.wait(tuple(door.tasks), timeout=drain)
        for connection in tuple(door.connections):
            connection.abort()


def bound(path: Path) -> socket.socket:
    """A socket at a path. It is made beside it and moved there, so that there is no moment without one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(f"{path} is there, and no socket")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    new = path.with_name(f".{os.getpid()}")  # not longer than most names: the system takes some hundred bytes
    with suppress(FileNotFoundError):
        new.unlink()
    before = os.umask(0o177)
    try:
        listener.bind(str(new))
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    new.rename(path)
    return listener
