"""Quotas and budgets: windows of the calendar, kept in the store, reserved and settled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enfilade.call import Call, Principal, enter, leave
from enfilade.clock import VirtualClock
from enfilade.contract.limit import Rate
from enfilade.contract.money import Money
from enfilade.contract.plan import Allowance
from enfilade.errors import DeadlineExceeded, Misuse, Overloaded, Problem, TooManyRequests, Unavailable
from enfilade.guard import Meters
from enfilade.store import Store, open_store
from enfilade.trace.recorder import Recorder

Open = Callable[[], Awaitable[Store]]


class SoldOut(Problem, status=409):
    """There is none left."""


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncGenerator[Open]:
    """Opens the same store as often as it is asked."""
    stores: list[Store] = []

    async def open_again() -> Store:
        clock = VirtualClock()
        store = open_store(
            f"sqlite:{tmp_path}/shop.db", "shop", clock=clock, recorder=Recorder(clock), secret=bytes(32)
        )
        stores.append(store)
        await store.open()
        await store.migrate(apply=True)
        return store

    yield open_again
    for one in stores:
        await one.close()


class Counter:
    """One operation behind the meters of one process; `spends` is what its service says."""

    def __init__(self, bench: Any, store: Store | None, *rates: Rate, meters: Meters | None = None) -> None:
        self.bench = bench
        self.store = store
        self.operation = bench.operation("buy", rates=rates)
        self.meters = meters or Meters(bench.clock)
        self.spends: list[tuple[Any, ...]] = []
        self.fails: BaseException | None = None
        self.gate: asyncio.Event | None = None
        self.handler = self.meters.station(self.operation, self.serve)

    async def serve(self, call: Call) -> Any:
        if self.gate is not None:
            await self.gate.wait()
        for spent in self.spends:
            call.spend(*spent)
        if self.fails is not None:
            raise self.fails
        return await self.bench.serve(call)

    async def __call__(self, caller: Any = "ann", **facts: Any) -> dict[str, str]:
        call = self.bench.call(self.operation, caller=caller, **facts)
        call.home = self.store
        token = enter(call)
        try:
            await self.handler(call)
        finally:
            leave(token)
        return call.reply_fields or {}

    async def passes(self, *args: Any, **facts: Any) -> bool:
        try:
            await self(*args, **facts)
        except TooManyRequests:
            return False
        return True

    async def left(self, **facts: Any) -> int:
        return int((await self(**facts))["RateLimit"].partition("r=")[2].partition(";")[0])


async def test_a_window_starts_anew_with_the_calendar(bench: Any, opened: Open) -> None:
    store = await opened()
    by_day, by_month = Counter(bench, store, Rate("2/day")), Counter(bench, store, Rate("2/month"))
    await bench.clock.advance((datetime(2026, 1, 31, 23, tzinfo=UTC) - bench.clock.now()).total_seconds())

    assert [await by_day.passes() for _ in range(3)] == [True, True, False]
    assert [await by_month.passes() for _ in range(3)] == [True, True, False]
    await bench.clock.advance(3599)
    assert not await by_day.passes()
    await bench.clock.advance(1)
    assert [await by_day.passes() for _ in range(3)] == [True, True, False]
    assert [await by_month.passes() for _ in range(3)] == [True, True, False]
    await bench.clock.advance(86_400)
    assert [await by_day.passes(), await by_month.passes()] == [True, False]


async def test_a_refusal_says_when_the_next_window_begins(bench: Any, opened: Open) -> None:
    counter = Counter(bench, await opened(), Rate("1/hour", name="ai"))
    await bench.clock.advance(600)
    await counter()
    call = bench.call(counter.operation, caller="ann")
    call.home = counter.store

    with pytest.raises(TooManyRequests) as caught:
        await counter.handler(call)

    assert caught.value.retry_after == 3000
    assert call.reply_fields == {"RateLimit-Policy": '"ai";q=1;w=3600', "RateLimit": '"ai";r=0;t=3000'}


async def test_a_quota_survives_a_restart(bench: Any, opened: Open) -> None:
    first = Counter(bench, await opened(), Rate("100/month"))
    for _ in range(30):
        await first()
    await first.meters.flush(all=True)
    second = Counter(bench, await opened(), Rate("100/month"))

    assert await second.left() == 69
    assert [await second.passes() for _ in range(70)].count(True) == 69


async def test_who_is_killed_lets_nobody_take_more_and_costs_a_slice_at_most(bench: Any, opened: Open) -> None:
    first = Counter(bench, await opened(), Rate("100/month"))
    for _ in range(30):
        await first()
    second = Counter(bench, await opened(), Rate("100/month"))

    assert 60 <= [await second.passes() for _ in range(100)].count(True) <= 70


async def test_two_processes_share_a_quota(bench: Any, opened: Open) -> None:
    one, other = Counter(bench, await opened(), Rate("50/day")), Counter(bench, await opened(), Rate("50/day"))

    passed = await asyncio.gather(*(each.passes() for _ in range(60) for each in (one, other)))
    assert passed.count(True) <= 50
    for each in (one, other):
        await each.meters.flush(all=True)
    await bench.clock.advance(1)
    rest = [await one.passes() for _ in range(60)].count(True)
    assert passed.count(True) + rest == 50


async def test_two_processes_share_a_quota_on_postgresql(bench: Any, postgres_url: str) -> None:
    counters: list[Counter] = []
    for _ in range(2):
        clock = VirtualClock()
        store = open_store(postgres_url, "meters", clock=clock, recorder=Recorder(clock), secret=bytes(32))
        await store.open()
        await store.migrate(apply=True)
        counters.append(Counter(bench, store, Rate("50/day")))

    passed = await asyncio.gather(*(each.passes() for _ in range(60) for each in counters))
    for each in counters:
        await each.meters.flush(all=True)
    await bench.clock.advance(1)
    rest = [await counters[0].passes() for _ in range(60)]
    for each in counters:
        assert each.store is not None
        await each.store.close()

    assert passed.count(True) + rest.count(True) == 50


async def test_a_slice_that_rests_is_given_back(bench: Any, opened: Open) -> None:
    one, other = Counter(bench, await opened(), Rate("50/day")), Counter(bench, await opened(), Rate("50/day"))
    await one()
    await one.meters.flush()
    await one.meters.flush()

    assert [await other.passes() for _ in range(60)].count(True) == 49


async def test_most_calls_do_not_ask_the_store(bench: Any, opened: Open) -> None:
    store = await opened()
    asked = 0
    take = store.counts.take

    async def counted(*args: Any) -> Any:
        nonlocal asked
        asked += 1
        return await take(*args)

    store.counts.take = counted  # pyright: ignore[reportAttributeAccessIssue]
    counter = Counter(bench, store, Rate("10000/day"))
    for _ in range(5000):
        await counter()

    assert asked < 12
    full = Counter(bench, store, Rate("1/day"))
    await full("bob")
    before = asked
    assert [await full.passes("bob") for _ in range(1000)].count(True) == 0
    assert asked - before <= 2  # who is refused does not keep the store busy


async def test_what_calls_set_aside_at_once_never_exceeds_the_limit(bench: Any, opened: Open) -> None:
    counter = Counter(bench, await opened(), Rate("10000 tokens/month", per="tenant", cost=500))
    counter.gate = asyncio.Event()
    calls = [asyncio.create_task(counter.passes(tenant="acme")) for _ in range(200)]
    for _ in range(50):
        await asyncio.sleep(0.001)
    counter.gate.set()

    assert (await asyncio.gather(*calls)).count(True) == 20


async def test_what_was_not_spent_is_given_back_and_what_was_spent_beyond_is_taken(bench: Any, opened: Open) -> None:
    counter = Counter(bench, await opened(), Rate("10000 tokens/month", cost=500))

    assert await counter.left() == 9500  # who says nothing took what was set aside
    counter.spends = [(100, "tokens"), (20, "tokens"), (3, "pages")]
    assert await counter.left() == 9380
    counter.spends = [(9000, "tokens")]
    assert await counter.left() == 380
    assert not await counter.passes()


@pytest.mark.parametrize(
    ("error", "taken"),
    [
        (SoldOut(), 0),
        (Overloaded("no room"), 0),
        (Unavailable("it may have run"), 500),
        (DeadlineExceeded("late"), 500),
        (ValueError("a bug"), 500),
        (asyncio.CancelledError(), 500),
    ],
)
async def test_a_call_that_was_refused_takes_nothing_and_one_that_may_have_run_what_was_set_aside(
    bench: Any, opened: Open, error: BaseException, taken: int
) -> None:
    counter = Counter(bench, await opened(), Rate("10000 tokens/month", cost=500))
    counter.fails = error
    with pytest.raises(type(error)):
        await counter()
    counter.spends = [(70, "tokens")]
    with pytest.raises(type(error)):
        await counter()
    counter.spends, counter.fails = [], None

    assert await counter.left() == 10000 - taken - 70 - 500


async def test_who_leaves_a_stream_has_taken_what_was_set_aside(bench: Any, opened: Open) -> None:
    store, meters = await opened(), Meters(bench.clock)
    operation = bench.operation("watch", rates=(Rate("1000 tokens/day", cost=400),))
    handler = meters.station(operation, bench.streaming(1, 2, 3))
    told: list[str] = []
    for read in (1, 3):
        call = bench.call(operation, caller="ann")
        call.home = store
        items = await handler(call)
        fields: dict[str, str] = call.reply_fields
        told.append(fields["RateLimit"])
        for _ in range(read):
            await anext(items)
        await items.aclose()

    assert told == ['"caller";r=600;t=86400', '"caller";r=200;t=86400']
    with pytest.raises(TooManyRequests):
        await handler(call)


async def test_a_budget_of_money_refuses_what_it_cannot_pay(bench: Any, opened: Open) -> None:
    counter = Counter(bench, await opened(), Rate("1 EUR/month", per="tenant", cost="0.30 EUR"))
    counter.spends = [(Money.of("0.25", "EUR"),)]

    fields = await counter(tenant="acme")
    assert fields["RateLimit-Policy"] == '"tenant";q=100;qu="EUR-minor";w=2592000'
    assert fields["RateLimit"].startswith('"tenant";r=75;')
    assert [await counter.passes(tenant="acme") for _ in range(4)] == [True, True, False, False]
    assert await counter.passes(tenant="other")
    counter.spends = [(Money.of("0.25", "USD"),)]
    with pytest.raises(Misuse, match="the budget is in EUR"):
        await counter(tenant="third")


async def test_a_call_further_in_spends_from_the_budget_of_the_one_that_came_in(bench: Any, opened: Open) -> None:
    counter = Counter(bench, await opened(), Rate("100 tokens/minute"))

    async def calls_on(call: Call) -> Any:
        call.child(bench.operation("receipt"), {}).spend(60, "tokens")

    counter.handler = counter.meters.station(counter.operation, calls_on)
    assert (await counter())["RateLimit"] == '"caller";r=40;t=36'


async def test_operations_that_name_one_meter_share_it(bench: Any, opened: Open) -> None:
    store, meters = await opened(), Meters(bench.clock)
    rate = Rate("3/day", name="ai")
    buy = Counter(bench, store, rate, meters=meters)
    read = meters.station(bench.operation("receipt", rates=(rate,)), bench.serve)
    await buy()
    call = bench.call(bench.operation("receipt"), caller="ann")
    call.home = store
    await read(call)

    assert await buy.left() == 0
    assert not await buy.passes()


async def test_clients_agents_and_everyone_are_counted_apart(bench: Any, opened: Open) -> None:
    store = await opened()
    ann, bob = (Principal(subject=one, client="app") for one in ("ann", "bob"))
    by_client = Counter(bench, store, Rate("1/day", per="client"))
    assert [await by_client.passes(one) for one in (ann, bob, Principal(subject="ann", client="cli"))] == [
        True, False, True,
    ]  # fmt: skip
    for_all = Counter(bench, store, Rate("2/day", per="everyone"))
    assert [await for_all.passes(one) for one in ("a", "b", "c")] == [True, True, False]
    by_agent = Counter(bench, store, Rate("2/day", per="agent"))
    agent = Principal(subject="bot", kind="agent")
    acting = Principal(subject="ann", actors=("bot", "broker"))
    assert [await by_agent.passes(one) for one in (agent, acting, agent, "ann", "ann", "ann", None)] == [
        True, True, False, True, True, True, True,
    ]  # fmt: skip
    assert await by_agent("ann") == {"RateLimit-Policy": '"agent";q=2;w=86400'}


async def test_of_several_meters_a_refusal_takes_of_none(bench: Any, opened: Open) -> None:
    counter = Counter(bench, await opened(), Rate("5/minute"), Rate("100/day"), Rate("1/day", per="address"))

    assert [await counter.passes(address="1.1.1.1") for _ in range(4)] == [True, False, False, False]
    fields = await counter(address="1.1.1.2")
    assert '"caller";r=3;' in fields["RateLimit"]
    assert '"caller-2";r=98;' in fields["RateLimit"]


async def test_without_a_store_windows_are_counted_in_memory(bench: Any) -> None:
    counter = Counter(bench, None, Rate("3/day"))

    assert [await counter.passes() for _ in range(4)] == [True, True, True, False]
    await counter.meters.flush(all=True)
    assert not await counter.passes()


async def test_a_store_that_is_away_lets_nobody_through_and_nothing_is_lost(bench: Any, opened: Open) -> None:
    store = await opened()
    counter = Counter(bench, store, Rate("100 tokens/day", cost=10))
    counter.spends = [(30, "tokens")]
    await counter()
    add, take = store.counts.add, store.counts.take

    async def away(*_: Any) -> Any:
        raise Unavailable("away")

    store.counts.add = store.counts.take = away  # pyright: ignore[reportAttributeAccessIssue]
    await counter.meters.flush(all=True)
    with pytest.raises(Unavailable):
        await counter()
    store.counts.add, store.counts.take = add, take  # pyright: ignore[reportAttributeAccessIssue]
    await counter.meters.flush(all=True)

    assert await Counter(bench, await opened(), Rate("100 tokens/day", cost=10)).left() == 60


class Agreed:
    """Plans that are agreed on with tenants."""

    def __init__(self) -> None:
        self.limits: dict[str, int | None] = {}
        self.asked = 0
        self.away = False

    async def allowance(self, tenant: str, meter: str) -> Allowance:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("away")
        return Allowance(limit=self.limits.get(tenant))


async def test_a_plan_says_how_much_and_an_upgrade_takes_effect(bench: Any, opened: Open) -> None:
    counter = Counter(bench, await opened(), Rate("2/month", per="tenant", name="ai", plan=True))
    counter.meters.allowed.plans = plans = Agreed()
    plans.limits = {"acme": 4, "free": None}

    assert (await asyncio.gather(*(counter.passes(tenant="acme") for _ in range(6)))).count(True) == 4
    assert [await counter.passes(tenant="free") for _ in range(3)] == [True, True, False]
    assert plans.asked == 2
    plans.limits["acme"] = 6
    await bench.clock.advance(60)
    assert [await counter.passes(tenant="acme") for _ in range(3)] == [True, True, False]
    assert plans.asked == 3


async def test_a_plan_that_cannot_be_had_is_what_it_was_last(bench: Any, opened: Open) -> None:
    counter = Counter(bench, await opened(), Rate("1/minute", per="tenant", name="ai", plan=True))
    counter.meters.allowed.plans = plans = Agreed()
    plans.limits = {"acme": 3}
    await counter(tenant="acme")
    plans.away = True
    await bench.clock.advance(60)

    assert [await counter.passes(tenant="acme") for _ in range(4)] == [True, True, True, False]
    assert [await counter.passes(tenant="new") for _ in range(2)] == [True, False]
    assert plans.asked == 3
    assert [await counter.passes("ann"), await counter.passes("ann")] == [True, False]  # of no tenant, so no plan


async def test_any_number_of_addresses_takes_no_more_room_than_there_is(bench: Any) -> None:
    counter = Counter(bench, None, Rate("5/minute", per="address"), Rate("5/day", per="address"))
    counter.meters = Meters(bench.clock, size=1000)
    counter.handler = counter.meters.station(counter.operation, bench.serve)
    for number in range(20_000):
        await counter(None, address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")

    assert len(counter.meters._buckets.full) == 1000  # pyright: ignore[reportPrivateUsage]
    assert len(counter.meters._windows._counts) == 1000  # pyright: ignore[reportPrivateUsage]
