"""How long: calls whose time is over end, and others are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from enfilade.call import Call, enter, leave
from enfilade.call import deadline as less_time
from enfilade.clock import SystemClock, Timer, VirtualClock
from enfilade.contract.operation import Operation
from enfilade.errors import DeadlineExceeded
from enfilade.guard import deadline


async def never(call: Call) -> Any:
    await asyncio.Event().wait()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def guarded(operation: Operation, handler: Any) -> Any:
    return deadline()(operation, handler)


async def test_a_call_has_its_operations_time_and_no_more_than_it_came_with(bench: Any) -> None:
    operation = bench.operation("receipt", timeout=5.0)
    early, late = bench.call(operation, deadline=3.0), bench.call(operation, deadline=30.0)
    for call in (early, late):
        await guarded(operation, bench.serve)(call)

    assert (early.deadline, late.deadline) == (3.0, 5.0)


async def test_a_call_whose_time_is_over_does_not_begin(bench: Any) -> None:
    operation = bench.operation("receipt")
    await bench.clock.advance(10)

    for peer in ("", "orders"):
        with pytest.raises(DeadlineExceeded, match="was not begun"):
            await guarded(operation, bench.serve)(bench.call(operation, deadline=10.0, peer=peer))
    assert bench.served == 0


async def test_a_call_that_takes_too_long_is_ended_and_its_task_goes_on(bench: Any) -> None:
    operation = bench.operation("receipt", timeout=5.0)
    after: list[str] = []

    async def task() -> None:
        with pytest.raises(DeadlineExceeded, match="took longer"):
            await guarded(operation, never)(bench.call(operation))
        await asyncio.sleep(0)
        after.append("went on")

    running = asyncio.create_task(task())
    await turns()
    await bench.clock.advance(4.9)
    assert not running.done()
    await bench.clock.advance(0.1)
    await running

    assert after == ["went on"]
    assert running.cancelling() == 0


async def test_the_machines_own_time_ends_calls_too(bench: Any) -> None:
    operation = bench.operation("receipt", timeout=0.01)
    call = Call(operation, {}, SystemClock(), float("inf"))

    with pytest.raises(DeadlineExceeded):
        await guarded(operation, never)(call)


async def test_a_cancellation_from_elsewhere_stays_one(bench: Any) -> None:
    operation = bench.operation("receipt", timeout=5.0)
    running = asyncio.create_task(guarded(operation, never)(bench.call(operation)))
    await turns()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    await bench.clock.advance(60)  # the timer was called off


class HeldClock(VirtualClock):
    """Leaves it to the test when its timers ring."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[Callable[[], object]] = []

    def later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        self.timers.append(callback)
        return super().later(seconds, callback)


@pytest.mark.parametrize("first", ["the timer", "somebody else"])
async def test_cancelled_from_elsewhere_in_the_same_moment_it_stays_a_cancellation(bench: Any, first: str) -> None:
    bench.clock = clock = HeldClock()
    operation = bench.operation("receipt", timeout=5.0)
    running = asyncio.create_task(guarded(operation, never)(bench.call(operation)))
    await turns()
    both = [clock.timers[0], running.cancel]
    for cancel in both if first == "the timer" else reversed(both):
        cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_a_service_makes_of_its_end_is_what_leaves(bench: Any) -> None:
    operation = bench.operation("receipt", timeout=5.0)

    async def tidy(call: Call) -> Any:
        try:
            await never(call)
        except asyncio.CancelledError:
            return "tidied"

    async def clumsy(call: Call) -> Any:
        try:
            await never(call)
        finally:
            raise ValueError("clumsy")

    tidied = asyncio.create_task(guarded(operation, tidy)(bench.call(operation)))
    failed = asyncio.create_task(guarded(operation, clumsy)(bench.call(operation)))
    await turns()
    await bench.clock.advance(5)

    assert await tidied == "tidied"
    assert tidied.cancelling() == 0
    with pytest.raises(ValueError, match="clumsy"):
        await failed


async def test_a_call_between_services_runs_under_its_callers_timer(bench: Any) -> None:
    outer, inner = bench.operation("buy", timeout=5.0), bench.operation("receipt", timeout=10.0)
    ended: list[str] = []

    async def inside(call: Call) -> Any:
        try:
            await never(call)
        except asyncio.CancelledError:
            ended.append("inner")
            raise

    async def calls_on(call: Call) -> Any:
        made = call.child(inner, {"id": "r1"})
        reply = guarded(inner, inside)(made)
        assert reply.cr_code is inside.__code__  # nothing of ours stands between
        await reply

    running = asyncio.create_task(guarded(outer, calls_on)(bench.call(outer)))
    await turns()
    await bench.clock.advance(5)

    with pytest.raises(DeadlineExceeded, match=r"shop\.buy took longer"):
        await running
    assert ended == ["inner"]


