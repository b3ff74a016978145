"""Saying that something happened: `Topic[OrderPlaced]` is injected, `publish` is called inside `@atomic`."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from enfilade.call import Call, current_or_none
from enfilade.clock import Clock
from enfilade.contract.codec import codec
from enfilade.contract.message import Event, event_key, event_name
from enfilade.errors import Misuse
from enfilade.store.outbox import Entry, Outbox
from enfilade.trace.context import format_traceparent
from enfilade.trace.span import current_span, phase

E = TypeVar("E", bound=Event)


class Topic(Generic[E]):
    """Where a service says its events of one type.

        @atomic
        async def _record(self, row: OrderRow) -> None:
            await self.orders.add(row)
            await self.placed.publish(OrderPlaced(order=row.into(Order)))

    The event commits with the rows of the same unit of work, or not at all, and is heard by every service that has an
    `@on(OrderPlaced)` method. Events of one service with the same key are heard in the order of their commits.
    """

    def __init__(self, event: type[E], service: str) -> None:
        self.event = event
        self.name = event_name(event)
        """The same on every transport: `orders.OrderPlaced`."""
        self.service = service
        """The service that says it."""
        self._phase = f"publish {self.name}"
        self._encode = codec(event, unknown="ignore").encode

    async def publish(self, event: E, *, at: datetime | None = None) -> None:
        """Say it; with `at`, a moment with a zone, not before then: a timer. Misuse outside of `@atomic`.

        A timer takes its place in the order of its key when it is due, and is as durable as any event.
        """
        call = current_or_none()
        if call is None or call.unit is None:
            raise Misuse(
                f"{self.name} is published outside of a unit of work, where it could be said and its rows be lost: "
                "publish it in the @atomic method that changes them."
            )
        if at is not None and at.tzinfo is None:
            raise Misuse(f"{self.name} is published at={at}, which has no zone: take it from current().now.")
        now = call.now
        timer = at is not None and at > now
        outbox: Outbox = call.home.outbox
        with phase(self._phase):
            await outbox.add(
                Entry(
                    id=uuid7(call.clock),
                    topic=self.name,
                    source=self.service,
                    key=event_key(event),
                    at=at if at is not None and timer else now,
                    timer=timer,
                    body=self._encode(event),
                    headers=_headers(call),
                )
            )


def _headers(call: Call) -> dict[str, str]:
    """What the event carries along of the call that said it."""
    fields = {"cause": call.operation.id}
    if call.tenant:
        fields["tenant"] = call.tenant
    span = current_span()
    trace_id, span_id = (call.trace_id, call.span_id) if span is None else (span.trace_id, span.span_id)
    if trace_id and span_id:
        fields["traceparent"] = format_traceparent(trace_id, span_id, sampled=True)
        if call.trace_state:
            fields["tracestate"] = call.trace_state
    return fields


def uuid7(clock: Clock) -> str:
    """A UUID that sorts by its time (RFC 9562, 5.7): 48 bits of milliseconds and 74 of chance."""
    milliseconds = int(clock.now().timestamp() * 1000)
    chance = clock.random.getrandbits(74)
    return str(UUID(int=(milliseconds << 80) | (7 << 76) | (chance >> 62 << 64) | (2 << 62) | (chance & (1 << 62) - 1)))
