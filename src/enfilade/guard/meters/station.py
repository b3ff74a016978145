"""All meters of an app, and the station that asks them."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from math import ceil
from typing import Any, Final, NoReturn

from enfilade.call import Call, Handler, when_done
from enfilade.clock import Clock
from enfilade.contract.operation import Operation
from enfilade.errors import Overloaded, Problem, TooManyRequests
from enfilade.guard.meters.allowed import Allowed
from enfilade.guard.meters.bucket import Buckets, Key
from enfilade.guard.meters.meter import Meter, meters_of
from enfilade.guard.meters.tab import Item, Tab
from enfilade.guard.meters.window import Windows

SIZE: Final = 100_000
"""Buckets, windows and plans that are remembered, some 20 MB of each."""


class Meters:
    """All meters of a process. Calls from outside are metered where they enter, calls between services never again.

    Every answer of a limited operation says what is left, by the `RateLimit` fields of
    draft-ietf-httpapi-ratelimit-headers-10.
    """

    def __init__(self, clock: Clock, *, size: int = SIZE) -> None:
        self._monotonic = clock.monotonic
        self._buckets = Buckets(clock.monotonic, size)
        self._windows = Windows(clock, size)
        self.allowed = Allowed(clock, size)
        self.flush = self._windows.flush

    def station(self, operation: Operation, handler: Handler) -> Handler:
        """Takes what the call costs from each meter, or from none: 429."""
        if not operation.rates:
            return handler
        meters = meters_of(operation)
        if all(meter.plain for meter in meters):
            return self._plain(operation, handler, meters)

        policy = ", ".join(meter.policy for meter in meters)
        streams = operation.style in ("stream", "bytes")

        async def metered(call: Call) -> Any:
            call.say("RateLimit-Policy", policy)
            tab = call.tab = Tab()
            for meter in meters:
                await self._set_aside(tab, meter, call)

            def done(error: BaseException | None) -> None:
                tab.close(done=not (isinstance(error, (Problem, Overloaded)) or _replayed(call)))
                tab.tell(call)

            if streams:
                tab.tell(call)  # its head goes out before its end is known
            try:
                reply = await handler(call)
            except BaseException as error:
                done(error)
                raise

            return when_done(operation, reply, done)

        def entering(call: Call) -> Awaitable[Any]:
            return handler(call) if call.peer else metered(call)

        return entering

    def _plain(self, operation: Operation, handler: Handler, meters: tuple[Meter, ...]) -> Handler:
        """The way of nearly all rates: nothing is awaited, and nothing is left to do after the call."""
        policy = ", ".join(meter.policy for meter in meters)
        monotonic, buckets, put = self._monotonic, self._buckets.full, self._buckets.put

        def metered(call: Call) -> Awaitable[object]:
            if call.peer:
                return handler(call)
            now = monotonic()
            call.say("RateLimit-Policy", policy)
            taken: list[tuple[Key, float]] = []
            left: list[str] = []
            for meter in meters:
                key = meter.id, meter.who(call)
                full = max(buckets.get(key, now), now) + meter.takes
                wait = full - now - meter.room
                if wait > 0:
                    _refuse(call, meter, wait)
                taken.append((key, full))
                left.append(meter.left(full - now))
            call.say("RateLimit", ", ".join(left))
            for key, full in taken:
                put(key, full)
            return handler(call)

        return metered

    async def _set_aside(self, tab: Tab, meter: Meter, call: Call) -> None:
        """Take what the call costs. Raises TooManyRequests, and gives back what was taken of other meters."""
        who = meter.who(call)
        if who is None:
            return
        try:
            if meter.rate.plan:
                meter = await self.allowed.meter(meter, call)
            if meter.quota.calendar:
                home = None if call.home is None else call.home.counts
                count, wait = await self._windows.take(home, meter, who)
                add, said = partial(self._windows.add, count), partial(self._windows.item, count, meter)
            else:
                key = meter.id, who
                wait = self._buckets.take(key, meter)
                add, said = partial(self._buckets.add, key, meter), partial(self._buckets.item, key, meter)
            if wait > 0:
                _refuse(call, meter, wait)
        except BaseException:
            tab.void()
            raise
        tab.put(Item(meter, add, said))


def _refuse(call: Call, meter: Meter, wait: float) -> NoReturn:
    call.say("RateLimit", f'"{meter.name}";r=0;t={ceil(wait)}')
    raise TooManyRequests(detail=f"{call.operation.id} takes {meter.text}.", retry_after=wait)


def _replayed(call: Call) -> bool:
    return call.reply_fields is not None and "Idempotency-Replayed" in call.reply_fields
