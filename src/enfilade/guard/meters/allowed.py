"""What a tenant's plan allows, asked of the app's `Plans` and remembered for a while."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from enfilade.call import Call
from enfilade.clock import Clock
from enfilade.contract.plan import Plans
from enfilade.guard.meters.meter import Meter

log = logging.getLogger("enfilade.guard")

FRESH: Final = 60.0
"""Seconds for which an answer is used: by then an upgrade has taken effect."""
AGAIN: Final = 5.0
"""Seconds after which plans are asked again that did not answer."""


class Allowed:
    """The limits of all tenants, as they were last heard."""

    def __init__(self, clock: Clock, size: int) -> None:
        self.plans: Plans | None = None
        """Who knows; None where the app has nobody who does, and what the contract says holds."""
        self._monotonic = clock.monotonic
        self._size = size
        self._known: dict[tuple[str, str], tuple[float, int | None]] = {}
        """Until when it is fresh, and the limit."""
        self._asking: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def meter(self, meter: Meter, call: Call) -> Meter:
        """The meter in the size of the tenant's plan. Where nobody answers, in the size that was last heard."""
        plans, key = self.plans, (call.tenant, meter.rate.name)
        if plans is None or not call.tenant:
            return meter
        until, limit = self._known.get(key, (0.0, None))
        if until <= self._monotonic():
            asking = self._asking.get(key)
            if asking is None:
                asking = self._asking[key] = asyncio.create_task(self._ask(plans, key))
            await asyncio.shield(asking)
            _, limit = self._known.get(key, (0.0, None))
        return meter if limit is None else meter.sized(limit)

    async def _ask(self, plans: Plans, key: tuple[str, str]) -> None:
        limit, fresh = self._known.get(key, (0.0, None))[1], FRESH
        try:
            limit = (await plans.allowance(*key)).limit
        except Exception:
            log.exception("the plan of %s for the meter %s cannot be had; what was last heard of it holds", *key)
            fresh = AGAIN
        finally:
            del self._asking[key]
        if key not in self._known and len(self._known) >= self._size:
            del self._known[next(iter(self._known))]
        self._known[key] = self._monotonic() + fresh, limit
