"""What comes while a service works is heard before it is in the inbox, and is kept all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from enfilade.call import current
from enfilade.contract.message import Event
from enfilade.errors import Unavailable
from enfilade.store import Key, Row, Store, Table, atomic
from enfilade.store.engine import Statement
from enfilade.topic import Pace, Topic, on


class Counted(Event, key="name"):
    name: str
    number: int


class CountRow(Row):
    name: Key[str]
    last: int


class Source:
    """Counts up, and says so."""

    def __init__(self, store: Store) -> None:
        self.rows: Table[CountRow] = store.table(CountRow)
        self.counted = Topic(Counted, "source")

    @atomic
    async def count(self, name: str, times: int = 1) -> None:
        row = await self.rows.get(name, lock=True)
        last = row.last if row else 0
        for number in range(last + 1, last + times + 1):
            await self.counted.publish(Counted(name=name, number=number))
        await self.rows.put(CountRow(name=name, last=last + times))


class Target:
    """Counts after, and fails at a number that is not the next one."""

    def __init__(self, store: Store) -> None:
        self.rows: Table[CountRow] = store.table(CountRow)
        self.at_once: list[bool] = []
        self.fails = 0
        self.waits: asyncio.Event | None = None

    @on(Counted)
    async def follow(self, event: Counted) -> None:
        delivery = current().delivery
        assert delivery is not None
        self.at_once.append(delivery.new)
        if self.waits is not None:
            await self.waits.wait()
        if self.fails:
            self.fails -= 1
            raise RuntimeError("not today")
        await self._follow(event)

    @atomic
    async def _follow(self, event: Counted) -> None:
        row = await self.rows.get(event.name, lock=True)
        assert event.number == (row.last if row else 0) + 1
        await self.rows.put(CountRow(name=event.name, last=event.number))


JOINED = (("source", Source), ("target", Target))
pytestmark = [
    pytest.mark.parametrize("world", ["sqlite", "postgres"], indirect=True),
    pytest.mark.filterwarnings("error"),
]


async def working(world: Any) -> tuple[Source, Target]:
    """Both at work, and a moment later."""
    source, target = [await world.join(name, make) for name, make in JOINED]
    await world.messaging.start()
    await world.clock.advance(1)
    return source, target


async def heard(world: Any, target: Target) -> dict[str, int]:
    return {row.name: row.last for row in await target.rows.find()}


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110  (of a store, which tells nobody)
            await asyncio.sleep(0.005)


async def states(store: Store) -> list[tuple[str, int]]:
    """How each delivery is stored, and how often it was tried."""
    sql = "SELECT state, tries FROM enfilade_inbox ORDER BY place"
    return [tuple(row) for row in (await store.home.engine.read(store.home.statement(sql, "rows", {}))).rows]


class Told:
    """An engine that remembers what is stored without a unit of work."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.stored: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, statements: Sequence[Statement]) -> list[Any]:
        self.stored += [one.sql for one in statements if not one.sql.startswith("DELETE")]
        return await self._inner.write(statements)


async def test_an_event_is_stored_once_by_who_hears_it_with_what_he_changes(world: Any) -> None:
    source, target = await working(world)
    store = world.stores["target"]
    told = store.home.engine = Told(store.home.engine)
    await world.call("source", source.count, "a")

    async def over() -> bool:
        return await heard(world, target) == {"a": 1} and await world.stores["source"].outbox.pending() == 0

    await until(over)
    assert target.at_once == [True]
    assert await states(store) == [("done", 1)]
    assert told.stored == []


async def test_what_takes_longer_is_in_the_inbox_while_it_runs(world: Any) -> None:
    world.pace = Pace(soon=0.01)
    world.messaging = world._new()
    source, target = await working(world)
    target.waits = asyncio.Event()
    store = world.stores["target"]
    await world.call("source", source.count, "a")

    async def handed_on() -> bool:
        return await world.stores["source"].outbox.pending() == 0

    await until(handed_on)
    assert await states(store) == [("waiting", 1)]
    await world.call("source", source.count, "a")
    await until(handed_on)
    assert await states(store) == [("waiting", 1), ("waiting", 0)]
    target.waits.set()

    async def over() -> bool:
        return await heard(world, target) == {"a": 2}

    await until(over)
    assert target.at_once == [True, False]
    assert [state for state, _ in await states(store)] == ["done", "done"]


async def test_what_fails_at_once_comes_again_before_what_follows_it(world: Any) -> None:
    source, target = await working(world)
    target.fails = 1
    store = world.stores["target"]
    await world.call("source", source.count, "a")

    async def failed() -> bool:
        return await states(store) == [("waiting", 1)]

    await until(failed)
    await world.call("source", source.count, "a")

    async def over() -> bool:
        await world.clock.advance(0.2)
        return await heard(world, target) == {"a": 2}

    await until(over)
    assert await states(store) == [("done", 2), ("done", 1)]
    assert await store.inbox.dead() == ()


async def test_events_of_a_key_that_come_together_are_heard_in_their_order(world: Any) -> None:
    source, target = await working(world)
    await world.call("source", source.count, "a", 30)

    async def over() -> bool:
        return await heard(world, target) == {"a": 30}

    await until(over)
    assert len(target.at_once) == 30


async def test_what_is_older_than_the_process_is_counted_before_it_is_begun(world: Any) -> None:
    source, _ = [await world.join(name, make) for name, make in JOINED]
    await world.clock.advance(1)
    await world.call("source", source.count, "a")
    world.messaging = world._new()
    target = await world.join("target", Target)
    await world.join("source", Source)
    await world.messaging.start()

    async def over() -> bool:
        return await heard(world, target) == {"a": 1}

    await until(over)
    assert target.at_once == [False]


async def test_what_was_stopped_in_the_middle_is_heard_by_the_next_start(world: Any) -> None:
    source, target = await working(world)
    target.waits = asyncio.Event()
    await world.call("source", source.count, "a")

    async def begun() -> bool:
        return bool(target.at_once)

    await until(begun)
    await world.messaging.stop()
    _, after = await world.restart(*JOINED)
    await world.settle(60)

    assert await heard(world, after) == {"a": 1}
    assert await world.stores["source"].outbox.pending() == await world.stores["target"].inbox.pending() == 0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("things", range(1, 26, 2))
async def test_nothing_is_lost_doubled_or_turned_around(world: Any, things: int, after: bool) -> None:
    source, target = await working(world)
    engines = {name: store.home.engine for name, store in world.stores.items()}
    fate = world.doom(things, after, Unavailable)
    with suppress(Unavailable):
        for name in ("a", "b", "a"):
            await world.call("source", source.count, name)

    async def over() -> bool:
        if fate.left <= 0:
            return True
        await world.clock.advance(0.5)
        return False

    await until(over)
    await world.messaging.stop()
    for name, store in world.stores.items():
        store.home.engine = engines[name]
    source, target = await world.restart(*JOINED)
    for _ in range(4):
        await world.settle(60)

    assert await heard(world, target) == {row.name: row.last for row in await source.rows.find()}
    assert await world.stores["target"].inbox.dead() == ()
    assert await world.stores["source"].outbox.pending() == await world.stores["target"].inbox.pending() == 0
