"""Whether a new version does worse than the old one: how their calls ended, and how long they took.

Both count by themselves. A difference counts where it is hardly chance, by the binomial distribution: that of failures,
since the new version came; and that of calls that took longer than nearly all of the old version, in the same time, for
what else a machine does changes from minute to minute.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from math import comb
from typing import Any, Final

from enfilade.call import Call
from enfilade.clock import Clock
from enfilade.endpoint.report import REPORT, Counts
from enfilade.endpoint.rpc import Link, connect
from enfilade.errors import Unavailable
from enfilade.trace.metrics import SECONDS

_CHANCE: Final = 0.001
"""How likely what is called worse may be where it is not: it is looked at many times."""
_ENOUGH: Final = 50
"""Calls of each, before their times are compared."""
_LONGER: Final = 1.5
"""Times as long as the quickest 90 of 100 calls of the old version: what takes longer is slow."""
_SLACK: Final = 0.005
"""Seconds more that are not slow in any case."""
_MANY: Final = 0.1
"""Part of its calls, beyond twice that of the old version, that may be slow."""


@dataclass(frozen=True)
class Seen:
    """How the calls of a version ended."""

    calls: int = 0
    failed: int = 0
    times: tuple[int, ...] = ()

    def plus(self, other: Counts, before: Counts) -> Seen:
        """With what one of its processes counted since `before`; all of it, where it has begun again meanwhile."""
        before = before if before.calls <= other.calls else Counts()
        times = [max(0, now - then) for now, then in zip(other.times, before.times or [0] * 99, strict=False)]
        mine = self.times or (0,) * len(times)
        return Seen(
            self.calls + other.calls - before.calls,
            self.failed + max(0, other.failed - before.failed),
            tuple(map(sum, zip(mine, times, strict=True))) if times else mine,
        )

    def quickest(self, part: float) -> float:
        """Seconds within which this part of the calls was done, as exactly as the counts tell."""
        total, below = sum(self.times), 0
        for at, upto in enumerate(accumulate(self.times)):
            if total and upto >= part * total:
                low = SECONDS[at - 1] if at else 0.0
                high = SECONDS[at] if at < len(SECONDS) else low
                return low + (high - low) * (part * total - below) / (upto - below)
            below = upto
        return 0.0

    def __str__(self) -> str:
        count = f"{self.calls} call{'' if self.calls == 1 else 's'}, {self.failed} failed"
        return f"{count}, 90 of 100 within {self.quickest(0.9) * 1000:.1f} ms" if self.calls else "no calls"


def failing(new: Seen, old: Seen) -> str:
    """How the new version fails more often; `""` where it does not, or where that cannot be told yet."""
    usual = (old.failed + 1) / (old.calls + 2)
    if new.failed < 2 or new.failed <= usual * new.calls or _as_many(new.failed, new.calls, usual) >= _CHANCE:
        return ""
    return f"{new.failed} of {new.calls} calls failed, and {old.failed} of {old.calls} before"


def slower(new: Seen, old: Seen, longer: float = _LONGER) -> str:
    """How the new version takes longer; `""` where it does not, or where that cannot be told yet."""
    after, before = sum(new.times), sum(old.times)
    if min(after, before) < _ENOUGH:
        return ""
    bound = min(bisect_left(SECONDS, old.quickest(0.9) * longer + _SLACK), len(SECONDS) - 1)
    slow, slow_before = sum(new.times[bound + 1 :]), sum(old.times[bound + 1 :])
    usual = (slow_before + 1) / (before + 2)
    if slow <= after * (2 * usual + _MANY) or _as_many(slow, after, usual) >= _CHANCE:
        return ""
    return (
        f"{slow} of {after} calls took longer than {SECONDS[bound] * 1000:g} ms, and {slow_before} of {before} before"
    )


def _as_many(count: int, calls: int, usual: float) -> float:
    """How likely so many of the calls or more are, where each is one with that probability."""
    if calls > 1000:  # so many as make no difference, and the numbers stay small
        calls, count = 1000, max(1, round(count * 1000 / calls))
    return 1.0 - sum(comb(calls, one) * usual**one * (1 - usual) ** (calls - one) for one in range(count))


class Watch:
    """Asks processes for what they counted."""

    def __init__(self, services: Sequence[str], clock: Clock) -> None:
        self._services = tuple(services)
        self._clock = clock
        self._begun: dict[str, Counts] = {}

    async def begin(self, addresses: Sequence[str]) -> None:
        """From now on their calls count; of others all do, from their beginning."""
        self._begun.update(await self._asked(addresses))

    async def seen(self, addresses: Sequence[str]) -> Seen:
        """What the processes at these addresses counted."""
        seen = Seen()
        for address, counts in (await self._asked(addresses)).items():
            seen = seen.plus(counts, self._begun.get(address, Counts()))
        return seen

    async def _asked(self, addresses: Sequence[str]) -> dict[str, Counts]:
        """One that does not answer has counted nothing: it is down, and the supervisor's to start again."""
        asked: dict[str, Counts] = {}
        for address in addresses:
            with suppress(Unavailable):
                asked[address] = await ask(address, "counts", self._clock, services=self._services)
        return asked


async def ask(address: str, what: str, clock: Clock, **arguments: Any) -> Any:
    """What a process here reports. Raises Unavailable."""
    async with Link(address, patience=0.0) as link:
        return await asked(link, what, clock, **arguments)


async def asked(link: Link, what: str, clock: Clock, peer: str = "", **arguments: Any) -> Any:
    """What a process reports, by a link to it; `peer` is a service in whose name it is asked. Raises Unavailable."""
    operation = next(one for one in REPORT.operations if one.name == what)
    call = Call(operation, arguments, clock, clock.monotonic() + operation.timeout, peer=peer)
    return await connect(REPORT, link)[operation.id](call)
