"""Limits and promises that a contract declares: meters, streams, service level, deprecation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, NamedTuple

from enfilade.contract.money import Money

Per = Literal["caller", "tenant", "address", "client", "agent", "everyone"]

_PERIODS = {
    "s": 1.0,
    "second": 1.0,
    "m": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
}
_SIZES = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}
_MONTH = 30 * 86400.0
"""Seconds of a month, where only about how many matters."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?: *([A-Za-z][A-Za-z-]*))?/(\d*)([a-z]+)")
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?) *([A-Za-z][A-Za-z-]*)?")


class Quota(NamedTuple):
    """A rate's text, read."""

    amount: int
    """How much, in whole units: calls, bytes, minor units of a currency, or whatever is counted."""
    unit: str
    """`calls`, `bytes`, a currency such as `EUR`, or the word that stands in the text, such as `tokens`."""
    seconds: float
    """The period, a month being 30 days."""
    months: int = 0

    @property
    def calendar(self) -> bool:
        """Whether it starts anew with an hour, a day or a month of the calendar; shorter ones fill evenly."""
        return self.seconds >= _PERIODS["hour"]

    def window(self, now: datetime) -> tuple[datetime, datetime]:
        """When the window around this moment began and ends, in UTC."""
        if self.months:
            first = (now.year * 12 + now.month - 1) // self.months * self.months
            return _month(first), _month(first + self.months)
        length = timedelta(seconds=self.seconds)
        began = _EPOCH + (now - _EPOCH) // length * length
        return began, began + length


@dataclass(frozen=True)
class Rate:
    """So much in a period: `Rate("20/minute", per="caller", burst=5)`, `Rate("50 EUR/month", per="tenant")`.

    Counted are calls, or what stands behind the number: a size of bytes (`"1GB/day"`), a currency, or a word of your
    own (`"10000 tokens/day"`), which the service says by `current().spend(1234, "tokens")`. Below an hour it is a
    bucket of `burst` (by default the whole limit) that fills evenly; hours, days and months are those of the calendar
    in UTC, kept in the service's store.

    `cost` is what one call takes; of anything else than calls it is set aside until the call says what it spent.
    Operations of a service share one meter by giving it one `name`. With `plan` the limit is only what holds where the
    app's `Plans` say nothing else.
    """

    limit: str
    per: Per = "caller"
    burst: int = 0
    cost: int | str = 1
    name: str = ""
    plan: bool = False

    def quota(self) -> Quota:
        """What it says. Raises ValueError; reading the contract reports it with its place."""
        match = _RATE.fullmatch(self.limit.strip())
        many = int(match[3] or 1) if match else 0
        if match is None or many < 1 or (match[4] not in _PERIODS and match[4] != "month"):
            raise ValueError(f"a rate is written like '20/minute', '5/10s' or '50 EUR/month', not {self.limit!r}")
        amount, unit = _counted(match[1], match[2] or "")
        if amount < 1:
            raise ValueError(f"a rate is written like '20/minute' and lets something through, not {self.limit!r}")
        months = many if match[4] == "month" else 0
        return Quota(amount, unit, many * (_MONTH if months else _PERIODS[match[4]]), months)

    def taken(self) -> int:
        """`cost` in whole units. Raises ValueError."""
        if isinstance(self.cost, int):
            return self.cost
        match = _AMOUNT.fullmatch(self.cost.strip())
        unit = self.quota().unit
        if match is None or (found := _counted(match[1], match[2] or ""))[1] != unit:
            raise ValueError(f"a cost is a number of whole units, or an amount of {unit}, not {self.cost!r}")
        return found[0]


def _counted(number: str, unit: str) -> tuple[int, str]:
    """An amount in whole units, and what it is of. Raises ValueError."""
    if unit and unit.upper() in _SIZES:
        return size(f"{number} {unit}"), "bytes"
    if len(unit) == 3 and unit.isupper():
        return Money.of(number, unit).minor, unit
    if "." in number or not (unit == "" or unit.islower()):
        raise ValueError(f"a rate is written like '20/minute', '1GB/day' or '500 tokens/day', not with {number} {unit}")
    return int(number), unit or "calls"


def _month(number: int) -> datetime:
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Flow:
    """How much of a stream there may be: `Flow(items=1_000_000, size="4GiB", lasting="1d")`.

    `size` is that of a `Stream[bytes]`, `lasting` a period from its beginning. What is not said stays as it is here.
    """

    items: int = 100_000
    size: int | str = "1GiB"
    lasting: float | str = "1h"


FLOW: Final = Flow()
"""What holds where nothing is said."""


@dataclass(frozen=True)
class Level:
    """What the service promises: `Level(p99=0.25, availability=0.999)`; p99 in seconds, availability as a part of 1."""

    p99: float | None = None
    availability: float | None = None


@dataclass(frozen=True)
class Deprecated:
    """Still served, not for long: `Deprecated(since=date(2026, 1, 1), sunset=date(2026, 12, 31))`.

    `successor` is the address of what takes its place.
    Told by the `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and `Link` fields of each answer.
    """

    since: date
    sunset: date | None = None
    successor: str = ""


def size(text: str | int) -> int:
    """Bytes of `"1MiB"`, `"64KB"` or a plain number."""
    if isinstance(text, int):
        return text
    match = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text.strip())
    if match is None or match[2].upper() not in _SIZES:
        raise ValueError(f"a size is written like '1MiB' or '64KB', not {text!r}")
    return int(match[1]) * _SIZES[match[2].upper()]


def period(text: str | float) -> float:
    """Seconds of `"30s"`, `"7d"`, `"12h"` or a plain number; `"forever"` is infinite."""
    if isinstance(text, (int, float)):
        return float(text)
    if text == "forever":
        return float("inf")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip())
    if match is None or match[2] not in _PERIODS:
        raise ValueError(f"a period is written like '30s', '12h', '7d' or 'forever', not {text!r}")
    return float(match[1]) * _PERIODS[match[2]]
