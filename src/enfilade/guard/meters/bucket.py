"""Buckets: what fills evenly, in the memory of the process.

A bucket is one number, the moment at which it will be full again (the "theoretical arrival time" of GCRA, ITU-T I.371):
taking from it moves the moment on, time passing fills it, and a bucket that is full need not be remembered.
"""

from __future__ import annotations

from collections.abc import Callable

from enfilade.guard.meters.meter import Meter

Key = tuple[str, str | None]
"""A meter, and whose."""


class Buckets:
    """All buckets of a process."""

    def __init__(self, monotonic: Callable[[], float], size: int) -> None:
        self._monotonic = monotonic
        self._size = size
        self.full: dict[Key, float] = {}
        """When a bucket is full again; the one that was used last stands last."""

    def put(self, key: Key, full: float) -> None:
        """It will be full then. Of more buckets than there is room for, the one used least lately is taken for full."""
        buckets = self.full
        if buckets.pop(key, None) is None and len(buckets) >= self._size:
            del buckets[next(iter(buckets))]
        buckets[key] = full

    def take(self, key: Key, meter: Meter) -> float:
        """Take what a call costs; or seconds to wait until it could be, and nothing is taken."""
        now = self._monotonic()
        full = max(self.full.get(key, now), now) + meter.takes
        wait = full - now - meter.room
        if wait > 0:
            return wait
        self.put(key, full)
        return 0.0

    def add(self, key: Key, meter: Meter, amount: int) -> None:
        """Take more, whether there is room or not, or give back."""
        now = self._monotonic()
        self.put(key, max(self.full.get(key, now), now) + amount * meter.each)

    def item(self, key: Key, meter: Meter) -> str:
        now = self._monotonic()
        until = max(self.full.get(key, now) - now, 0.0)
        return meter.item(int((meter.room - until) / meter.each), until)
