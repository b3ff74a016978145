"""One delivery: the event is read, its handler is called like any operation, and how it ended is stored."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from enfilade.call import Call
from enfilade.clock import Clock
from enfilade.contract.codec import codec
from enfilade.contract.limit import period
from enfilade.errors import Invalid, Malformed
from enfilade.hidden import hide
from enfilade.store.inbox import Delivery
from enfilade.store.store import Store
from enfilade.topic.consumer import Consumer
from enfilade.topic.handlers import Heard
from enfilade.topic.pace import Pace
from enfilade.trace.recorder import Recorder

log = logging.getLogger("enfilade.topic")

_ERROR = 1000
"""Characters that are kept of an error."""


class Deliverer:
    """Delivers to the handlers of one service.

    A failed handler runs again later, whatever it failed by: a refusal may turn into an answer when another service has
    heard its own events. Only a body that cannot be read goes to the dead letters at once, for it will never be better.
    """

    def __init__(self, store: Store, *, clock: Clock, recorder: Recorder, pace: Pace) -> None:
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._pace = pace
        self._dead = recorder.metrics.gauge(
            "enfilade_dead_letters", "Events that were given up.", service=store.service
        )

    async def deliver(self, consumer: Consumer, delivery: Delivery) -> bool:
        """Run the handler for an event; whether it was heard. Raises only where its end could not be stored."""
        if delivery.tries >= self._pace.tries:
            await self._bury(delivery, RuntimeError("it was begun so often, and its process died each time"))
            return False
        try:
            arguments = _arguments(consumer, delivery.entry.body)
        except (Malformed, Invalid) as error:
            await self._bury(delivery, error)
            return False
        call = self._call(consumer, delivery, arguments)
        try:
            await self._run(consumer, call, delivery)
            if call.delivery is not None:  # no unit of work of its own has said so
                await self._store.inbox.done(delivery)
        except Exception as error:
            if call.delivery is not None:
                await self._failed(delivery, error)
                return False
            log.exception("%s failed for %s after its unit of work: it is not run again", *_named(delivery))
        self._count(consumer.id, "done")
        return True

    async def skip(self, delivery: Delivery) -> bool:
        """A turn of a schedule that a newer one makes up for."""
        await self._store.inbox.done(delivery)
        self._count(delivery.consumer, "skipped")
        return True

    async def tick(self, consumer: Consumer) -> bool:
        """One turn of a schedule of this replica: where it fails, the next one comes by the clock."""
        operation = consumer.operation
        call = Call(operation, {}, self._clock, self._clock.monotonic() + operation.timeout, peer=operation.service)
        try:
            await consumer.handler(call)
        except Exception:
            log.exception("%s failed", consumer.id)
        return True

    async def again(self, delivery: Delivery, wait: float, error: str) -> None:
        """Not heard yet: free it, to be tried after so many seconds."""
        await self._store.inbox.retry(delivery, self._clock.now() + timedelta(seconds=wait), error)

    async def clean(self, consumers: Iterable[Consumer]) -> None:
        """Forget what was heard so long ago that it cannot come again, and count the dead letters."""
        now = self._clock.now()
        for one in consumers:
            keep = self._pace.keep
            if isinstance(one.said, Heard):
                keep = max(keep, period(str(getattr(one.said.event, "event_keep", ""))))
            if keep < float("inf"):
                await self._store.inbox.sweep(now - timedelta(seconds=keep), consumers=(one.id,))
        self._dead.set(len(await self._store.inbox.dead(limit=10_000)))

    def _call(self, consumer: Consumer, delivery: Delivery, arguments: dict[str, Any]) -> Call:
        """A call of the service that said it. By its key, commands to other services are done once in all tries."""
        entry, operation = delivery.entry, consumer.operation
        call = Call(operation, arguments, self._clock, self._clock.monotonic() + operation.timeout)
        call.tenant = entry.headers.get("tenant", "")
        call.peer = entry.source
        call.key = f"{consumer.id}:{entry.id}"
        call.delivery = delivery
        self._recorder.attach(call, entry.headers.get("traceparent", ""), entry.headers.get("tracestate", ""))
        return call

    async def _run(self, consumer: Consumer, call: Call, delivery: Delivery) -> None:
        entry = delivery.entry
        facts = {"consumer": consumer.id, "topic": entry.topic, "event": entry.id, "try": delivery.tries + 1}
        with self._recorder.span(
            "deliver", "consumer", traceparent=entry.headers.get("traceparent", ""), **facts
        ) as span:
            if span.trace_id:
                call.trace_id, call.span_id = span.trace_id, span.span_id
            await consumer.handler(call)

    async def _failed(self, delivery: Delivery, error: Exception) -> None:
        tries = delivery.tries + 1
        if tries >= self._pace.tries:
            await self._bury(delivery, error)
            return
        wait = self._pace.wait(tries, self._clock.random)
        await self.again(delivery, wait, _told(error))
        log.warning("%s failed for %s (try %d), again in %.1f s: %s", *_named(delivery), tries, wait, _told(error))
        self._count(delivery.consumer, "retried")

    async def _bury(self, delivery: Delivery, error: Exception) -> None:
        await self._store.inbox.bury(delivery, _told(error))
        log.error("%s gave %s up: it is with the dead letters", *_named(delivery), exc_info=error)
        self._dead.add(1)
        self._count(delivery.consumer, "dead")

    def _count(self, consumer: str, outcome: str) -> None:
        self._recorder.metrics.counter(
            "enfilade_deliveries_total", "Events that handlers were run for, by how it ended.",
            consumer=consumer, outcome=outcome,
        ).add()  # fmt: skip


def _arguments(consumer: Consumer, body: bytes) -> dict[str, Any]:
    """The event under the name of the handler's parameter. Raises Malformed or Invalid."""
    if not isinstance(consumer.said, Heard):
        return {}
    return {consumer.said.parameter: codec(consumer.said.event, unknown="ignore").decode(body)}


def _named(delivery: Delivery) -> tuple[str, str]:
    return delivery.consumer, f"{delivery.entry.topic} {delivery.entry.id}"


def _told(error: Exception) -> str:
    return hide(f"{type(error).__name__}: {error}")[:_ERROR]
