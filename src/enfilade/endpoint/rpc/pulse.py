"""Whether a peer is alive: one that is slow says so when it is asked beside, one that hangs says nothing at all.

Without it, a call to a peer that hangs would take all the time it has, and so would those that come after it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from enfilade.errors import Unavailable

_PATIENCE: Final = 1.0
"""Seconds for an answer, twice: where it is this process that was held up, it has come the second time."""
_WEAK: Final = 0.5
"""Seconds without an answer after which it is taken for dead by those who cannot wait longer."""


class Pulse:
    """Feels it once at a time, in seconds of the machine: what answers is another process."""

    def __init__(self) -> None:
        self._feeling: asyncio.Task[None] | None = None
        self._since = 0.0

    @property
    def weak(self) -> bool:
        """It was asked a while ago, and has not answered."""
        return self._feeling is not None and asyncio.get_running_loop().time() - self._since > _WEAK

    def feel(self, ask: Callable[[], Awaitable[None]], died: Callable[[], None]) -> None:
        """Ask, unless that is under way. `died` is called where there is no answer."""
        if self._feeling is None:
            self._since = asyncio.get_running_loop().time()
            self._feeling = asyncio.create_task(self._feel(ask, died), name="enfilade-pulse")

    def stop(self) -> None:
        """Feel it no more."""
        if self._feeling is not None:
            self._feeling.cancel()

    async def _feel(self, ask: Callable[[], Awaitable[None]], died: Callable[[], None]) -> None:
        asked = asyncio.ensure_future(ask())
        try:
            for _ in range(2):
                await asyncio.wait([asked], timeout=_PATIENCE)
            if not asked.done() or asked.exception() is not None:
                died()
        finally:
            self._feeling = None
            asked.cancel()
            with contextlib.suppress(asyncio.CancelledError, Unavailable):
                await asked
