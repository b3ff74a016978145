"""Whether a new version does worse than the old one: how their calls ended, and how long they took.

Both are counted by themselves, over all that was asked of them since the new one came. A difference counts where it is
hardly chance: that of failures by the binomial distribution, with what the old version fails with; that of times where
they are far apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import comb
from typing import Any, Final

import msgspec

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
_SLOWER: Final = 1.5
"""Times as long as before that the quickest 90 of 100 calls may take."""
_SLACK: Final = 0.005
"""Seconds by which they may be longer in any case."""


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


def worse(new: Seen, old: Seen) -> str:
    """How the new version does worse; `""` where it does not, or where that cannot be told yet."""
    usual = (old.failed + 1) / (old.calls + 2)
    if new.failed >= 2 and new.failed * (old.calls + 1) > old.failed * new.calls and _as_many(new, usual) < _CHANCE:
        return f"{new.failed} of {new.calls} calls failed, and {old.failed} of {old.calls} before"
    after, before = new.quickest(0.9), old.quickest(0.9)
    if min(sum(new.times), sum(old.times)) >= _ENOUGH and after > before * _SLOWER + _SLACK:
        return f"90 of 100 calls took up to {after * 1000:.1f} ms, and {before * 1000:.1f} ms before"
    return ""


def _as_many(new: Seen, usual: float) -> float:
    """How likely so many failures or more are, where each call fails with that probability."""
    calls, failed = new.calls, new.failed
    if calls > 1000:  # so many as make no difference, and the numbers stay small
        calls, failed = 1000, max(1, round(failed * 1000 / calls))
    return 1.0 - sum(comb(calls, one) * usual**one * (1 - usual) ** (calls - one) for one in range(failed))


class Watch:
    """Asks processes for what they counted."""

    def __init__(self, services: Sequence[str], clock: Clock) -> None:
        self._services = tuple(services)
        self._clock = clock
        self._begun: dict[str, Counts] = {}

    async def begin(self, addresses: Sequence[str]) -> None:
        """From now on their calls count; of others all do, from their beginning."""
        for address in addresses:
            self._begun[address] = await ask(address, "counts", self._clock, services=self._services)

    async def seen(self, addresses: Sequence[str]) -> Seen:
        """What the processes at these addresses counted. One that does not answer has counted nothing."""
        seen = Seen()
        for address in addresses:
            try:
                counts: Counts = await ask(address, "counts", self._clock, services=self._services)
            except Unavailable:  # it is down, and somebody else's to start again
                continue
            seen = seen.plus(counts, self._begun.get(address, Counts()))
        return seen


async def contracts(address: str, clock: Clock) -> Mapping[str, Mapping[str, dict[str, Any]]]:
    """The contracts that a process has. Raises Unavailable."""
    return msgspec.json.decode(await ask(address, "contracts", clock), type=dict[str, dict[str, dict[str, Any]]])


async def ask(address: str, what: str, clock: Clock, **arguments: Any) -> Any:
    """What a process reports. Raises Unavailable."""
    operation = next(one for one in REPORT.operations if one.name == what)
    async with Link(address, patience=0.0) as link:
        call = Call(operation, arguments, clock, clock.monotonic() + operation.timeout)
        return await connect(REPORT, link)[operation.id](call)
