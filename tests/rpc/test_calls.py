"""Calls between processes: values, streams, problems and all context travel, in both formats."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from enfilade import Blob, Money, Paging
from enfilade.call import Call
from enfilade.contract.read import read
from enfilade.endpoint.rpc import PeerFailed
from enfilade.errors import DeadlineExceeded, Forbidden, Invalid, Unavailable


async def test_a_value_arrives_as_it_was(world: Any, kinds: Any) -> None:
    async with world.catalog():
        catalog = world.ask()

        assert await catalog.product("tea") == kinds.product()
        assert await catalog.price("tea") == Money.of("2.50", "EUR")
        assert await catalog.note("hello") is None
        assert world.notes.texts == ["hello"]


async def test_a_page_and_a_file_arrive_as_they_were(world: Any, kinds: Any) -> None:
    blob = Blob(id="0" * 32, size=3, sha256="a" * 64, name="ü.png")
    async with world.catalog():
        page = await world.ask().products(Paging(limit=2))

        assert page.items == (kinds.product("tea-0"), kinds.product("tea-1"))
        assert page.next == "more"
        assert await world.ask().picture(blob) == blob


async def test_a_stream_arrives_item_by_item_and_its_connection_is_used_again(world: Any, kinds: Any) -> None:
    link = world.link()
    async with world.catalog():
        for count in (0, 1, 100):
            items = [item async for item in world.ask(link).watch(count)]

            assert items == [kinds.product(f"tea-{at}") for at in range(count)]
        assert link.statistics()[world.address]["open"] == 1


async def test_a_stream_of_bytes_arrives(world: Any) -> None:
    async with world.catalog():
        pieces = [piece async for piece in world.ask().export(1000)]

        assert len(pieces) == 1000
        assert b"".join(pieces) == b"".join(bytes([at % 256]) * 1000 for at in range(1000))


async def test_a_stream_of_bytes_is_taken(world: Any) -> None:
    async def pieces() -> Any:
        for _ in range(500):
            yield b"x" * 1000

    async with world.catalog():
        assert await world.ask().load("big", pieces()) == 500_000
        assert world.notes.texts == ["big"]


async def test_a_problem_arrives_as_the_same_class(world: Any, kinds: Any) -> None:
    async with world.catalog():
        with pytest.raises(kinds.unsold) as caught:
            await world.ask().price("coffee")

        assert (caught.value.sku, caught.value.instead, caught.value.detail) == ("coffee", ("tea", "café"), "Try tea.")


async def test_a_problem_within_a_stream_ends_it(world: Any) -> None:
    # (it is not declared there, so to the caller it is a bug)
    async with world.catalog():
        stream = world.ask().watch(2, fail="x")
        assert (await anext(stream)).sku == "tea-0"
        assert (await anext(stream)).sku == "tea-1"
        with pytest.raises(PeerFailed):
            await anext(stream)


async def test_what_breaks_a_rule_of_the_contract_is_invalid(world: Any) -> None:
    async with world.catalog():
        with pytest.raises(Invalid):
            await world.ask().products(Paging(limit=5000))


async def test_a_bug_there_tells_nothing_but_that_it_is_one(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with world.catalog():
        with pytest.raises(PeerFailed) as caught:
            await world.ask().bug()

        assert "secret" not in str(caught.value)
        assert "catalog.bug failed, trace " in caplog.text


async def test_a_call_carries_who_calls_and_in_whose_name(world: Any, kinds: Any) -> None:
    trace = 0x1234567890ABCDEF1234567890ABCDEF
    async with world.catalog():
        seen = await world.ask(caller=kinds.ann, tenant="größe %41\n", trace_id=trace, span_id=7, key='k "1" %').keyed(
            "tea"
        )

        assert (seen.subject, seen.tenant, seen.peer, seen.key) == ("ann", "größe %41\n", "shop", 'k "1" %')
        assert seen.trace == f"{trace:032x}"
        assert 4.5 < seen.remaining <= 5.0


async def test_who_does_not_say_that_it_calls_is_refused(world: Any) -> None:
    async with world.catalog():
        with pytest.raises(Forbidden):
            await world.ask(peer="basket").price("tea")
        with pytest.raises(Exception, match="nothing here"):
            await world.ask(peer="").price("tea")  # as from outside, where there is no such operation


async def test_a_deadline_ends_the_call_there_and_here(world: Any) -> None:
    async with world.catalog():
        with pytest.raises(DeadlineExceeded):
            async with asyncio.timeout(15):
                await world.ask(timeout=0.2).slow(30.0)

        await world.until(lambda: world.notes.running == 0)


async def test_a_caller_who_leaves_ends_the_call_there(world: Any) -> None:
    async with world.catalog():
        task = asyncio.create_task(world.ask().slow(30.0))
        await world.until(lambda: world.notes.running == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await world.until(lambda: world.notes.ended == ["cancelled"])


async def test_a_reader_who_leaves_ends_the_stream_there(world: Any) -> None:
    async with world.catalog():
        stream = world.ask().watch(1_000_000)
        await anext(stream)
        await stream.aclose()

        await world.until(lambda: world.notes.ended == ["watch"])


async def test_a_stream_that_falls_silent_is_given_up(world: Any) -> None:
    async with world.catalog():
        stream = world.ask().watch(1, fail="silent")
        await anext(stream)
        with pytest.raises(DeadlineExceeded):
            async with asyncio.timeout(15):
                await anext(stream)


async def test_a_slow_reader_holds_back_who_sends(world: Any) -> None:
    async with world.catalog():
        stream = world.ask().export(100_000)  # 100 MB
        await anext(stream)
        await asyncio.sleep(0.2)

        assert world.notes.ended == []
        await stream.aclose()


async def test_two_hops_carry_time_and_cancellation(world: Any, kinds: Any) -> None:
    async with world.catalog(), world.shop() as shop:
        handle = shop.get(kinds.shop, acting=kinds.ann)
        with pytest.raises(DeadlineExceeded):
            await asyncio.wait_for(world_slow(shop, kinds, 0.3), 5)
        await world.until(lambda: world.notes.ended == ["cancelled"])
        task = asyncio.create_task(handle.slow(30.0))
        await world.until(lambda: world.notes.running == 1)
        task.cancel()

        await world.until(lambda: world.notes.ended == ["cancelled", "cancelled"])
        with pytest.raises(asyncio.CancelledError):
            await task


async def world_slow(shop: Any, kinds: Any, seconds: float) -> Any:
    operation = read(kinds.shop).operation("slow")
    call = Call(
        operation, {"seconds": 30.0}, shop.clock, shop.clock.monotonic() + seconds, caller=kinds.ann, tenant="acme"
    )
    return await shop.handlers["shop.slow"](call)


async def test_a_problem_passes_two_processes_as_the_same_class(world: Any, kinds: Any) -> None:
    async with world.catalog(), world.shop() as shop:
        with pytest.raises(kinds.unsold) as caught:
            await shop.get(kinds.shop, acting=kinds.ann).price("coffee")

        assert caught.value.sku == "coffee"


async def test_the_trace_goes_on_in_the_other_process(world: Any, kinds: Any) -> None:
    async with world.catalog() as there, world.shop() as here:
        seen = await here.get(kinds.shop, acting=kinds.ann).seen()

        outer = {span.name: span for span in here.recorder.recent()}
        inner = next(span for span in there.recorder.recent() if span.name == "catalog.seen")
        assert f"{inner.trace_id:032x}" == seen.trace
        assert inner.trace_id == outer["shop.seen"].trace_id
        assert inner.parent_id == outer["catalog.seen"].span_id
        assert outer["catalog.seen"].parent_id == outer["shop.seen"].span_id
        assert (seen.subject, seen.tenant, seen.peer) == ("ann", "acme", "shop")


async def test_keys_are_chained_over_processes(world: Any, kinds: Any) -> None:
    async with world.catalog(), world.shop() as shop:
        operation = read(kinds.shop).operation("keyed")
        call = Call(
            operation, {"times": 2}, shop.clock, shop.clock.monotonic() + 5, caller=kinds.ann, tenant="acme", key="k1"
        )
        seen = await shop.handlers["shop.keyed"](call)

        assert [one.key for one in seen] == ["k1:keyed.1", "k1:keyed.2"]


async def test_unavailable_there_is_unavailable_here(world: Any, kinds: Any) -> None:
    async with world.shop() as shop:
        with pytest.raises(Unavailable):
            await shop.get(kinds.shop, acting=kinds.ann).price("tea")
