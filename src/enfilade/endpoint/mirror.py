"""Copies of what a process serves, made in rehearsal to the variants of its services; their outcomes are compared.

A copy is sent when the call has been answered, so nobody waits for it and nothing depends on it. Only so many are
under way to a variant at a time; what would be more is dropped, and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from enfilade.call import Call, Handler
from enfilade.clock import Clock
from enfilade.contract.codec import codec
from enfilade.contract.declare import contract, query
from enfilade.contract.message import Message
from enfilade.contract.need import peers
from enfilade.contract.operation import Operation
from enfilade.contract.read import read
from enfilade.endpoint.differ import differences
from enfilade.endpoint.rpc.messages import uploads
from enfilade.errors import InRehearsal, Problem
from enfilade.trace.metrics import Metrics

log = logging.getLogger("enfilade.variants")

Outcome = Literal["sent", "same", "different", "refused", "failed", "dropped"]
"""sent: it was answered, and nothing is compared. refused: it was going to do what cannot be rehearsed. failed: there
was no answer."""

_AT_ONCE: Final = 64
"""Copies that are under way to a variant."""
_PATHS: Final = 50
"""Paths of an operation that are remembered."""


class Compared(Message):
    """What became of the copies of one operation's calls at one variant."""

    variant: str
    operation: str
    outcomes: Mapping[str, int] = {}
    """How many ended how."""
    paths: Mapping[str, int] = {}
    """Where they differed, and how often."""


@contract(name="enfilade-variants", needs=peers)
class Variants(Protocol):
    @query()
    async def compared(self) -> tuple[Compared, ...]:
        """What became of the copies that this process made of calls, since it began."""
        ...


VARIANTS: Final = read(Variants)


@dataclass(frozen=True, kw_only=True)
class Glass:
    """A variant that calls are mirrored to."""

    process: str
    percent: float
    compare: bool
    ignore: tuple[str, ...]
    ends: Mapping[str, Handler]


@dataclass
class _Tally:
    outcomes: dict[str, int] = field(default_factory=dict[str, int])
    paths: dict[str, int] = field(default_factory=dict[str, int])


class Mirrors:
    """All copies that a process makes."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._tasks: dict[str, set[asyncio.Task[None]]] = {}
        self._tallies: dict[tuple[str, str], _Tally] = {}

    def compared(self) -> tuple[Compared, ...]:
        """What became of them."""
        return tuple(
            Compared(variant=variant, operation=operation, outcomes=dict(one.outcomes), paths=dict(one.paths))
            for (variant, operation), one in self._tallies.items()
        )

    def close(self) -> None:
        """No more copies."""
        for tasks in self._tasks.values():
            for task in tasks:
                task.cancel()

    def send(self, glass: Glass, call: Call, answer: Any) -> None:
        """Make a call again, at a variant."""
        tasks = self._tasks.setdefault(glass.process, set())
        if len(tasks) >= _AT_ONCE:
            self._count(glass, call.operation, "dropped")
            return
        now = self._clock.monotonic()
        copy = Call(
            call.operation, dict(call.arguments), self._clock, now + call.operation.timeout, call.caller, call.tenant,
            call.peer, call.trace_id, call.span_id, call.trace_state, key=call.key, rehearsal=True,
        )  # fmt: skip
        work = self._try(glass, copy, answer)
        task = asyncio.get_running_loop().create_task(work, name=f"copy {copy.operation.id}", context=Context())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _try(self, glass: Glass, copy: Call, answer: Any) -> None:
        operation = copy.operation
        try:
            reply = await glass.ends[operation.id](copy)
        except InRehearsal:
            self._count(glass, operation, "refused")
            return
        except Problem as problem:
            reply = problem
        except Exception as failed:
            self._count(glass, operation, "failed")
            log.debug("%s, rehearsed in %s, failed: %r", operation.id, glass.process, failed)
            return
        if not glass.compare:
            self._count(glass, operation, "sent")
            return
        try:
            made = answer if isinstance(answer, Problem) else codec(operation.reply).copy(answer)
        except Exception:  # what was answered here is not what the contract says
            made = answer
        always = ("/next",) if operation.style == "page" else ()  # a cursor is sealed anew each time
        self._tell(glass, copy, differences(made, reply, (*glass.ignore, *always)))

    def _tell(self, glass: Glass, copy: Call, paths: Sequence[str]) -> None:
        tally = self._count(glass, copy.operation, "different" if paths else "same")
        for path in paths:
            if path in tally.paths or len(tally.paths) < _PATHS:
                tally.paths[path] = tally.paths.get(path, 0) + 1
        times = tally.outcomes.get("different", 0)
        if paths and str(times).strip("0") == "1":  # the first, the tenth, the hundredth
            log.warning(
                "%s answers otherwise than before to %s, for the %d. time, at %s (trace %032x)",
                glass.process, copy.operation.id, times, " ".join(paths[:_PATHS]), copy.trace_id,
            )  # fmt: skip

    def _count(self, glass: Glass, operation: Operation, outcome: Outcome) -> _Tally:
        tally = self._tallies.setdefault((glass.process, operation.id), _Tally())
        tally.outcomes[outcome] = tally.outcomes.get(outcome, 0) + 1
        self._metrics.counter(
            "enfilade_variant_copies_total",
            "Calls that were made again to a variant, in rehearsal, by how that ended.",
            service=operation.service, operation=operation.id, variant=glass.process, outcome=outcome,
        ).add()  # fmt: skip
        return tally


class Mirror:
    """The variants that calls of one service are mirrored to. They may change while calls are under way."""

    def __init__(self, mirrors: Mirrors) -> None:
        self.glasses: Sequence[Glass] = ()
        self._mirrors = mirrors

    def station(self, operation: Operation, handler: Handler) -> Handler:
        """Makes copies of what was answered; streams are not mirrored."""
        if operation.style not in ("value", "nothing", "page") or uploads(operation) is not None:
            return handler

        async def watched(call: Call) -> Any:
            try:
                reply = await handler(call)
            except Problem as problem:
                if problem.status < 500:
                    self._mirror(call, problem)
                raise
            self._mirror(call, reply)
            return reply

        def mirrored(call: Call) -> Awaitable[Any]:
            return watched(call) if self.glasses and not call.rehearsal else handler(call)

        return mirrored

    def _mirror(self, call: Call, answer: Any) -> None:
        for glass in self.glasses:
            if call.clock.random.random() * 100 < glass.percent:
                self._mirrors.send(glass, call, answer)
