"""Time: timers come when they are due, and schedules once, whoever runs and whoever was away."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from enfilade.call import Call, acting, current
from enfilade.contract.marks import Key
from enfilade.contract.message import Event
from enfilade.contract.need import any_tenant
from enfilade.store import Row, Store, Table, atomic
from enfilade.topic import Messaging, Topic, every, on

HOUR = timedelta(hours=1)


pytestmark = pytest.mark.parametrize("world", ["sqlite", "postgres"], indirect=True)


class RenewalDue(Event, key="tenant"):
    tenant: str
    round: int


class Billing:
    """Says timers to itself."""

    def __init__(self, store: Store) -> None:
        self.renewals = Topic(RenewalDue, "billing")
        self.renewed: list[int] = []

    @atomic
    async def remind(self, round: int, at: datetime | None = None) -> None:
        await self.renewals.publish(RenewalDue(tenant="t1", round=round), at=at)

    @on(RenewalDue)
    async def renew(self, event: RenewalDue) -> None:
        self.renewed.append(event.round)


class Reports:
    """Runs by the clock."""

    def __init__(self, store: Store) -> None:
        self.ran: list[str] = []
        self.calls: list[Call] = []
        self.fails = 0

    @every("1h")
    async def report(self) -> None:
        self.calls.append(current())
        if self.fails:
            self.fails -= 1
            raise RuntimeError("no report")
        self.ran.append(f"{current().now:%d %H:%M}")

    @every("1d", at="03:00")
    async def close_the_day(self) -> None:
        self.ran.append(f"day {current().now:%d}")


class Cache:
    """Each replica for itself."""

    def __init__(self, store: Store) -> None:
        self.ran: list[str] = []

    @every("10m", where="replica")
    async def refresh(self) -> None:
        self.ran.append(f"{current().now:%H:%M}")
        if len(self.ran) == 2:
            raise RuntimeError("the cache is not refreshed this time")


@pytest.fixture
async def billing(world: Any) -> Billing:
    return await world.join("billing", Billing)


@pytest.fixture
async def reports(world: Any) -> Reports:
    made = await world.join("reports", Reports)
    await world.messaging.start(background=False)
    return made


async def test_a_timer_comes_when_it_is_due_and_not_before(world: Any, billing: Billing) -> None:
    await world.call("billing", billing.remind, 1, world.clock.now() + HOUR)
    await world.settle(3599)
    assert billing.renewed == []
    await world.settle(1)

    assert billing.renewed == [1]


async def test_a_timer_comes_after_a_restart_too(world: Any, billing: Billing) -> None:
    await world.call("billing", billing.remind, 1, world.clock.now() + HOUR)
    await world.settle()
    (after,) = await world.restart(("billing", Billing))
    await world.settle(3600)

    assert after.renewed == [1]


async def test_a_timer_takes_its_place_in_its_key_when_it_is_due(world: Any, billing: Billing) -> None:
    await world.call("billing", billing.remind, 2, world.clock.now() + HOUR)
    await world.call("billing", billing.remind, 1)
    await world.settle()
    assert billing.renewed == [1]
    await world.settle(3600)

    assert billing.renewed == [1, 2]


async def test_a_schedule_comes_each_time_it_is_due(world: Any, reports: Reports) -> None:
    await world.settle()
    assert reports.ran == []
    for _ in range(4):
        await world.settle(HOUR)

    assert reports.ran == ["01 01:00", "01 02:00", "01 03:00", "day 01", "01 04:00"]
    assert (reports.calls[0].peer, reports.calls[0].caller) == ("reports", None)


async def test_two_dispatchers_on_one_store_do_not_double_a_schedule(world: Any, reports: Reports) -> None:
    second = Messaging(clock=world.clock, recorder=world.recorder)
    replica = await world.join("reports", Reports, second)
    await second.start(background=False)
    for _ in range(3):
        await world.clock.advance(HOUR)
        for _ in range(3):
            await asyncio.gather(world.messaging.settle(), second.settle())

    assert sorted([*reports.ran, *replica.ran]) == ["01 01:00", "01 02:00", "01 03:00", "day 01"]


async def test_turns_that_were_missed_are_made_up_by_one(world: Any, reports: Reports) -> None:
    await world.settle()
    await world.clock.advance(HOUR * 5.5)
    (after,) = await world.restart(("reports", Reports))
    await world.settle()
    assert sorted(after.ran) == ["01 05:30", "day 01"]
    await world.settle(HOUR / 2)

    assert sorted(after.ran) == ["01 05:30", "01 06:00", "day 01"]


async def test_a_schedule_that_fails_is_tried_again_till_its_next_turn(world: Any, reports: Reports) -> None:
    reports.fails = 2
    await world.settle(HOUR)
    await world.settle(10)
    await world.settle(10)
    assert reports.ran == ["01 01:00"]

    reports.fails = 4
    await world.settle(HOUR)
    await world.settle(2 * HOUR)
    reports.fails = 0
    await world.settle(HOUR)
    assert reports.ran[-1] == "01 05:00"
    assert world.metric("enfilade_deliveries_total", consumer="reports.report", outcome="skipped") > 0
    assert await world.stores["reports"].inbox.dead() == ()


async def test_a_schedule_of_the_replica_runs_in_each_and_survives_failures(world: Any) -> None:
    cache = await world.join("cache", Cache)
    second = Messaging(clock=world.clock, recorder=world.recorder)
    other = await world.join("cache", Cache, second)
    await world.messaging.start(background=False)
    await world.clock.advance(60)
    await second.start(background=False)
    for _ in range(30):
        await world.clock.advance(60)
        await world.messaging.settle()
        await second.settle()

    assert cache.ran == ["00:10", "00:20", "00:30"]
    assert other.ran == ["00:11", "00:21", "00:31"]


async def test_the_next_moment_at_which_something_is_due_is_known(world: Any, billing: Billing) -> None:
    start = world.clock.now()
    assert await world.messaging.next_due() is None
    await world.call("billing", billing.remind, 1, start + 2 * HOUR)
    assert await world.messaging.next_due() == start + 2 * HOUR
    await world.join("reports", Reports)
    await world.messaging.start(background=False)
    assert await world.messaging.next_due() == start + HOUR
    await world.settle(2 * HOUR)

    assert await world.messaging.next_due() == start + 3 * HOUR


class HouseRow(Row):
    id: Key[str]


class HouseFull(Event, key="id"):
    id: str


class Houses:
    """Has rows of several tenants, and does something about each by the clock."""

    def __init__(self, store: Store) -> None:
        self.houses: Table[HouseRow] = store.table(HouseRow)
        self.full = Topic(HouseFull, "houses")
        self.heard: list[tuple[str, str, int]] = []

    @atomic
    async def build(self, id: str) -> None:
        await self.houses.add(HouseRow(id=id))

    @every("1h", needs=any_tenant)
    @atomic
    async def look(self) -> None:
        for tenant in await self.houses.tenants():
            with acting(tenant=tenant):
                for house in await self.houses.find():
                    await self.full.publish(HouseFull(id=house.id))

    @on(HouseFull)
    async def hear(self, event: HouseFull) -> None:
        self.heard.append((current().tenant, event.id, await self.houses.count()))


async def test_a_schedule_of_all_tenants_does_for_each_what_is_heard_as_its_own(world: Any) -> None:
    houses: Houses = await world.join("houses", Houses)
    for tenant in ("a", "b"):
        await world.call("houses", houses.build, "h1", tenant=tenant)
    await world.call("houses", houses.build, "h2", tenant="b")
    await world.messaging.start(background=False)

    await world.settle(HOUR)

    assert sorted(houses.heard) == [("a", "h1", 1), ("b", "h1", 2), ("b", "h2", 2)]
