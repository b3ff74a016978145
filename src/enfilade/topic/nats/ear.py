"""What one service hears of one event: pulled from the broker, put into the inbox, and then acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from enfilade.clock import Clock
from enfilade.store.watch import Watch
from enfilade.topic.nats.link import Link
from enfilade.topic.nats.wire import entry_of, stream_of
from enfilade.topic.transport import Away, Hearer

log = logging.getLogger("enfilade.topic")

BATCH = 200
"""Messages that are asked for at once; a commit is shared well enough by as many."""
EXPIRES = 30.0
"""Seconds for which one request waits for messages."""
HEARTBEAT = 5.0
"""Seconds after which the broker tells that it is there, where no message comes."""
POLL = 1.0
"""The longest wait, in seconds, of one that does not lead, or where something failed."""


class Ear:
    """One durable consumer, which the leading process of the service pulls from, in the order of the stream.

    Whatever fails, it begins again after the last message that was acknowledged: the inbox knows what it has.
    """

    def __init__(self, link: Link, hearer: Hearer, topic: str, watch: Watch, clock: Clock) -> None:
        self.topic = topic
        self.durable = f"{hearer.service}-{topic.rpartition('.')[2]}"
        self._link = link
        self._hearer = hearer
        self._watch = watch
        self._clock = clock
        self._came = asyncio.Event()
        self._messages: deque[Any] = deque()
        self._subscription: Any = None
        self._left = 0
        """Messages that the last request may still bring."""
        self._cuts = 0
        self._tries = 0
        link.listeners.append(self._came.set)

    async def run(self) -> None:
        """Hear, for as long as this process leads."""
        while True:
            try:
                await self._link.ready()
                if self._watch.leads:
                    await self._listen()
            except Exception as error:
                self._tries += 1
                if self._tries == 3 and self._link.there:  # a cut is over by then
                    log.warning("%s does not hear %s, trying again: %r", self._hearer.service, self.topic, error)
            finally:
                await self.end()
            await self._clock.sleep(min(POLL, 0.05 * 2**self._tries) if self._tries else POLL)

    async def ready(self) -> None:
        """Let the broker keep what is said from now on."""
        await self._link.consumer(self.durable, self.topic)

    async def _begin(self) -> None:
        """After what was acknowledged last."""
        await self.end()
        self._cuts = self._link.cuts
        self._messages.clear()
        self._left = 0
        await self.ready()
        await self._link.rewind(self.durable, self.topic)
        inbox = self._link.connection.new_inbox()
        self._subscription = await self._link.connection.subscribe(inbox, cb=self._take)

    async def end(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._link.there:
            with suppress(Exception):  # it may be cut off just now; the broker forgets it then
                await subscription.unsubscribe()

    async def turn(self) -> int:
        """Give what is there now; how much it was."""
        if self._subscription is None or self._cuts != self._link.cuts:
            await self._begin()
        taken = 0
        await self._ask(batch=BATCH, no_wait=True)
        while self._left > 0:
            taken += await self._give(await self._some())
        return taken

    async def _listen(self) -> None:
        await self._begin()
        while self._watch.leads:
            if self._left <= 0:
                nanoseconds = 1_000_000_000
                await self._ask(
                    batch=BATCH, expires=int(EXPIRES * nanoseconds), idle_heartbeat=int(HEARTBEAT * nanoseconds)
                )
            messages = await self._some()
            if self._watch.leads:
                await self._give(messages)
                self._tries = 0

    async def _give(self, messages: Sequence[Any]) -> int:
        if messages:
            await self._hearer.accept([entry_of(message, self.topic) for message in messages])
            await messages[-1].ack()  # and so all before it
        return len(messages)

    async def _ask(self, **words: object) -> None:
        self._left = BATCH
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream_of(self.topic)}.{self.durable}"
        await self._link.connection.publish(subject, msgspec.json.encode(words), reply=self._subscription.subject)

    async def _some(self) -> list[Any]:
        """What has come since, which may be nothing. Raises Away where more will not come."""
        if not self._messages:
            try:
                async with asyncio.timeout(2.5 * HEARTBEAT):
                    await self._came.wait()
            except TimeoutError:
                raise Away("nothing comes any more, not even a heartbeat") from None
        self._came.clear()
        if self._cuts != self._link.cuts:
            raise Away("the connection was cut")
        found: list[Any] = []
        while self._messages:
            message = self._messages.popleft()
            if message.reply:
                found.append(message)
                self._left -= 1
            else:
                self._told(message.headers or {})
        return found

    def _told(self, headers: dict[str, str]) -> None:
        """The broker says something about the request."""
        status = headers.get("Status", "")
        if status in ("404", "408"):  # there is no more, or its time is over
            self._left = 0
        elif status != "100":
            raise Away(f"{status} {headers.get('Description', '')}")

    async def _take(self, message: Any) -> None:
        self._messages.append(message)
        self._came.set()
