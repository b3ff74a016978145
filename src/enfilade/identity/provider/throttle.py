"""Wrong passwords: counted for each address and each login, one at a time of each, refused before anything is hashed.

The counters are those of one process and of limited size; of more names than that, the one seen least lately is
forgotten. Who has to wait waits before the hashing and not in its queue, so that a flood from one place leaves room.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from enfilade.clock import Clock
from enfilade.errors import TooManyRequests

SIZE: Final = 20_000
"""Names that are remembered, some 5 MB."""
_ADDRESS: Final[tuple[int, float]] = (20, 3.0)
"""Wrong passwords that an address may send at once, and seconds for each further one."""
_LOGIN: Final[tuple[int, float]] = (10, 30.0)
"""The same of a login, wherever they come from: two a minute for years do not find a password of any worth."""
_WAITING: Final = 4
"""Attempts of one address or login that wait for the one before; more are refused."""


@dataclass
class Attempt:
    """One attempt to sign in; wrong unless it was `right`."""

    right: bool = False


@dataclass
class _Turn:
    """Attempts of one name, one after the other."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    inside: int = 0


class Throttle:
    """All counters of a process."""

    def __init__(self, clock: Clock, *, size: int = SIZE) -> None:
        self._clock = clock
        self._size = size
        self._full: dict[str, float] = {}
        """When the bucket of a name is full again; the one that was used last stands last."""
        self._turns: dict[str, _Turn] = {}
        """Of those who are at it now."""

    @asynccontextmanager
    async def attempt(self, address: str, login: str) -> AsyncGenerator[Attempt]:
        """One attempt; who leaves it without saying `right` is counted. Raises TooManyRequests."""
        limits: dict[str, tuple[int, float]] = {f"login {login}": _LOGIN}
        if address:
            limits[f"address {address}"] = _ADDRESS
        self._check(limits)
        async with AsyncExitStack() as stack:
            for name in limits:
                await stack.enter_async_context(self._turn(name))
            self._check(limits)  # those who were before may have used it up
            attempt = Attempt()
            try:
                yield attempt
            finally:
                if attempt.right:
                    self._full.pop(f"login {login}", None)
                else:
                    self._count(limits)

    def _check(self, limits: Mapping[str, tuple[int, float]]) -> None:
        now = self._clock.monotonic()
        for name, (room, each) in limits.items():
            wait = self._full.get(name, now) + each - now - room * each
            if wait > 1e-6:
                raise _wait(wait)

    def _count(self, limits: Mapping[str, tuple[int, float]]) -> None:
        now = self._clock.monotonic()
        for name, (_, each) in limits.items():
            full = max(self._full.pop(name, now), now) + each
            if len(self._full) >= self._size:
                del self._full[next(iter(self._full))]
            self._full[name] = full

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncGenerator[None]:
        turn = self._turns.setdefault(name, _Turn())
        if turn.inside > _WAITING:
            raise _wait(1.0)
        turn.inside += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.inside -= 1
            if not turn.inside:
                self._turns.pop(name, None)

    def names(self) -> Iterable[str]:
        """Who is remembered."""
        return (*self._full, *self._turns)


def _wait(seconds: float) -> TooManyRequests:
    return TooManyRequests(detail="Too many attempts to sign in.", retry_after=seconds)
