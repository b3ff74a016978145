"""How many at once: each service has its own places."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from enfilade.call import Call
from enfilade.errors import Overloaded
from enfilade.guard import Bulkhead


class Counter:
    """A service that waits until it is let go, and counts who is in it."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.go = asyncio.Event()

    async def __call__(self, call: Call) -> Any:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.go.wait()
        finally:
            self.inside -= 1
        return "done"


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_so_many_run_so_many_wait_and_the_others_hear_it_at_once(bench: Any) -> None:
    operation, service = bench.operation("receipt"), Counter()
    handler = Bulkhead(3, queue=2).station(operation, service)
    calls = [asyncio.create_task(handler(bench.call(operation))) for _ in range(7)]
    await turns()

    assert service.inside == 3
    assert [call.done() for call in calls] == [False] * 5 + [True] * 2
    for refused in calls[5:]:
        with pytest.raises(Overloaded, match="no room"):
            await refused
    service.go.set()
    assert await asyncio.gather(*calls[:5]) == ["done"] * 5
    assert service.most == 3


async def test_who_waits_comes_in_the_order_of_arrival_and_may_hang_up(bench: Any) -> None:
    operation, order = bench.operation("receipt"), []
    go = asyncio.Event()

    async def service(call: Call) -> Any:
        order.append(call.key)
        await go.wait()

    handler = Bulkhead(1, queue=9).station(operation, service)
    calls = [asyncio.create_task(handler(bench.call(operation, key=name))) for name in "abcd"]
    await turns()
    calls[1].cancel()
    await turns()
    go.set()
    await asyncio.gather(*calls, return_exceptions=True)

    assert order == ["a", "c", "d"]
    await handler(bench.call(operation, key="e"))  # the place is free again


async def test_a_place_that_was_given_to_one_who_hung_up_goes_to_the_next(bench: Any) -> None:
    operation, places, go = bench.operation("receipt"), Bulkhead(1, queue=9), asyncio.Event()

    async def service(call: Call) -> Any:
        await go.wait()
        asyncio.get_running_loop().call_soon(second.cancel)  # after the place is his, before he has been woken

    first = asyncio.create_task(places.station(operation, service)(bench.call(operation)))
    await turns()
    second, third = (asyncio.create_task(places.station(operation, bench.serve)(bench.call(operation))) for _ in "23")
    await turns()
    go.set()
    await asyncio.gather(first, second, third, return_exceptions=True)

    assert second.cancelled()
    assert third.result() == bench.Receipt(id="r1", quantity=1)
    assert await places.station(operation, bench.serve)(bench.call(operation))


async def test_a_place_is_given_back_whatever_happens(bench: Any) -> None:
    operation = bench.operation("receipt")
    bulkhead = Bulkhead(1, queue=0)
    for error in (ValueError(), bench.Broken(), asyncio.CancelledError(), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            await bulkhead.station(operation, bench.failing(error))(bench.call(operation))

    assert await bulkhead.station(operation, bench.serve)(bench.call(operation))


async def test_a_slow_service_does_not_take_the_places_of_another(bench: Any) -> None:
    operation, slow = bench.operation("receipt"), Counter()
    full = Bulkhead(2, queue=0).station(operation, slow)
    calls = [asyncio.create_task(full(bench.call(operation))) for _ in range(2)]
    await turns()
    with pytest.raises(Overloaded):
        await full(bench.call(operation))

    assert await Bulkhead(2, queue=0).station(operation, bench.serve)(bench.call(operation))
    slow.go.set()
    await asyncio.gather(*calls)


async def test_services_that_call_each_other_in_a_circle_do_not_wait_for_themselves(bench: Any) -> None:
    operation = bench.operation("receipt")
    places = Bulkhead(1, queue=0)

    async def round_and_round(call: Call) -> Any:
        if call.arguments.get("depth", 0) == 5:
            return "home"
        inner = call.child(operation, {"depth": call.arguments.get("depth", 0) + 1})
        return await places.station(operation, round_and_round)(inner)

    assert await places.station(operation, round_and_round)(bench.call(operation)) == "home"


async def test_a_stream_holds_its_place_from_its_first_item_to_its_end(bench: Any) -> None:
    operation = bench.operation("watch")
    places = Bulkhead(1, queue=0)
    handler = places.station(operation, bench.streaming(1, 2))
    unread = await handler(bench.call(operation))
    items = await handler(bench.call(operation))
    assert await anext(items) == 1

    with pytest.raises(Overloaded):
        await anext(unread)  # before any item: an ordinary answer
    assert [item async for item in items] == [2]
    again = await handler(bench.call(operation))
    assert await anext(again) == 1
    await again.aclose()
    assert [item async for item in await handler(bench.call(operation))] == [1, 2]


async def test_a_stream_between_services_passes_uncounted(bench: Any) -> None:
    operation = bench.operation("watch")
    handler = Bulkhead(1, queue=0).station(operation, bench.streaming(1, 2))
    outer = await handler(bench.call(operation))
    await anext(outer)

    assert [item async for item in await handler(bench.call(operation, peer="orders"))] == [1, 2]
    await outer.aclose()
