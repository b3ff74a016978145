"""What is said while a test runs, in its own process and in others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from enfilade.call import Call, Handler, Station, current
from enfilade.contract.codec import codec
from enfilade.contract.declare import command, contract
from enfilade.contract.message import Event, Message, event_name
from enfilade.contract.need import peers
from enfilade.contract.operation import Operation
from enfilade.contract.read import read
from enfilade.topic import Topic

E = TypeVar("E", bound=Event)


class Note(Message):
    """An event that was committed in another process."""

    topic: str
    body: bytes


@contract(name="stage-book", needs=peers)
class Told(Protocol):
    """Where the processes of a stage tell what they say."""

    @command(body="64MB")
    async def hear(self, notes: tuple[Note, ...]) -> None:
        """Note what was committed."""
        ...


TOLD: Final = read(Told)


class Book:
    """Notes what is said, and tells what of it was committed."""

    def __init__(self) -> None:
        self._notes: list[tuple[Call, object, Event]] = []
        self._told: list[Note] = []

    def topic(self, event: type[Event], service: str) -> Topic[Any]:
        """A topic that notes what is published."""
        return _Noted(event, service, self)

    def note(self, call: Call, event: Event) -> None:
        # A unit of work that runs again says its events again: what the run before it said does not count.
        self._notes = [one for one in self._notes if one[0] is not call or one[1] is call.unit]
        self._notes.append((call, call.unit, event))

    async def hear(self, notes: Sequence[Note]) -> None:
        """Take what was committed elsewhere: `Told` as the test serves it."""
        self._told += notes

    def take(self, call: Call) -> tuple[Note, ...]:
        """What a call that is over has committed, to be told elsewhere."""
        said = [event for one, _, event in self._notes if one is call]
        if not said:
            return ()
        self._notes = [one for one in self._notes if one[0] is not call]
        notes = (Note(topic=event_name(type(one)), body=codec(type(one)).encode(one)) for one in said)
        return tuple(notes) if call.commits else ()

    def said(self, kind: type[E]) -> tuple[E, ...]:
        """The events of a type that were committed so far, in order."""
        here = [event for call, _, event in self._notes if call.commits and isinstance(event, kind)]
        kinds = {event_name(one): one for one in (*_below(kind), kind)}
        there = [codec(kinds[one.topic]).decode(one.body) for one in self._told if one.topic in kinds]
        return (*here, *there)


def telling(book: Book, told: Told) -> Station:
    """A station that tells what a call has committed, before it is answered."""

    def station(operation: Operation, handler: Handler) -> Handler:
        async def tell(call: Call) -> None:
            if notes := book.take(call):
                await told.hear(notes)

        async def unary(call: Call) -> Any:
            try:
                return await handler(call)
            finally:
                await tell(call)

        async def stream(call: Call) -> Any:
            return items(call, await handler(call))

        async def items(call: Call, made: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
            try:
                async for item in made:
                    yield item
            finally:
                await made.aclose()
                await tell(call)

        return stream if operation.style in ("stream", "bytes") else unary

    return station


def _below(kind: type[E]) -> Iterator[type[E]]:
    for one in kind.__subclasses__():
        yield from _below(one)
        yield one


class _Noted(Topic[Event]):
    def __init__(self, event: type[Event], service: str, book: Book) -> None:
        super().__init__(event, service)
        self._book = book

    async def publish(self, event: Event, *, at: datetime | None = None) -> None:
        await super().publish(event, at=at)
        self._book.note(current(), event)
