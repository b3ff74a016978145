"""One rate of one operation at work: who is counted, how much a call takes, and what answers say of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import Final

from enfilade.call import Call
from enfilade.contract.limit import Per, Rate
from enfilade.contract.operation import Operation

_UNITS: Final = {"calls": "", "bytes": ';qu="content-bytes"'}
"""Quota units by their registered names; `requests` is what is meant where none is said."""


class Meter:
    """A rate, or what a plan makes of it. As a bucket it has room for `room` seconds, a unit being `each` of them."""

    def __init__(self, operation: Operation, name: str, rate: Rate, limit: int = 0) -> None:
        quota = rate.quota()
        self.rate = rate
        self.quota = quota
        self.unit = quota.unit
        self.limit = limit or quota.amount
        self.cost = rate.taken()
        """What a call takes, or what is set aside for it."""
        self.name = name
        owner = f"{operation.service}/{rate.name}" if rate.name else operation.id
        self.id = f"{owner}/{rate.per}/{self.unit}/{quota.seconds:g}"
        if not quota.calendar:
            self.id += f"/{rate.limit}/{rate.burst}"  # a bucket knows no amounts, only how full it is
        self.who = _WHO[rate.per]
        self.each = quota.seconds / self.limit
        self.room = (rate.burst or self.limit) * self.each + 1e-6  # what rounding takes away must not be missing
        self.takes = self.cost * self.each
        self.policy = f'"{name}";q={self.limit}{_unit(self.unit)};w={ceil(quota.seconds)}'
        said = rate.limit if not limit else f"{limit} {self.unit} in {rate.limit.partition('/')[2]}"
        self.text = f"{said} for {'everyone' if rate.per == 'everyone' else f'each {rate.per}'}"
        self._head = f'"{name}";r='
        self._sizes: dict[int, Meter] = {}
        self._operation = operation

    @property
    def plain(self) -> bool:
        """Whether it is a bucket of calls, with nothing to look up before or to settle after, for everybody."""
        return self.unit == "calls" and not (self.quota.calendar or self.rate.plan or self.rate.per == "agent")

    def sized(self, limit: int) -> Meter:
        """The same for who may take so much."""
        if limit == self.limit:
            return self
        made = self._sizes.get(limit)
        if made is None:
            if len(self._sizes) > 100:  # plans are few; this one is made for each tenant
                self._sizes.clear()
            made = self._sizes[limit] = Meter(self._operation, self.name, self.rate, limit)
        return made

    def left(self, until_full: float) -> str:
        """The item of the RateLimit field of a bucket: what is left of it, and seconds until all of it is there."""
        return f"{self._head}{int((self.room - until_full) / self.each)};t={ceil(until_full)}"

    def item(self, left: int, seconds: float) -> str:
        """The item of the RateLimit field: how much is left, and how long until there is more."""
        return f"{self._head}{max(0, left)};t={max(0, ceil(seconds))}"


def meters_of(operation: Operation) -> tuple[Meter, ...]:
    """Named by their names or by whom they count, which must be unique in a field: "caller", "caller-2", "ai"."""
    made: list[Meter] = []
    for rate in operation.rates:
        name = rate.name or rate.per
        alike = sum(one.rate.name == rate.name and (one.rate.name or one.rate.per) == name for one in made)
        made.append(Meter(operation, f"{name}-{alike + 1}" if alike else name, rate))
    return tuple(made)


def _unit(unit: str) -> str:
    money = f"{unit}-minor" if unit.isupper() else unit
    return _UNITS.get(unit, f';qu="{money}"')


def _caller(call: Call) -> str:
    return _address(call) if call.caller is None else call.caller.subject


def _tenant(call: Call) -> str:
    return call.tenant or "=" + _caller(call)  # no tenant is taken for a caller without one


def _client(call: Call) -> str:
    client = "" if call.caller is None else call.caller.client
    return client or "=" + _caller(call)


def _agent(call: Call) -> str | None:
    """Who acts for somebody else, or is no person; None where it is a person himself."""
    caller = call.caller
    if caller is None:
        return None
    if caller.actors:
        return caller.actors[0]
    return caller.subject if caller.kind == "agent" else None


def _everyone(_: Call) -> str:
    return ""


def _address(call: Call) -> str:
    return "@" + (_network(call.address) if ":" in call.address else call.address)  # no subject is taken for one


@lru_cache(4096)
def _network(address: str) -> str:
    """The /64 of an IPv6 address: whoever has one address there has all of them."""
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address


_WHO: Final[dict[Per, Callable[[Call], str | None]]] = {
    "caller": _caller, "tenant": _tenant, "address": _address, "client": _client, "agent": _agent,
    "everyone": _everyone,
}  # fmt: skip
