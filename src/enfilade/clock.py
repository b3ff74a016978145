"""Where time and chance come from.

Everything that asks for the time, waits, draws a number or makes an id asks a `Clock`, so that a flow can run on moved
time from a seed. `SystemClock` is the real one, `VirtualClock` the one of tests.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random, SystemRandom
from typing import Protocol

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: sorts as its values do, and no letter is read for another."""


class Timer(Protocol):
    """Something that will be done later, unless it is called off."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Time and chance."""

    random: Random

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; deadlines are told in them."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back on the running loop when so much time has passed."""
        ...


class SystemClock:
    """The machine's own time and chance."""

    def __init__(self) -> None:
        self.random: Random = SystemRandom()

    def now(self) -> datetime:
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)
    """Asked several times a call: the function itself, not one around it."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)


class _Due:
    """A timer of virtual time; without a callback it was called off."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """Time that stands still until it is moved, and chance from a seed: two runs are the same."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC), seed: int = 0) -> None:
        self.random = Random(seed)  # noqa: S311  (repeatable on purpose; SystemClock is the one for secrets)
        self._start = start
        self._elapsed = 0.0
        self._waiting: list[tuple[float, int, _Due]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        timer = self.later(seconds, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()

    def later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        timer = _Due(callback)
        heapq.heappush(self._waiting, (self._elapsed + seconds, next(self._order), timer))
        return timer

    @property
    def due(self) -> float:
        """When the next of those who wait wakes, on `monotonic()`; infinite where nobody waits."""
        while self._waiting and self._waiting[0][2].callback is None:
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else float("inf")

    async def advance(self, by: timedelta | float) -> None:
        """Move time forward; whoever sleeps till then wakes at his moment, in order."""
        end = self._elapsed + (by.total_seconds() if isinstance(by, timedelta) else by)
        while self._waiting and self._waiting[0][0] <= end:
            due, _, timer = heapq.heappop(self._waiting)
            if timer.callback is None:
                continue
            self._elapsed = max(self._elapsed, due)
            timer.callback()
            for _ in range(10):  # lets the woken run, and sleep again, before time goes on
                await asyncio.sleep(0)
        self._elapsed = end


def make_id(clock: Clock, prefix: str) -> str:
    """`ord_01j9x0c4e8v7kq3m5n2p6r8t`: 45 bits of milliseconds and 75 of chance, so that ids sort by their time."""
    milliseconds = int(clock.now().timestamp() * 1000)
    value = (milliseconds << 75) | clock.random.getrandbits(75)
    letters = [_ALPHABET[(value >> shift) & 31] for shift in range(115, -5, -5)]
    return f"{prefix}_{''.join(letters)}" if prefix else "".join(letters)
