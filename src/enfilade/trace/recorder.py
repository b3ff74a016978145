"""The recorder: makes the span and the metrics of each call, and keeps the last spans in a ring.

A span costs about a microsecond, so all calls have one. What leaves the process (a file, a collector) is taken from
bounded queues by threads of their own; a call never waits for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import Token
from random import Random
from types import TracebackType
from typing import Any, Final, Protocol

from enfilade.call import Call, Handler, ambient, current_or_none, enter, leave, when_done
from enfilade.clock import Clock
from enfilade.contract.operation import Operation
from enfilade.hidden import hide
from enfilade.trace.context import format_traceparent, parse_traceparent, parse_tracestate
from enfilade.trace.metrics import Counter, Metrics
from enfilade.trace.span import FACTS, TEXT, Fact, Kind, Span, current_span, inner

_CHANCE: Final = (1 << 56) - 1
"""The part of a trace id that is random by the standard (level 2, 2.2.3.2)."""
_DRIFT: Final = 0.001
"""Seconds that the time of day may move away from the monotonic clock before spans follow it."""
_NOTHING: Final[dict[str, Fact]] = {}


class Listener(Protocol):
    """Whoever takes the spans that ended. Called on the call's own time: it must do no more than put it in a queue."""

    def put(self, span: Span) -> None: ...


class Recorder:
    """Spans and metrics of one process.

    `service` names the app, for spans outside of any service, and `process` the process, where there are several.
    `size` spans are kept: few, so that what they leave is warm memory for the next. `sample` is the part of the traces
    that is recorded, from 0 to 1: chosen by the trace id, so that all processes choose the same ones; calls that end
    with a bug or unavailable are kept always. Metrics count every call.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        service: str = "",
        process: str = "",
        enabled: bool = True,
        size: int = 64,
        sample: float = 1.0,
    ) -> None:
        self.clock = clock
        self.service = service
        self.process = process
        self.enabled = enabled
        self.metrics = Metrics()
        self._ring: deque[Span] = deque(maxlen=size)
        self._takers: list[Callable[[Span], None]] = [self._ring.append]
        # Ids must differ, not be secret: a generator seeded once is ten times cheaper than the system's.
        self._bits = Random(clock.random.getrandbits(256)).getrandbits  # noqa: S311
        self._skip = round((1 - sample) * (_CHANCE + 1))
        self._epoch = 0.0
        self.align()

    def station(self, operation: Operation, handler: Handler) -> Handler:  # noqa: C901  (one frame for all of it)
        """The outermost station: the call becomes `current()`, with a span and its metrics."""
        if not self.enabled:
            return ambient(operation, handler)
        name, service, status = operation.id, operation.service, operation.status
        route: dict[str, Fact] = (
            {"http.request.method": operation.method, "http.route": operation.path} if operation.method else {}
        )
        streams = operation.style in ("stream", "bytes")
        if streams:
            handler = ambient(operation, handler)
        calls = _Calls(self.metrics, operation)
        live, ok, times = calls.live, calls.ok, calls.times
        counts, bounds = times.counts, times.bounds
        monotonic, bits, skip, takers = self.clock.monotonic, self._bits, self._skip, self._takers
        process = self.process

        def end(span: Span, error: BaseException | None) -> None:
            span.duration = monotonic() - span.clock
            if error is not None:
                span.fail(error)
            calls.end(span.outcome, span.duration)
            self._keep(span)

        async def traced(call: Call) -> Any:
            parent, trace_id, peer = call.span_id, call.trace_id, call.peer
            opened = inner.get()
            if opened is not None and parent and opened[0] is not None and opened[0].span_id == parent:
                parent = opened[1].span_id  # the caller made this call within a span of its own
            if not trace_id:
                call.trace_id = trace_id = bits(128) or 1
            call.span_id = span_id = bits(64) or 1
            clock = monotonic()
            outside = call.address and not peer
            call.span = span = Span(
                trace_id, span_id, parent, name, service, "server" if outside else "internal", peer,
                clock, clock + self._epoch, route if outside else _NOTHING, 0.0, "ok", status, (), process,
            )  # fmt: skip
            live.value += 1
            token = enter(call)
            try:
                reply = await handler(call)
            except BaseException as error:
                end(span, error)
                raise
            finally:
                leave(token)
            if streams:
                return when_done(operation, reply, lambda error: end(span, error))
            # What `end` does when all went well, written out: this is where nearly every call passes.
            span.duration = duration = monotonic() - clock
            live.value -= 1
            ok.value += 1
            counts[bisect_left(bounds, duration)] += 1
            times.sum += duration
            if not skip or trace_id & _CHANCE >= skip:
                for take in takers:
                    take(span)
            return reply

        return traced

    def span(
        self, name: str, kind: Kind = "internal", *, traceparent: str = "", **facts: Fact
    ) -> AbstractContextManager[Span]:
        """A span of the platform's own work: part of the current span, or else of `traceparent`, or else a new trace.

        with recorder.span("outbox.relay", topic="orders.OrderPlaced") as span:
            span.set("count", len(entries))
        """
        if not self.enabled:
            return nullcontext(Span(0, 0, 0, name, "", kind, "", 0.0, 0.0, {}))
        return _Open(self, name, kind, traceparent, facts)

    def attach(self, call: Call, traceparent: str, tracestate: str = "") -> None:
        """Make a call from outside part of the trace that its fields name; a malformed field starts a new one."""
        call.trace_id, call.span_id = parse_traceparent(traceparent)
        call.trace_state = parse_tracestate(tracestate) if call.trace_id and tracestate else ""

    def headers(self) -> dict[str, str]:
        """`traceparent` and `tracestate` for what the current span sends out; empty outside of any."""
        call, span = current_or_none(), current_span()
        if span is not None:
            trace_id, span_id = span.trace_id, span.span_id
        elif call is not None and call.trace_id and call.span_id:
            trace_id, span_id = call.trace_id, call.span_id  # not recorded here, handed on all the same
        else:
            return {}
        fields = {"traceparent": format_traceparent(trace_id, span_id, self.enabled and self.sampled(trace_id))}
        if call is not None and call.trace_state:
            fields["tracestate"] = call.trace_state
        return fields

    def sampled(self, trace_id: int) -> bool:
        """Whether the trace is among those that are recorded."""
        return (trace_id & _CHANCE) >= self._skip

    def recent(self) -> tuple[Span, ...]:
        """The spans that ended last, the newest at the end."""
        return tuple(self._ring)

    def listen(self, listener: Listener) -> None:
        """Hand each span that ends to this one also."""
        self._takers.append(listener.put)

    def align(self) -> None:
        """Follow the time of day where it was set or has drifted; listeners call it now and then."""
        epoch = self.clock.now().timestamp() - self.clock.monotonic()
        if abs(epoch - self._epoch) > _DRIFT:
            self._epoch = epoch

    def _keep(self, span: Span) -> None:
        if self._skip and not self.sampled(span.trace_id) and span.status < 500:
            return
        for take in self._takers:
            take(span)


class _Calls:
    """The metrics of one operation's calls."""

    def __init__(self, metrics: Metrics, operation: Operation) -> None:
        labels = {"service": operation.service, "operation": operation.id}
        self.live = metrics.gauge("enfilade_calls_in_flight", "Calls that are being served.", **labels)
        self.times = metrics.histogram("enfilade_call_seconds", "How long calls took.", **labels)
        self._metrics, self._labels = metrics, labels
        self._ends: dict[str, Counter] = {}
        self.ok = self._end("ok")

    def end(self, outcome: str, duration: float) -> None:
        self.live.value -= 1
        self.times.record(duration)
        self._end(outcome).value += 1

    def _end(self, outcome: str) -> Counter:
        counter = self._ends.get(outcome)
        if counter is None:
            counter = self._ends[outcome] = self._metrics.counter(
                "enfilade_calls_total", "Calls that ended, by how.", **self._labels, outcome=outcome
            )
        return counter


