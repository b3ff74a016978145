"""How often: buckets that fill with time, and answers that say what is left."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.contract.limit import Rate
from enfilade.errors import TooManyRequests
from enfilade.guard import Meters


class Tap:
    """One limited operation behind meters."""

    def __init__(self, bench: Any, *rates: Rate, **options: Any) -> None:
        self.bench = bench
        self.operation = bench.operation("buy", rates=rates)
        self.handler = Meters(bench.clock, **options).station(self.operation, bench.serve)

    async def __call__(self, **facts: Any) -> dict[str, str]:
        call = self.bench.call(self.operation, **facts)
        await self.handler(call)
        return call.reply_fields or {}

    async def passes(self, **facts: Any) -> bool:
        try:
            await self(**facts)
        except TooManyRequests:
            return False
        return True


def test_an_operation_without_rates_costs_nothing(bench: Any) -> None:
    assert Meters(bench.clock).station(bench.operation("buy"), bench.serve) == bench.serve


async def test_a_caller_has_his_burst_and_then_the_rate(bench: Any) -> None:
    tap = Tap(bench, Rate("6/minute", burst=3))

    assert [await tap.passes(caller="alice") for _ in range(5)] == [True, True, True, False, False]
    await bench.clock.advance(9.9)
    assert not await tap.passes(caller="alice")
    await bench.clock.advance(0.1)
    assert [await tap.passes(caller="alice") for _ in range(2)] == [True, False]
    await bench.clock.advance(3600)
    assert [await tap.passes(caller="alice") for _ in range(4)] == [True, True, True, False]


async def test_a_refused_call_takes_nothing_and_does_not_run(bench: Any) -> None:
    tap = Tap(bench, Rate("1/10s"))
    await tap(caller="alice")
    for _ in range(100):
        assert not await tap.passes(caller="alice")
    await bench.clock.advance(10)

    assert await tap.passes(caller="alice")
    assert bench.served == 2


async def test_a_refusal_says_when_to_come_again(bench: Any) -> None:
    tap = Tap(bench, Rate("2/minute"))
    await tap(caller="alice")
    await tap(caller="alice")
    await bench.clock.advance(4)

    call = bench.call(tap.operation, caller="alice")
    with pytest.raises(TooManyRequests) as caught:
        await tap.handler(call)

    assert caught.value.retry_after == pytest.approx(26, abs=1e-3)
    assert call.reply_fields == {"RateLimit-Policy": '"caller";q=2;w=60', "RateLimit": '"caller";r=0;t=26'}
    await bench.clock.advance(caught.value.retry_after)
    assert await tap.passes(caller="alice")


async def test_each_answer_says_what_is_left(bench: Any) -> None:
    tap = Tap(bench, Rate("4/minute"))

    assert await tap(caller="alice") == {"RateLimit-Policy": '"caller";q=4;w=60', "RateLimit": '"caller";r=3;t=15'}
    assert (await tap(caller="alice"))["RateLimit"] == '"caller";r=2;t=30'
    await bench.clock.advance(15)
    assert (await tap(caller="alice"))["RateLimit"] == '"caller";r=2;t=30'


async def test_callers_tenants_and_addresses_are_counted_apart(bench: Any) -> None:
    by_caller, by_tenant, by_address = (
        Tap(bench, Rate("1/minute", per=per)) for per in ("caller", "tenant", "address")
    )

    assert [await by_caller.passes(caller=one, address="1.1.1.1") for one in ("a", "b", "a")] == [True, True, False]
    facts = [("a", "x"), ("b", "x"), ("a", "y")]
    assert [await by_tenant.passes(caller=who, tenant=tenant) for who, tenant in facts] == [True, False, True]
    facts = [("a", "1.1.1.1"), ("b", "1.1.1.1"), ("a", "1.1.1.2")]
    assert [await by_address.passes(caller=who, address=address) for who, address in facts] == [True, False, True]


async def test_who_has_no_name_is_counted_by_his_address(bench: Any) -> None:
    tap = Tap(bench, Rate("1/minute"))

    assert [await tap.passes(address=one) for one in ("1.1.1.1", "1.1.1.2", "1.1.1.1")] == [True, True, False]
    assert await tap.passes(caller="1.1.1.1", address="1.1.1.1")  # a subject is not taken for an address
    by_tenant = Tap(bench, Rate("1/minute", per="tenant"))
    assert [await by_tenant.passes(caller=one) for one in ("a", "b", "a")] == [True, True, False]


async def test_a_network_of_ipv6_counts_as_one_address(bench: Any) -> None:
    tap = Tap(bench, Rate("1/minute", per="address"))
    addresses = [
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8:0:0:ffff::1",
        "2001:db8:0:1::1",
        "fe80::1%eth0",
        "fe80::2",
        "::x",
    ]

    assert [await tap.passes(address=one) for one in addresses] == [True, False, False, True, True, False, True]


async def test_of_several_rates_all_must_have_room_or_none_is_taken_from(bench: Any) -> None:
    tap = Tap(bench, Rate("2/second"), Rate("3/hour"), Rate("100/day", per="address"))
    fields = await tap(caller="alice")

    assert fields["RateLimit-Policy"] == '"caller";q=2;w=1, "caller-2";q=3;w=3600, "address";q=100;w=86400'
    assert fields["RateLimit"] == '"caller";r=1;t=1, "caller-2";r=2;t=3600, "address";r=99;t=86400'
    assert [await tap.passes(caller="alice") for _ in range(2)] == [True, False]  # two a second
    await bench.clock.advance(1)
    assert [await tap.passes(caller="alice") for _ in range(2)] == [True, False]  # three an hour: nothing was lost
    await bench.clock.advance(1)
    assert not await tap.passes(caller="alice")


async def test_a_dear_call_takes_more(bench: Any) -> None:
    tap = Tap(bench, Rate("10/minute", cost=4))

    assert [await tap.passes(caller="alice") for _ in range(3)] == [True, True, False]


async def test_operations_have_buckets_of_their_own(bench: Any) -> None:
    meters = Meters(bench.clock)
    for name in ("buy", "receipt"):
        operation = bench.operation(name, rates=(Rate("1/minute"),))
        await meters.station(operation, bench.serve)(bench.call(operation, caller="alice"))

    assert bench.served == 2


async def test_calls_between_services_are_not_metered_again(bench: Any) -> None:
    tap = Tap(bench, Rate("1/minute"))

    assert [await tap.passes(caller="alice", peer="orders") for _ in range(5)] == [True] * 5
    assert await tap(caller="alice", peer="orders") == {}


async def test_a_fast_rate_does_not_lose_its_last_call_to_rounding(bench: Any) -> None:
    tap = Tap(bench, Rate("1000/second"))
    await bench.clock.advance(30 * 86_400.123)

    assert [await tap.passes(caller="alice") for _ in range(1001)].count(True) == 1000


async def test_no_more_buckets_are_kept_than_there_is_room_for_and_the_busy_ones_stay(bench: Any) -> None:
    tap = Tap(bench, Rate("2/hour"), size=10)
    await tap(caller="alice")
    for one in range(9):
        await tap(caller=f"u{one}")
    await tap(caller="alice")
    for one in range(9, 18):
        await tap(caller=f"u{one}")

    assert not await tap.passes(caller="alice")
    assert [await tap.passes(caller="u0") for _ in range(3)] == [True, True, False]  # forgotten, so full again
