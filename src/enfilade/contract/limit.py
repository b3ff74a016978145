"""Limits and promises that a contract declares: meters, service level, deprecation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

Per = Literal["caller", "tenant", "address"]

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


@dataclass(frozen=True)
class Rate:
    """So many calls in a period, as a token bucket: `Rate("20/minute", per="caller", burst=5)`.

    `cost` is what one call takes; `burst` the bucket's size, by default the whole of `limit`. A caller without a name
    counts by his address.
    """

    limit: str
    per: Per = "caller"
    burst: int = 0
    cost: int = 1

    def parsed(self) -> tuple[int, float]:
        """(calls, seconds). Raises ValueError; reading the contract reports it with its place."""
        match = re.fullmatch(r"(\d+)/(\d*)([a-z]+)", self.limit.strip())
        if match is None or match[3] not in _PERIODS or int(match[1]) < 1:
            raise ValueError(f"a rate is written like '20/minute' or '5/10s', not {self.limit!r}")
        return int(match[1]), int(match[2] or 1) * _PERIODS[match[3]]


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
