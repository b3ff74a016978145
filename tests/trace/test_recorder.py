import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from enfilade.call import Call, current_or_none, enter, leave
from enfilade.clock import VirtualClock
from enfilade.errors import DeadlineExceeded, Problem
from enfilade.trace.recorder import Recorder
from enfilade.trace.span import phase

Make = Callable[..., Any]


class OutOfStock(Problem, status=409):
    """There is none left."""


async def answer(call: Call) -> str:
    return "tea"


def serving(handler: Callable[[Call], Any]) -> Callable[[Call], Any]:
    """What the service host does: the call is current while it is served."""

    async def serve(call: Call) -> Any:
        token = enter(call)
        try:
            return await handler(call)
        finally:
            leave(token)

    return serve


async def test_a_call_leaves_a_span_with_its_time_and_outcome(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock)

    async def slow(call: Call) -> None:
        await clock.advance(0.25)

    await recorder.station(operation("orders.place"), slow)(call())

    (span,) = recorder.recent()
    assert (span.name, span.service, span.kind, span.outcome, span.status) == (
        "orders.place", "orders", "server", "ok", 201,
    )  # fmt: skip
    assert span.duration == 0.25
    assert span.start == clock.now().timestamp() - 0.25
    assert span.facts == {"http.request.method": "POST", "http.route": "/orders"}
    assert span.parent_id == 0


async def test_spans_say_in_which_process_of_a_plan_they_were_made(
    clock: VirtualClock, operation: Make, call: Make
) -> None:
    recorder = Recorder(clock, process="orders@2")

    await recorder.station(operation(), answer)(call())
    with recorder.span("sweep"):
        pass

    assert [span.process for span in recorder.recent()] == ["orders@2", "orders@2"]


async def test_a_call_from_another_service_is_internal_and_names_its_caller(
    clock: VirtualClock, operation: Make, call: Make
) -> None:
    recorder = Recorder(clock)

    await recorder.station(operation(), answer)(call(peer="cart", trace_id=7, span_id=8))

    (span,) = recorder.recent()
    assert (span.kind, span.peer, span.trace_id, span.parent_id, span.facts) == ("internal", "cart", 7, 8, {})


async def test_the_call_knows_its_trace_while_it_is_served(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock)
    seen: list[tuple[int, int, Any]] = []

    async def look(call: Call) -> None:
        seen.append((call.trace_id, call.span_id, call.span))

    await recorder.station(operation(), look)(call())

    (span,) = recorder.recent()
    assert seen == [(span.trace_id, span.span_id, span)]


@pytest.mark.parametrize(
    ("error", "outcome", "status"),
    [
        (OutOfStock(), "out-of-stock", 409),
        (DeadlineExceeded(), "deadline-exceeded", 504),
        (asyncio.CancelledError(), "cancelled", 0),
        (ZeroDivisionError("secret"), "bug", 500),
    ],
)
async def test_a_failure_is_told_by_its_name_and_never_by_its_text(
    clock: VirtualClock, operation: Make, call: Make, error: BaseException, outcome: str, status: int
) -> None:
    recorder = Recorder(clock)

    async def fail(call: Call) -> None:
        raise error

    with pytest.raises(type(error)):
        await recorder.station(operation(), fail)(call())

    (span,) = recorder.recent()
    assert (span.outcome, span.status) == (outcome, status)
    assert "secret" not in repr(span)
    assert recorder.metrics.counter(
        "enfilade_calls_total", service="orders", operation="orders.place", outcome=outcome
    ).value == 1  # fmt: skip


async def test_a_stream_is_in_flight_until_it_ends(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock)
    watch = operation("orders.watch", style="stream")
    live = recorder.metrics.gauge("enfilade_calls_in_flight", service="orders", operation="orders.watch")

    async def items() -> AsyncGenerator[int, None]:
        yield 1
        await clock.advance(5)

    async def stream(call: Call) -> AsyncGenerator[int, None]:
        return items()

    reply = await recorder.station(watch, stream)(call(watch))
    assert (await anext(reply), live.value, recorder.recent()) == (1, 1, ())
    assert [item async for item in reply] == []

    (span,) = recorder.recent()
    assert (span.duration, live.value) == (5, 0)


