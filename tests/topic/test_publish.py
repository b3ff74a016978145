"""Saying: with the rows or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from enfilade.clock import VirtualClock
from enfilade.contract.message import Event
from enfilade.errors import Misuse
from enfilade.store import Entry, Key, Row, Store, Table, atomic
from enfilade.topic import Topic
from enfilade.topic.topic import uuid7


class OrderPlaced(Event, key="order"):
    order: str
    number: int = 1


class OrderRow(Row):
    id: Key[str]
    number: int


class Orders:
    def __init__(self, store: Store) -> None:
        self.orders: Table[OrderRow] = store.table(OrderRow)
        self.placed = Topic(OrderPlaced, "orders")

    @atomic
    async def place(self, order: str, *numbers: int, at: datetime | None = None, fail: bool = False) -> None:
        await self.orders.add(OrderRow(id=order, number=len(numbers)))
        for number in numbers or (1,):
            await self.placed.publish(OrderPlaced(order=order, number=number), at=at)
        if fail:
            raise RuntimeError("the order is not stored")

    async def loose(self) -> None:
        await self.placed.publish(OrderPlaced(order="loose"))


@pytest.fixture
async def orders(world: Any) -> Orders:
    return await world.join("orders", Orders)


async def said(world: Any) -> tuple[Entry, ...]:
    return await world.stores["orders"].outbox.due(world.clock.now() + timedelta(days=365))


async def test_an_event_commits_with_its_row(world: Any, orders: Orders) -> None:
    await world.call("orders", orders.place, "o1", 1, 2)

    first, second = await said(world)
    assert (first.topic, first.source, first.key) == ("test_publish.OrderPlaced", "orders", "o1")
    assert first.body == b'{"order":"o1","number":1}'
    assert second.body == b'{"order":"o1","number":2}'
    assert await orders.orders.get("o1") is not None


async def test_an_event_of_a_unit_of_work_that_fails_is_not_said(world: Any, orders: Orders) -> None:
    with pytest.raises(RuntimeError, match="not stored"):
        await world.call("orders", orders.place, "o1", fail=True)

    assert await said(world) == ()
    assert await orders.orders.get("o1") is None


async def test_publishing_outside_of_a_unit_of_work_says_what_to_do(world: Any, orders: Orders) -> None:
    with pytest.raises(Misuse, match="in the @atomic method that changes them"):
        await world.call("orders", orders.loose)


async def test_an_event_carries_tenant_cause_and_trace(world: Any, orders: Orders) -> None:
    await world.call("orders", orders.place, "o1", tenant="t1")

    (entry,) = await said(world)
    span = world.recorder.recent()[-1]
    assert entry.headers["tenant"] == "t1"
    assert entry.headers["cause"] == "orders.place"
    assert entry.headers["traceparent"] == f"00-{span.trace_id:032x}-{span.span_id:016x}-01"


async def test_a_timer_is_due_at_its_time_and_a_past_one_at_once(world: Any, orders: Orders) -> None:
    now = world.clock.now()
    await world.call("orders", orders.place, "late", at=now - timedelta(hours=1))
    await world.call("orders", orders.place, "early", at=now + timedelta(hours=1))

    assert [(one.key, one.at, one.timer) for one in await world.stores["orders"].outbox.due(now)] == [
        ("late", now, False)
    ]
    assert await world.stores["orders"].outbox.next_due() is not None
    assert {(one.key, one.at, one.timer) for one in await said(world)} == {
        ("late", now, False),
        ("early", now + timedelta(hours=1), True),
    }


async def test_a_timer_needs_a_zone(world: Any, orders: Orders) -> None:
    with pytest.raises(Misuse, match="has no zone"):
        await world.call("orders", orders.place, "o1", at=datetime(2027, 1, 1))


async def test_ids_of_events_are_uuids_that_sort_by_their_time() -> None:
    clock = VirtualClock()
    ids = []
    for _ in range(50):
        ids.append(uuid7(clock))
        await clock.advance(0.001)

    assert ids == sorted(ids)
    assert {UUID(one).version for one in ids} == {7}
    assert {UUID(one).variant for one in ids} == {UUID(ids[0]).variant}
    assert UUID(ids[0]).int >> 80 == 1767225600000
