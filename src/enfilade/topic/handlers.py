"""Methods that hear events and methods that run by the clock. The decorators mark them; reading makes sense of it.

@on(OrderPlaced)
async def thank(self, event: OrderPlaced) -> None: ...

@every("1d", at="03:00")
async def close_the_day(self) -> None: ...
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import time
from typing import Any, Literal, TypeVar

from enfilade.contract.message import Event

E = TypeVar("E", bound=Event)
S = TypeVar("S")

Where = Literal["fleet", "replica"]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """An `@on` method as it was read."""

    name: str
    """The method's name."""
    event: type[Event]
    where: str
    """`file:line` of the method."""
    summary: str


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """An `@every` method as it was read."""

    name: str
    seconds: float
    at: time | None
    """Time of day in UTC, for whole days."""
    runs: Where
    where: str
    """`file:line` of the method."""
    summary: str


def on(
    event: type[E],
) -> Callable[[Callable[[S, E], Coroutine[Any, Any, None]]], Callable[[S, E], Coroutine[Any, Any, None]]]:
    """Hear an event: the method runs for each, once per service, in order for each key, and is tried again on failure."""

    def say(method: Callable[[S, E], Coroutine[Any, Any, None]]) -> Callable[[S, E], Coroutine[Any, Any, None]]:
        return method

    return say


def every(
    period: str, *, at: str = "", where: Where = "fleet"
) -> Callable[[Callable[[S], Coroutine[Any, Any, None]]], Callable[[S], Coroutine[Any, Any, None]]]:
    """Run by the clock: `@every("1h")`, `@every("1d", at="03:00")` (UTC).

    `where="fleet"`: once for all replicas, remembered across restarts; turns that were missed are made up by one.
    `where="replica"`: in each process, as long as it lives; for caches.
    """

    def say(method: Callable[[S], Coroutine[Any, Any, None]]) -> Callable[[S], Coroutine[Any, Any, None]]:
        return method

    return say


def handlers_of(service: type) -> tuple[Heard, ...]:
    """The `@on` methods of a service's class. Raises StartError with all mistakes."""
    return ()


def schedules_of(service: type) -> tuple[Scheduled, ...]:
    """The `@every` methods of a service's class. Raises StartError with all mistakes."""
    return ()