async def test_a_recorder_that_is_off_keeps_nothing(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock, enabled=False)

    await recorder.station(operation(), answer)(call())
    with recorder.span("relay") as span:
        span.set("count", 3)

    assert recorder.recent() == ()
    assert b"enfilade_calls" not in recorder.metrics.exposition()


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_call_is_current_while_it_passes(
    clock: VirtualClock, operation: Make, call: Make, enabled: bool
) -> None:
    recorder = Recorder(clock, enabled=enabled)
    watch = operation("orders.watch", style="stream")
    seen: list[Call | None] = []

    async def look(call: Call) -> None:
        seen.append(current_or_none())

    async def items(call: Call) -> AsyncGenerator[int, None]:
        async def each() -> AsyncGenerator[int, None]:
            seen.append(current_or_none())
            yield 1

        return each()

    one, other = call(), call(watch)
    await recorder.station(operation(), look)(one)
    reply = await recorder.station(watch, items)(other)
    await anext(reply)
    seen.append(current_or_none())

    assert (seen, current_or_none()) == ([one, other, None], None)


async def test_the_ring_keeps_the_newest(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock, size=2)

    for number in range(3):
        with recorder.span(f"work {number}"):
            pass

    assert [span.name for span in recorder.recent()] == ["work 1", "work 2"]


async def test_work_inside_a_call_is_part_of_its_span(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock)

    async def work(call: Call) -> None:
        with recorder.span("atomic"), recorder.span("commit"):
            await clock.advance(1)

    await recorder.station(operation(), serving(work))(call())

    commit, atomic, place = recorder.recent()
    assert (commit.parent_id, atomic.parent_id) == (atomic.span_id, place.span_id)
    assert {commit.trace_id, atomic.trace_id} == {place.trace_id}
    assert commit.service == "orders"


async def test_branches_that_run_together_do_not_become_each_others_parents(
    clock: VirtualClock, operation: Make, call: Make
) -> None:
    recorder = Recorder(clock)

    async def branch(name: str) -> None:
        with recorder.span(name):
            await asyncio.sleep(0)
            with recorder.span(f"{name} inner"):
                await asyncio.sleep(0)

    async def both(call: Call) -> None:
        await asyncio.gather(branch("a"), branch("b"))

    await recorder.station(operation(), serving(both))(call())

    spans = {span.name: span for span in recorder.recent()}
    assert spans["a"].parent_id == spans["b"].parent_id == spans["orders.place"].span_id
    assert spans["a inner"].parent_id == spans["a"].span_id
    assert spans["b inner"].parent_id == spans["b"].span_id


async def test_a_call_made_within_a_span_is_part_of_that_span(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock)
    cart = recorder.station(operation("cart.cart"), serving(answer))
    price = recorder.station(operation("cart.price"), serving(answer))

    async def cart_asks_price(call: Call) -> None:
        await price(call.child(operation("cart.price"), {}))

    cart = recorder.station(operation("cart.cart"), serving(cart_asks_price))

    async def place(call: Call) -> None:
        with recorder.span("step"):
            await cart(call.child(operation("cart.cart"), {}))
        await cart(call.child(operation("cart.cart"), {}))

    await recorder.station(operation(), serving(place))(call())

    price_1, cart_1, step, price_2, cart_2, whole = recorder.recent()
    assert (step.parent_id, cart_1.parent_id, price_1.parent_id) == (whole.span_id, step.span_id, cart_1.span_id)
    assert (cart_2.parent_id, price_2.parent_id) == (whole.span_id, cart_2.span_id)


async def test_work_outside_of_calls_starts_a_trace_or_follows_the_one_it_is_given(clock: VirtualClock) -> None:
    recorder = Recorder(clock, service="shop")

    with recorder.span("sweep"):
        pass
    with recorder.span("deliver", "consumer", traceparent=f"00-{7:032x}-{8:016x}-01", topic="orders.OrderPlaced"):
        assert recorder.headers()["traceparent"].startswith(f"00-{7:032x}-")

    sweep, deliver = recorder.recent()
    assert (sweep.parent_id, sweep.service) == (0, "shop")
    assert (deliver.trace_id, deliver.parent_id, deliver.facts) == (7, 8, {"topic": "orders.OrderPlaced"})