async def test_an_operation_with_less_time_than_its_caller_is_ended_and_the_caller_goes_on(bench: Any) -> None:
    outer, inner = bench.operation("buy", timeout=10.0), bench.operation("receipt", timeout=2.0)

    async def calls_on(call: Call) -> Any:
        with pytest.raises(DeadlineExceeded, match=r"shop\.receipt took longer"):
            await guarded(inner, never)(call.child(inner, {"id": "r1"}))
        await asyncio.sleep(0)
        return "without"

    running = asyncio.create_task(guarded(outer, calls_on)(bench.call(outer)))
    await turns()
    await bench.clock.advance(2)

    assert await running == "without"


async def test_a_service_may_give_a_call_less_time_and_go_on_without_it(bench: Any) -> None:
    outer, inner = bench.operation("buy", timeout=10.0), bench.operation("receipt", timeout=10.0)

    async def calls_on(call: Call) -> Any:
        token = enter(call)
        try:
            with less_time(2.0), pytest.raises(DeadlineExceeded, match=r"shop\.receipt took longer"):
                await guarded(inner, never)(call.child(inner, {"id": "r1"}))
            return call.remaining, call.child(inner, {"id": "r1"}).watched
        finally:
            leave(token)

    running = asyncio.create_task(guarded(outer, calls_on)(bench.call(outer)))
    await turns()
    await bench.clock.advance(2)

    assert await running == (8.0, True)


async def test_a_delivered_event_is_watched_although_it_has_a_peer(bench: Any) -> None:
    operation = bench.operation("buy", timeout=5.0)
    running = asyncio.create_task(guarded(operation, never)(bench.call(operation, peer="orders", deadline=5.0)))
    await turns()
    await bench.clock.advance(5)

    with pytest.raises(DeadlineExceeded):
        await running


async def test_a_stream_has_the_timeout_till_its_first_item(bench: Any) -> None:
    operation = bench.operation("watch", timeout=5.0, idle=2.0)
    items = await guarded(operation, bench.streaming(asyncio.Event().wait()))(bench.call(operation))
    first = asyncio.create_task(anext(items))
    await turns()
    await bench.clock.advance(4.9)
    assert not first.done()
    await bench.clock.advance(0.1)

    with pytest.raises(DeadlineExceeded, match=r"shop\.watch took longer"):
        await first


async def test_a_stream_goes_on_as_long_as_items_come(bench: Any) -> None:
    operation = bench.operation("watch", timeout=5.0, idle=2.0)
    call = bench.call(operation)
    pauses = [item for one in range(10) for item in (bench.clock.sleep(1.5), one)]
    items = await guarded(operation, bench.streaming(*pauses))(call)
    seen: list[int] = []

    async def read() -> None:
        async for item in items:
            assert call.remaining > 0  # for the calls that the stream makes
            seen.append(item)

    reading = asyncio.create_task(read())
    await turns()
    for _ in range(10):
        await bench.clock.advance(1.5)
    await reading

    assert seen == list(range(10))


async def test_a_stream_that_falls_silent_is_ended(bench: Any) -> None:
    operation = bench.operation("watch", timeout=5.0, idle=2.0)
    closed: list[str] = []

    async def one_and_silence(call: Call) -> Any:
        async def made() -> Any:
            try:
                yield 1
                await asyncio.Event().wait()
            finally:
                closed.append("closed")

        return made()

    items = await guarded(operation, one_and_silence)(bench.call(operation))
    assert await anext(items) == 1
    await bench.clock.advance(3600)  # the reader takes his time: that is not the stream's silence
    second = asyncio.create_task(anext(items))
    await turns()
    await bench.clock.advance(2)

    with pytest.raises(DeadlineExceeded):
        await second
    assert closed == ["closed"]


async def test_a_stream_that_nobody_reads_on_is_closed_to_its_source(bench: Any) -> None:
    operation = bench.operation("watch")
    closed: list[str] = []

    async def endless(call: Call) -> Any:
        async def made() -> Any:
            try:
                while True:
                    yield 1
            finally:
                closed.append("closed")

        return made()

    items = await guarded(operation, endless)(bench.call(operation))
    await anext(items)
    await items.aclose()

    assert closed == ["closed"]
