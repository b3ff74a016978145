"""The process dies before or after each single thing that a store does; whatever was stored is heard once, in order."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from enfilade.contract.message import Event
from enfilade.store import Key, Row, Store, Table, atomic
from enfilade.topic import Topic, every, on


class Counted(Event, key="name"):
    name: str
    number: int


class SourceRow(Row):
    name: Key[str]
    last: int


class SeenRow(Row):
    name: Key[str]
    last: int


class TickRow(Row):
    id: Key[str]
    count: int


class Source:
    """Counts up, and says so."""

    def __init__(self, store: Store) -> None:
        self.rows: Table[SourceRow] = store.table(SourceRow)
        self.counted = Topic(Counted, "source")

    @atomic
    async def count(self, name: str) -> None:
        row = await self.rows.get(name, lock=True)
        number = row.last + 1 if row else 1
        await self.rows.put(SourceRow(name=name, last=number))
        await self.counted.publish(Counted(name=name, number=number))


class Target:
    """Counts after; a number that comes twice or out of turn is an error that ends in the dead letters."""

    def __init__(self, store: Store) -> None:
        self.rows: Table[SeenRow] = store.table(SeenRow)
        self.ticks: Table[TickRow] = store.table(TickRow)

    @on(Counted)
    async def follow(self, event: Counted) -> None:
        await self._follow(event)

    @atomic
    async def _follow(self, event: Counted) -> None:
        row = await self.rows.get(event.name, lock=True)
        last = row.last if row else 0
        assert event.number == last + 1, f"{event.number} after {last}"
        await self.rows.put(SeenRow(name=event.name, last=event.number))

    @every("1h")
    @atomic
    async def tick(self) -> None:
        row = await self.ticks.get("t")
        await self.ticks.put(TickRow(id="t", count=row.count + 1 if row else 1))


class Died(BaseException):
    """The process is gone."""


async def work(world: Any, source: Source) -> None:
    for name in ("a", "b", "a"):
        await world.call("source", source.count, name)
    await world.settle()
    await world.settle(3600)
    await world.call("source", source.count, "a")
    await world.settle()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("world", "things"),
    [*(("sqlite", things) for things in range(1, 59)), *(("postgres", things) for things in range(3, 59, 9))],
    indirect=["world"],
)
async def test_nothing_is_lost_doubled_or_turned_around(world: Any, things: int, after: bool) -> None:
    joined = (("source", Source), ("target", Target))
    source, _ = await world.restart(*joined)
    world.doom(things, after, Died)
    with suppress(Died):
        await work(world, source)
    source, target = await world.restart(*joined)
    for _ in range(4):
        await world.settle(60)

    said = {row.name: row.last for row in await source.rows.find()}
    heard = {row.name: row.last for row in await target.rows.find()}
    ticks = await target.ticks.get("t")
    assert heard == said
    assert (ticks.count if ticks else 0) == (1 if world.clock.monotonic() >= 3600 else 0)
    assert await world.stores["target"].inbox.dead() == ()
    assert await world.stores["source"].outbox.pending() == await world.stores["target"].inbox.pending() == 0
