"""One span: a named piece of work with its time, its outcome, and the span that it is part of."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from functools import cache
from types import TracebackType
from typing import Final, Literal, TypeAlias

import msgspec

from enfilade.call import Call, current_or_none
from enfilade.errors import Problem, Unavailable, kebab
from enfilade.hidden import hide

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
"""Which end of an exchange a span is, in OpenTelemetry's words; `internal` where it crosses nothing."""

Fact: TypeAlias = str | int | float | bool

TEXT: Final = 256
"""Characters that are kept of a fact's text."""
FACTS: Final = 32
"""The most facts that a span keeps."""
PHASES: Final = 64
"""The most phases that a span keeps."""


class Phase(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A named part of a span."""

    name: str
    start: float
    """Seconds after the span's own start."""
    duration: float
    """Seconds."""


class Span(msgspec.Struct, gc=False):
    """A piece of work, while it runs and after. Made for each call, so it is nothing but slots.

    Arguments, results and the caller's name are never in it: what a span holds may be shown to whoever runs the system.
    """

    trace_id: int
    span_id: int
    parent_id: int
    """The span that this one is part of; 0 where the trace starts."""
    name: str
    """The operation's id, `orders.place`, or the name of the platform's own work."""
    service: str
    kind: Kind
    peer: str
    """The service that calls; `""` from outside."""
    clock: float
    """The start, on the clock's `monotonic()`; means nothing in another process."""
    start: float
    """The start, in seconds of Unix time."""
    facts: dict[str, Fact]
    """Further facts; shared with the other spans of the operation until `set` adds one."""
    duration: float = 0.0
    """Seconds; 0 until it ends."""
    outcome: str = "ok"
    """`ok`, a problem's name, `unavailable`, `overloaded`, `deadline-exceeded`, `cancelled` or `bug`."""
    status: int = 0
    """The HTTP status that the outcome has or would have; 0 where it has none."""
    phases: tuple[Phase, ...] = ()
    process: str = ""
    """The process of a plan in which it was made, `orders` or `orders@2`; `""` where one process does everything."""

    def set(self, fact: str, value: Fact) -> None:
        """Add a fact. Text is cut at 256 characters, and there are 32 facts at most."""
        if len(self.facts) < FACTS or fact in self.facts:
            self.facts = {**self.facts, fact: hide(value)[:TEXT] if isinstance(value, str) else value}

    def fail(self, error: BaseException) -> None:
        """Take outcome and status from the error that ended the work; its text is not kept."""
        self.outcome, self.status = outcome_of(type(error))
        if self.outcome == "bug":
            self.set("error.type", type(error).__qualname__)


@cache
def outcome_of(error: type[BaseException]) -> tuple[str, int]:
    """The name and the HTTP status of how work ended that raised this."""
    if issubclass(error, Problem):
        return kebab(error.__name__), error.status
    if issubclass(error, Unavailable):
        return kebab(error.__name__), 504 if error.__name__ == "DeadlineExceeded" else 503
    if issubclass(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled", 0
    return "bug", 500


inner: ContextVar[tuple[Call | None, Span] | None] = ContextVar("enfilade_span", default=None)
"""The open span that is not a call's own, with the call in which it was opened.

It lives in the context and not on the call: the branches of a `gather` share the call, and each has its own context.
"""


def current_span() -> Span | None:
    """The innermost open span; None where nothing is recorded."""
    call = current_or_none()
    opened = inner.get()
    if opened is not None and opened[0] is call:
        return opened[1]
    return call.span if call is not None else None


class phase:  # noqa: N801  (reads as a statement: `with phase("tax"):`)
    """A named part of the current span, with its time: `with phase("tax"): ...`; nothing where there is none."""

    __slots__ = ("_began", "_call", "_name", "_span")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._call = current_or_none()
        self._span = current_span() if self._call is not None else None
        if self._call is not None and self._span is not None:
            self._began = self._call.clock.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        span = self._span
        if self._call is not None and span is not None and len(span.phases) < PHASES:
            now = self._call.clock.monotonic()
            span.phases += (Phase(hide(self._name), self._began - span.clock, now - self._began),)
