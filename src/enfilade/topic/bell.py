"""Sleeping until there is something to do."""

from __future__ import annotations

import asyncio

from enfilade.clock import Clock


class Bell:
    """One sleeper waits; whoever has work for him rings. A ring while he is awake is not lost."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Till the next ring, at most so long."""
        timer = self._clock.later(seconds, self._rung.set)
        try:
            await self._rung.wait()
        finally:
            timer.cancel()
            self._rung.clear()
