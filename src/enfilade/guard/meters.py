"""How often: token buckets per caller, tenant and address.

A bucket is one number, the moment at which it will be full again (the "theoretical arrival time" of GCRA, ITU-T I.371):
taking from it moves the moment on, time passing fills it, and a bucket that is full need not be remembered.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from functools import lru_cache
from math import ceil
from typing import Final

from enfilade.call import Call, Handler
from enfilade.clock import Clock
from enfilade.contract.limit import Rate
from enfilade.contract.operation import Operation
from enfilade.errors import TooManyRequests

SIZE: Final = 100_000
"""Buckets that are remembered, some 20 MB; of more, the one that was used least lately is taken for full."""


class Meters:
    """All buckets of a process. Calls from outside are metered where they enter, calls between services never again.

    Every answer of a limited operation says what is left, by the `RateLimit` fields of
    draft-ietf-httpapi-ratelimit-headers.
    """

    def __init__(self, clock: Clock, *, size: int = SIZE) -> None:
        self._monotonic = clock.monotonic
        self._size = size
        self._full: dict[tuple[str, str], float] = {}
        """When the bucket of a meter and somebody is full again; the one that was used last stands last."""

    def station(self, operation: Operation, handler: Handler) -> Handler:
        """Takes what the call costs from each bucket, or from none: 429."""
        if not operation.rates:
            return handler
        meters = _meters(operation)
        policy = ", ".join(meter.policy for meter in meters)
        monotonic, buckets, take = self._monotonic, self._full, self._take

        def metered(call: Call) -> Awaitable[object]:
            if call.peer:
                return handler(call)
            now = monotonic()
            call.say("RateLimit-Policy", policy)
            taken: list[tuple[tuple[str, str], float]] = []
            left: list[str] = []
            for meter in meters:
                key = meter.id, meter.who(call)
                full = max(buckets.get(key, now), now) + meter.takes
                wait = full - now - meter.room
                if wait > 0:
                    call.say("RateLimit", f'"{meter.name}";r=0;t={ceil(wait)}')
                    raise TooManyRequests(detail=f"{operation.id} takes {meter.text}.", retry_after=wait)
                taken.append((key, full))
                left.append(meter.left(full - now))
            call.say("RateLimit", ", ".join(left))
            for key, full in taken:
                take(key, full)
            return handler(call)

        return metered

    def _take(self, key: tuple[str, str], full: float) -> None:
        buckets = self._full
        if buckets.pop(key, None) is None and len(buckets) >= self._size:
            del buckets[next(iter(buckets))]
        buckets[key] = full


class _Meter:
    """One rate of one operation, in seconds: a bucket of `room` seconds, from which a call takes `takes`."""

    def __init__(self, operation: Operation, name: str, rate: Rate) -> None:
        limit, period = rate.parsed()
        burst = rate.burst or limit
        self.id = f"{operation.id}/{name}"
        self.name = name
        self.text = f"{rate.limit} for each {rate.per}"
        self.policy = f'"{name}";q={limit};w={ceil(period)}'
        self.who = _WHO[rate.per]
        self._each = period / limit
        self.room = burst * self._each + 1e-6  # what rounding takes away must not be missing
        self.takes = rate.cost * self._each

    def left(self, until_full: float) -> str:
        """The item of the RateLimit field: calls' worth that is left, and seconds till all of it is there again."""
        return f'"{self.name}";r={int((self.room - until_full) / self._each)};t={ceil(until_full)}'


def _meters(operation: Operation) -> tuple[_Meter, ...]:
    """Named by what they count, which must be unique in a field: "caller", "caller-2", "address"."""
    made: list[_Meter] = []
    for rate in operation.rates:
        alike = sum(meter.name.partition("-")[0] == rate.per for meter in made)
        made.append(_Meter(operation, f"{rate.per}-{alike + 1}" if alike else rate.per, rate))
    return tuple(made)


def _caller(call: Call) -> str:
    return _address(call) if call.caller is None else call.caller.subject


def _tenant(call: Call) -> str:
    return call.tenant or _caller(call)


def _address(call: Call) -> str:
    return "@" + (_network(call.address) if ":" in call.address else call.address)  # no subject is taken for one


@lru_cache(4096)
def _network(address: str) -> str:
    """The /64 of an IPv6 address: whoever has one address there has all of them."""
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address


_WHO: Final[dict[str, Callable[[Call], str]]] = {"caller": _caller, "tenant": _tenant, "address": _address}
