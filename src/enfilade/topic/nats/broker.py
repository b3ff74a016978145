"""The transport over NATS JetStream: publishes what relays hand on, and pulls what the services here hear."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from enfilade.clock import Clock
from enfilade.store.outbox import Entry
from enfilade.store.watch import Watch
from enfilade.topic.nats.ear import Ear
from enfilade.topic.nats.link import PATIENCE, Link
from enfilade.topic.nats.wire import headers_of, stream_of, subject_of
from enfilade.topic.transport import Away, Hearer, Local

_TOO_LONG = 10054
"""The server's number for a message that is longer than its stream takes."""


class Nats:
    """Between processes. Each event is published, whoever may hear it; schedules stay within their service."""

    def __init__(self, url: str, *, clock: Clock, name: str = "enfilade") -> None:
        self._link = Link(url, name, clock)
        self._clock = clock
        self._inside = Local()
        self._turns: frozenset[str] = frozenset()
        self._ears: list[Ear] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._begun = 0
        """How many of them are ready."""
        self._open = False

    @property
    def waiting(self) -> tuple[str, ...]:
        return () if self._link.there else ("broker",)

    def hear(self, hearer: Hearer, watch: Watch) -> None:
        self._inside.hear(hearer, watch)
        self._turns |= hearer.turns
        topics = sorted(hearer.topics - hearer.turns)
        self._ears += (Ear(self._link, hearer, topic, watch, self._clock) for topic in topics)

    async def start(self, *, background: bool = True) -> None:
        if not self._open:
            await self._link.open()
            self._open = True
        new, self._begun = self._ears[self._begun :], len(self._ears)
        for ear in new:  # before anybody here says something
            await ear.ready()
        if background:
            self._tasks += [asyncio.create_task(ear.run(), name=f"ear {ear.durable}") for ear in new]

    async def accept(self, entries: Sequence[Entry]) -> None:
        turns = [entry for entry in entries if entry.topic in self._turns]
        if turns:
            await self._inside.accept(turns)
        lanes: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.topic not in self._turns:
                lanes.setdefault(entry.key or entry.id, []).append(entry)
        if not lanes:
            return
        if not self._link.there:
            raise Away(f"the broker at {self._link.where} is gone")
        try:
            async with asyncio.timeout(PATIENCE):
                for topic in {entry.topic for lane in lanes.values() for entry in lane}:
                    await self._link.stream(topic)
                outcomes = await asyncio.gather(*map(self._publish, lanes.values()), return_exceptions=True)
        except Exception as error:
            raise Away(f"the broker at {self._link.where} does not take events ({error!r})") from error
        self._tell(outcomes)

    async def turn(self) -> int:
        return sum([await ear.turn() for ear in self._ears])

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for ear in self._ears:
            await ear.end()
        await self._link.close()

    def _tell(self, outcomes: Sequence[BaseException | None]) -> None:
        """Raise the first of the errors: as it is where a message was refused for what it is."""
        for error in filter(None, outcomes):
            if _of_itself(error):
                raise error
            self._link.forget()  # the stream may be gone
            raise Away(f"the broker at {self._link.where} does not take events ({error!r})") from error

    async def _publish(self, lane: Sequence[Entry]) -> None:
        """One after the other: what is lost on the way is not overtaken by what has the same key."""
        for entry in lane:
            stored = await self._link.js.publish_async(
                subject_of(entry), entry.body, headers=headers_of(entry), stream=stream_of(entry.topic)
            )
            await stored


def _of_itself(error: BaseException) -> bool:
    """Whether a message was refused for what it is."""
    return type(error).__name__ == "MaxPayloadError" or getattr(error, "err_code", 0) == _TOO_LONG