async def test_phases_are_parts_of_the_current_span(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock)

    async def work(call: Call) -> None:
        await clock.advance(1)
        with phase("validate"):
            await clock.advance(2)
        with recorder.span("atomic"), phase("insert"):
            await clock.advance(3)

    with phase("outside of any call"):
        await recorder.station(operation(), serving(work))(call())

    atomic, place = recorder.recent()
    assert [(part.name, part.start, part.duration) for part in place.phases] == [("validate", 1, 2)]
    assert [(part.name, part.start, part.duration) for part in atomic.phases] == [("insert", 0, 3)]


async def test_facts_are_bounded(clock: VirtualClock) -> None:
    recorder = Recorder(clock)

    with recorder.span("work", **{f"fact {number}": "x" * 1000 for number in range(40)}) as span:
        span.set("one more", 1)

    assert len(span.facts) == 32
    assert {len(str(value)) for value in span.facts.values()} == {256}


async def test_a_sample_is_chosen_by_the_trace_and_holds_for_all_of_it(clock: VirtualClock) -> None:
    here, there = Recorder(clock, size=4096, sample=0.25), Recorder(clock, sample=0.25)

    for _ in range(1000):
        with here.span("outer"), here.span("inner"):
            assert here.headers()["traceparent"][-2:] == ("01" if there.sampled(_trace(here)) else "00")

    names = [span.name for span in here.recent()]
    assert names.count("outer") == names.count("inner")
    assert 150 < names.count("outer") < 350


async def test_what_failed_is_kept_whatever_the_sample(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock, sample=0)

    async def fail(call: Call) -> None:
        raise ZeroDivisionError

    await recorder.station(operation(), answer)(call())
    with pytest.raises(ZeroDivisionError):
        await recorder.station(operation(), fail)(call())

    assert [span.outcome for span in recorder.recent()] == ["bug"]


async def test_a_trace_comes_in_and_goes_on(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock)
    sent: list[dict[str, str]] = []

    async def send(call: Call) -> None:
        sent.append(recorder.headers())

    inbound = call()
    recorder.attach(inbound, f"00-{7:032x}-{8:016x}-00", "vendor=1")
    await recorder.station(operation(), serving(send))(inbound)

    (span,) = recorder.recent()
    assert (span.trace_id, span.parent_id) == (7, 8)
    assert sent == [{"traceparent": f"00-{7:032x}-{span.span_id:016x}-01", "tracestate": "vendor=1"}]
    assert recorder.headers() == {}


async def test_a_recorder_that_is_off_hands_the_trace_on(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock, enabled=False)
    inbound = call()
    recorder.attach(inbound, f"00-{7:032x}-{8:016x}-01")

    async def send(call: Call) -> dict[str, str]:
        return recorder.headers()

    assert await serving(send)(inbound) == {"traceparent": f"00-{7:032x}-{8:016x}-00"}


async def test_two_runs_from_one_seed_have_the_same_ids() -> None:
    def ids() -> list[int]:
        recorder = Recorder(VirtualClock(seed=3))
        with recorder.span("work"):
            pass
        return [recorder.recent()[0].trace_id, recorder.recent()[0].span_id]

    assert ids() == ids()


async def test_spans_follow_a_clock_that_was_set(clock: VirtualClock) -> None:
    class Set(VirtualClock):
        ahead = 0.0

        def monotonic(self) -> float:
            return super().monotonic() - self.ahead

    moved = Set()
    recorder = Recorder(moved)
    moved.ahead = 60.0
    recorder.align()

    with recorder.span("work") as span:
        pass

    assert span.start == moved.now().timestamp()


def _trace(recorder: Recorder) -> int:
    return int(recorder.headers()["traceparent"][3:35], 16)
