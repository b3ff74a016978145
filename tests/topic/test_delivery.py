"""Hearing: once in effect, in order for each key, again when it fails, and never at the cost of who said it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from enfilade.call import Call, current
from enfilade.contract.message import Event
from enfilade.store import Entry, Key, Row, Store, Table, atomic
from enfilade.topic import Messaging, Pace, Topic, on

pytestmark = pytest.mark.parametrize("world", ["sqlite", "postgres"], indirect=True)


class OrderPlaced(Event, key="order"):
    order: str
    number: int = 1


class Greeted(Event, keep="30d"):
    """Has no key, so no order."""

    name: str


class OrderRow(Row):
    id: Key[str]
    number: int


class MailRow(Row):
    id: Key[str]
    number: int


class Orders:
    """Says that orders were placed."""

    def __init__(self, store: Store) -> None:
        self.orders: Table[OrderRow] = store.table(OrderRow)
        self.placed = Topic(OrderPlaced, "orders")
        self.greeted = Topic(Greeted, "orders")

    @atomic
    async def place(self, order: str, *numbers: int) -> None:
        """One event for each number."""
        for number in numbers or (1,):
            await self.orders.put(OrderRow(id=order, number=number))
            await self.placed.publish(OrderPlaced(order=order, number=number))

    @atomic
    async def greet(self, *names: str) -> None:
        for name in names:
            await self.greeted.publish(Greeted(name=name))


class Notifications:
    """Hears of orders and keeps a mail for each; `fails` says for which events it fails, and how often."""

    def __init__(self, store: Store) -> None:
        self.mails: Table[MailRow] = store.table(MailRow)
        self.heard: list[str] = []
        self.calls: list[Call] = []
        self.fails: dict[str, int] = {}
        self.fails_after: set[str] = set()
        self.waits: asyncio.Event | None = None
        self.most = self.now = 0

    async def happens(self, what: str) -> None:
        self.calls.append(current())
        if self.fails.get(what, 0) > 0:
            self.fails[what] -= 1
            raise RuntimeError(f"no mail for {what}")
        if self.waits is not None:
            self.now += 1
            self.most = max(self.most, self.now)
            await self.waits.wait()
            self.now -= 1
        self.heard.append(what)

    @on(OrderPlaced)
    async def thank(self, event: OrderPlaced) -> None:
        what = f"{event.order}/{event.number}"
        await self.happens(what)
        await self._write(event)
        if what in self.fails_after:
            raise RuntimeError("too late to fail")

    @atomic
    async def _write(self, event: OrderPlaced) -> None:
        await self.mails.put(MailRow(id=f"{event.order}/{event.number}", number=event.number))

    @on(Greeted)
    async def wave(self, event: Greeted) -> None:
        await self.happens(event.name)


class Statistics:
    def __init__(self, store: Store) -> None:
        self.seen = 0

    @on(OrderPlaced)
    async def count(self, event: OrderPlaced) -> None:
        self.seen += 1

    @on(OrderPlaced)
    async def count_again(self, event: OrderPlaced) -> None:
        self.seen += 10


@pytest.fixture
async def orders(world: Any) -> Orders:
    return await world.join("orders", Orders)


@pytest.fixture
async def notifications(world: Any) -> Notifications:
    return await world.join("notifications", Notifications)


def inbox(world: Any) -> Any:
    return world.stores["notifications"].inbox


# -- once


async def test_an_event_is_heard(world: Any, orders: Orders, notifications: Notifications) -> None:
    await world.call("orders", orders.place, "o1")
    await world.settle()

    assert notifications.heard == ["o1/1"]
    assert await notifications.mails.get("o1/1") is not None
    assert await world.stores["orders"].outbox.pending() == 0
    assert await inbox(world).pending() == 0


async def test_a_handler_without_a_unit_of_work_hears_once(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    await world.call("orders", orders.greet, "ann", "bob")
    await world.settle()
    await world.settle(3600)

    assert sorted(notifications.heard) == ["ann", "bob"]


async def test_each_consumer_hears_for_itself(world: Any, orders: Orders, notifications: Notifications) -> None:
    statistics = await world.join("statistics", Statistics)
    notifications.fails["o1/1"] = 100
    await world.call("orders", orders.place, "o1")
    await world.settle()

    assert statistics.seen == 11
    assert notifications.heard == []


async def test_an_event_that_is_delivered_twice_is_heard_once(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    await world.call("orders", orders.place, "o1")
    entries = await world.stores["orders"].outbox.due(world.clock.now())
    for _ in range(2):
        await world.messaging.dispatchers[-1].accept(entries)
        await world.settle()

    assert notifications.heard == ["o1/1"]


async def test_a_crash_between_acceptance_and_deletion_doubles_nothing(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    await world.call("orders", orders.place, "o1", 1, 2)
    # The relay's work up to where the process dies: taken over there, not deleted here.
    await world.messaging.dispatchers[-1].accept(await world.stores["orders"].outbox.due(world.clock.now()))
    _, after = await world.restart(("orders", Orders), ("notifications", Notifications))
    assert await world.stores["orders"].outbox.pending() == 2
    await world.settle()

    assert after.heard == ["o1/1", "o1/2"]
    assert await after.mails.count() == 2
    assert await world.stores["orders"].outbox.pending() == 0


async def test_two_dispatchers_on_one_store_hear_once(world: Any, orders: Orders, notifications: Notifications) -> None:
    second = Messaging(clock=world.clock, recorder=world.recorder)
    replica = await world.join("notifications", Notifications, second)
    await world.call("orders", orders.place, "o1", *range(20))
    await world.call("orders", orders.greet, *"abcdefgh")
    for _ in range(40):
        await asyncio.gather(world.settle(), second.settle())

    assert len(notifications.heard) + len(replica.heard) == 28
    assert len({*notifications.heard, *replica.heard}) == 28


async def test_what_a_handler_changes_and_that_it_heard_commit_together(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    notifications.fails_after.add("o1/1")
    await world.call("orders", orders.place, "o1")
    await world.settle()
    await world.settle(3600)

    assert notifications.heard == ["o1/1"]
    assert await inbox(world).pending() == 0


async def test_a_handler_that_runs_when_the_process_dies_runs_again(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    notifications.waits = asyncio.Event()
    await world.call("orders", orders.place, "o1")
    turn = asyncio.create_task(world.settle())
    await world.till(lambda: notifications.now)
    turn.cancel()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    _, after = await world.restart(("orders", Orders), ("notifications", Notifications))
    await world.settle()
    assert after.heard == []  # the lease of the dead one is not over
    await world.settle(60)

    assert after.heard == ["o1/1"]


# -- order and failure


async def test_a_handler_that_fails_does_not_fail_the_command(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    notifications.fails["o1/1"] = 1
    await world.call("orders", orders.place, "o1")
    await world.settle()

    assert await orders.orders.get("o1") is not None
    assert notifications.heard == []


async def test_a_handler_that_failed_runs_again(world: Any, orders: Orders, notifications: Notifications) -> None:
    notifications.fails["o1/1"] = 3
    await world.call("orders", orders.place, "o1")
    for _ in range(4):
        await world.settle(8)

    assert notifications.heard == ["o1/1"]
    assert len(notifications.calls) == 4
    assert len({call.key for call in notifications.calls}) == 1


async def test_the_order_of_a_key_holds_while_its_first_fails(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    notifications.fails["o1/1"] = 2
    notifications.fails["o1/3"] = 1
    await world.call("orders", orders.place, "o1", 1, 2, 3, 4)
    for _ in range(8):
        await world.settle(8)

    assert notifications.heard == ["o1/1", "o1/2", "o1/3", "o1/4"]


async def test_a_key_that_fails_does_not_hold_up_others(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    notifications.fails["o1/1"] = 1
    await world.call("orders", orders.place, "o1", 1, 2)
    await world.call("orders", orders.place, "o2", 1, 2)
    await world.settle()

    assert notifications.heard == ["o2/1", "o2/2"]


async def test_events_without_a_key_wait_for_nobody(world: Any, orders: Orders, notifications: Notifications) -> None:
    notifications.fails["ann"] = 1
    await world.call("orders", orders.greet, "ann", "bob")
    await world.settle()

    assert notifications.heard == ["bob"]


async def test_so_many_handlers_of_a_service_run_at_once_and_no_more(world: Any, orders: Orders) -> None:
    world.messaging = Messaging(clock=world.clock, recorder=world.recorder, pace=Pace(at_once=3))
    await world.join("orders", Orders)
    notifications = await world.join("notifications", Notifications)
    notifications.waits = asyncio.Event()
    await world.call("orders", orders.greet, *"abcdefgh")
    settled = asyncio.create_task(world.messaging.settle())
    await world.till(lambda: notifications.now == 3)
    notifications.waits.set()
    await settled

    assert notifications.most == 3
    assert sorted(notifications.heard) == list("abcdefgh")


# -- dead letters


async def give_up(world: Any, orders: Orders, notifications: Notifications) -> None:
    notifications.fails["o1/1"] = 10
    await world.call("orders", orders.place, "o1", 1, 2)
    for _ in range(10):
        await world.settle(600)


async def test_an_event_is_given_up_after_ten_tries_and_its_key_goes_on(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    await give_up(world, orders, notifications)

    (dead,) = await inbox(world).dead()
    assert (dead.consumer, dead.tries, dead.entry.key) == ("notifications.thank", 10, "o1")
    assert dead.error == "RuntimeError: no mail for o1/1"
    assert notifications.heard == ["o1/2"]
    assert world.metric("enfilade_dead_letters", service="notifications") == 1


async def test_a_dead_letter_can_be_tried_again(world: Any, orders: Orders, notifications: Notifications) -> None:
    await give_up(world, orders, notifications)
    (dead,) = await inbox(world).dead()

    assert await inbox(world).revive(dead.id)
    await world.settle()
    assert notifications.heard == ["o1/2", "o1/1"]
    assert await inbox(world).dead() == ()


async def test_a_dead_letter_can_be_dropped(world: Any, orders: Orders, notifications: Notifications) -> None:
    await give_up(world, orders, notifications)
    (dead,) = await inbox(world).dead()

    assert await inbox(world).drop(dead.id)
    assert not await inbox(world).drop(dead.id)
    await world.settle(3600)
    assert await inbox(world).dead() == ()
    assert notifications.heard == ["o1/2"]


async def test_an_event_that_ends_its_process_each_time_is_given_up_too(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    await world.messaging.dispatchers[-1].accept([entry(world, b'{"order":"o1","number":1}')])
    for _ in range(10):  # claimed, and never heard of again
        assert await inbox(world).claim(world.clock.now(), consumers=["notifications.thank"])
        await world.clock.advance(60)
    await world.settle()

    (dead,) = await inbox(world).dead()
    assert "its process died each time" in dead.error
    assert notifications.calls == []


async def test_consumers_of_another_release_are_left_to_it(world: Any, notifications: Notifications) -> None:
    await inbox(world).accept("notifications.new", [entry(world, b'{"order":"o1"}')])
    await world.settle()
    await world.settle(3600)

    assert await inbox(world).pending() == 1
    assert await inbox(world).dead() == ()


@pytest.mark.parametrize("body", [b"no json", b'{"order":1}', b"{}"])
async def test_a_body_that_cannot_be_read_is_given_up_at_once(
    world: Any, orders: Orders, notifications: Notifications, body: bytes
) -> None:
    await world.messaging.dispatchers[-1].accept([entry(world, body)])
    await world.settle()

    (dead,) = await inbox(world).dead()
    assert dead.tries == 1
    assert notifications.calls == []


async def test_members_that_a_reader_does_not_know_are_ignored(world: Any, notifications: Notifications) -> None:
    await world.messaging.dispatchers[-1].accept([entry(world, b'{"order":"o1","number":1,"since":"2.0"}')])
    await world.settle()

    assert notifications.heard == ["o1/1"]


def entry(world: Any, body: bytes) -> Entry:
    return Entry(
        id="0198c0c0-0000-7000-8000-000000000000", topic="test_delivery.OrderPlaced", source="orders", key="o1",
        at=world.clock.now(), body=body, headers={},
    )  # fmt: skip


# -- what a handler is told


async def test_a_handler_runs_for_the_service_that_said_it_and_its_tenant(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    await world.call("orders", orders.place, "o1", tenant="t1")
    await world.settle()

    (call,) = notifications.calls
    assert (call.operation.id, call.peer, call.tenant, call.caller) == ("notifications.thank", "orders", "t1", None)


async def test_one_trace_joins_the_command_and_what_heard_of_it(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    await world.call("orders", orders.place, "o1")
    await world.settle()

    placed, thanked, delivered = world.recorder.recent()
    assert [placed.name, delivered.name, thanked.name] == ["orders.place", "deliver", "notifications.thank"]
    assert placed.trace_id == delivered.trace_id == thanked.trace_id
    assert (delivered.parent_id, thanked.parent_id) == (placed.span_id, delivered.span_id)
    assert "publish test_delivery.OrderPlaced" in [phase.name for phase in placed.phases]


# -- metrics and cleaning


async def test_deliveries_are_counted_by_how_they_ended(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    await give_up(world, orders, notifications)

    def count(outcome: str) -> float:
        return world.metric("enfilade_deliveries_total", consumer="notifications.thank", outcome=outcome)

    assert (count("done"), count("retried"), count("dead")) == (1, 9, 1)


async def test_what_was_heard_is_remembered_for_a_week_or_as_long_as_the_event_is_kept(
    world: Any, orders: Orders, notifications: Notifications
) -> None:
    await world.call("orders", orders.place, "o1")
    await world.call("orders", orders.greet, "ann")
    old = await world.stores["orders"].outbox.due(world.clock.now())
    await world.settle()
    dispatcher = world.messaging.dispatchers[-1]

    async def again(after: timedelta) -> list[str]:
        notifications.heard.clear()
        await world.clock.advance(after)
        await dispatcher.clean()
        await dispatcher.accept(old)
        await world.settle()
        return notifications.heard

    assert await again(timedelta(days=6)) == []
    assert await again(timedelta(days=2)) == ["o1/1"]
    assert sorted(await again(timedelta(days=23))) == ["ann", "o1/1"]
