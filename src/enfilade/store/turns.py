"""Taking turns inside the process: those who want the same rows wait here, where it costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from weakref import WeakValueDictionary

from enfilade.store.engine import KeyName


class Turns:
    """Locks by name; taken in the order of their names, so that nobody waits for one that waits for him."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[KeyName, asyncio.Lock] = WeakValueDictionary()

    async def take(self, keys: Iterable[KeyName]) -> list[asyncio.Lock]:
        """Wait for all of them. Whoever has taken some must not take more."""
        held: list[asyncio.Lock] = []
        try:
            for key in sorted(set(keys)):
                lock = self._locks.get(key)
                if lock is None:
                    lock = self._locks[key] = asyncio.Lock()
                await lock.acquire()
                held.append(lock)
        except BaseException:
            self.give(held)
            raise
        return held

    @staticmethod
    def give(held: list[asyncio.Lock]) -> None:
        """Let the next ones go on."""
        while held:
            held.pop().release()
