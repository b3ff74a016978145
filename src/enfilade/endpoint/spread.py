"""Which of several processes serves a call: who calls chooses, by the share of each.

The same key, or else the same person, comes to the same process again (rendezvous hashing: Thaler and Ravishankar,
1998; with weights as in Mosharaf, Schindelhauer, 2005). Where a process gets a larger share, those that came to it
before stay there, and only others move.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from hashlib import blake2b
from math import log
from typing import Any, Final, NamedTuple

from enfilade.call import Call, Handler
from enfilade.contract.operation import Operation
from enfilade.endpoint.rpc.agree import Incompatible
from enfilade.endpoint.rpc.dial import Unreached
from enfilade.trace.metrics import Counter

_UNASKED: Final = (Unreached, Incompatible)
"""What a process did not run: another one may be asked."""


class Road(NamedTuple):
    """A process that serves a service."""

    process: str
    share: float
    """What part of the calls goes there; of all shares together, whatever they add up to."""
    ends: Mapping[str, Handler] | None
    """How it is asked, by operation id; None for this process itself."""
    calls: Counter
    """Those that it took."""


class Spread:
    """The ways of one service. They may change while calls are under way."""

    def __init__(self) -> None:
        self.roads: Sequence[Road] = ()

    def end(self, operation: Operation) -> Handler:
        """The end of a row, for a service that is in other processes only."""
        return _Choice(operation, self, None).handler

    def station(self, operation: Operation, handler: Handler) -> Handler:
        """For a service that is in this process, too: goes on here, or there."""
        chosen = _Choice(operation, self, handler).handler

        def choose(call: Call) -> Any:
            return chosen(call) if self.roads else handler(call)

        return choose


class _Choice:
    def __init__(self, operation: Operation, spread: Spread, here: Handler | None) -> None:
        self._id = operation.id
        self._spread = spread
        self._here = here
        self._sticks = sticking(operation)
        stream = operation.style in ("stream", "bytes")
        self.handler: Handler = self._stream if stream else self._unary

    async def _unary(self, call: Call) -> Any:
        roads = self._spread.roads
        if len(roads) == 1:
            return await self._to(roads[0])(call)
        roads = order(roads, self._sticks(call))
        for road in roads:
            road.calls.value += 1
            try:
                return await self._to(road)(call)
            except _UNASKED:
                road.calls.value -= 1
                if road is roads[-1]:
                    raise
        raise AssertionError("there is always a way")

    async def _stream(self, call: Call) -> Any:
        return self._items(call)

    async def _items(self, call: Call) -> AsyncGenerator[Any, None]:
        roads = order(self._spread.roads, self._sticks(call))
        for road in roads:
            items: AsyncGenerator[Any, None] = await self._to(road)(call)
            begun = False
            road.calls.value += 1
            try:
                async for item in items:
                    begun = True
                    yield item
            except _UNASKED:
                if not begun:
                    road.calls.value -= 1
                if begun or road is roads[-1]:
                    raise
            else:
                return
            finally:
                await items.aclose()

    def _to(self, road: Road) -> Handler:
        if road.ends is not None:
            return road.ends[self._id]
        assert self._here is not None
        return self._here


def sticking(operation: Operation) -> Callable[[Call], str]:
    """What calls have in common that are served by the same process: their key, or who calls, or their trace."""
    key = next((one.name for one in operation.parameters if one.key), None)

    def sticks(call: Call) -> str:
        if key is not None:
            return f"{call.tenant}\n{call.arguments[key]}"
        if call.caller is not None:
            return f"{call.tenant}\n{call.caller.subject}"
        return f"{call.trace_id or call.clock.random.getrandbits(64):x}"

    return sticks


def order(roads: Sequence[Road], sticks: str) -> Sequence[Road]:
    """The one that serves what sticks together, then those that are asked where it cannot be: of what has no share
    only the primary one, which is the first."""
    said = sticks.encode()
    shared = sorted((road for road in roads if road.share > 0), key=lambda road: _distance(road, said))
    return shared if roads[0].share > 0 else [*shared, roads[0]]


def _distance(road: Road, said: bytes) -> float:
    digest = blake2b(said, digest_size=8, key=road.process.encode()[-64:]).digest()
    return -log((int.from_bytes(digest) + 1) / 2.0**64) / road.share
