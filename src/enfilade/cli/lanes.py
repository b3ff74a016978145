"""The lanes of a public port: listeners at one address, over which the kernel spreads who comes (`SO_REUSEPORT`).

Workers that accept from one listener get what chance gives them: the one that wakes first takes all that wait. With a
listener of one's own each gets its part, but who waits at the listener of a worker that ends is turned away. So the
listeners are the supervisor's, every worker has all of them, and serves some: the others' when those are fewer.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, TypeVar

T = TypeVar("T")

_LANES: Final = 24
"""So many that they divide evenly by 1, 2, 3, 4, 6, 8, 12 and 24 workers."""
BACKLOG: Final = 2048
"""Connections that wait to be taken: as many as a burst may bring within a pause of the event loop."""


@contextmanager
def lanes(listener: socket.socket) -> Generator[Sequence[socket.socket]]:
    """Listeners at the address of one that is closed for them; that one alone where the kernel does not spread (only
    Linux does)."""
    if sys.platform != "linux":
        yield (listener,)
        return
    where, family = listener.getsockname(), listener.family
    listener.close()
    with ExitStack() as stack:
        opened = [stack.enter_context(_lane(family, where)) for _ in range(_LANES)]
        yield opened


def mine(lanes: Sequence[T], worker: int, workers: int) -> Sequence[T]:
    """Those that a worker serves; the first worker is 1."""
    return lanes[worker - 1 :: workers] or [lanes[(worker - 1) % len(lanes)]]


def _lane(family: int, where: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(where)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made