class _Open:
    """The `with` of `Recorder.span`."""

    __slots__ = ("_facts", "_kind", "_name", "_recorder", "_span", "_token", "_traceparent")

    def __init__(self, recorder: Recorder, name: str, kind: Kind, traceparent: str, facts: dict[str, Fact]) -> None:
        self._recorder = recorder
        self._name = name
        self._kind: Kind = kind
        self._traceparent = traceparent
        self._facts = _bounded(facts) if facts else _NOTHING

    def __enter__(self) -> Span:
        recorder, call, parent = self._recorder, current_or_none(), current_span()
        if parent is not None:
            trace_id, parent_id = parent.trace_id, parent.span_id
        elif call is not None and call.trace_id:
            trace_id, parent_id = call.trace_id, call.span_id
        else:
            trace_id, parent_id = parse_traceparent(self._traceparent) if self._traceparent else (0, 0)
        clock = recorder.clock.monotonic()
        self._span = Span(
            trace_id or recorder._bits(128) or 1, recorder._bits(64) or 1, parent_id, self._name,
            call.operation.service if call is not None else recorder.service, self._kind, "", clock,
            clock + recorder._epoch, self._facts, process=recorder.process,
        )  # fmt: skip
        self._token: Token[tuple[Call | None, Span] | None] = inner.set((call, self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        inner.reset(self._token)
        span = self._span
        span.duration = self._recorder.clock.monotonic() - span.clock
        if error is not None:
            span.fail(error)
        self._recorder._keep(span)


def _bounded(facts: dict[str, Fact]) -> dict[str, Fact]:
    kept = list(facts.items())[:FACTS]
    return {name: hide(value)[:TEXT] if isinstance(value, str) else value for name, value in kept}
