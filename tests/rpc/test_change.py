"""A link whose replicas change while calls run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from enfilade.endpoint.rpc.dial import Unreached
from enfilade.trace.metrics import Metrics


async def test_replicas_come_and_go_under_load_and_no_call_fails(world: Any) -> None:
    places = [f"unix:{world.folder}/{number}.sock" for number in range(2)]
    link, going, done = world.link(places[0]), True, 0

    async def calls() -> None:
        nonlocal done
        while going:
            await world.ask(link).note("a command without a key is never asked again")
            done += 1

    async def stop(running: Any) -> None:
        await world.until(lambda: link.statistics().keys() == {places[at % 2], "tried again"})
        await running.__aexit__(None, None, None)

    served = world.catalog(places[0])
    await served.__aenter__()
    tasks = [asyncio.create_task(calls()) for _ in range(8)]
    for at in range(1, 21):
        new = world.catalog(places[at % 2])
        await new.__aenter__()
        before = done
        link.change(*places)
        await world.until(lambda before=before: done > before + 20)
        link.change(places[at % 2])
        await stop(served)
        served = new
    going = False
    await asyncio.gather(*tasks)
    await served.__aexit__(None, None, None)

    assert link.statistics()["tried again"] == 0
    assert len(world.notes.texts) == done


async def test_what_is_under_way_at_a_removed_replica_is_finished_there(world: Any, kinds: Any) -> None:
    other = f"unix:{world.folder}/other.sock"
    link = world.link(connections=2)
    async with world.catalog() as first, world.catalog(other):
        calls = [asyncio.create_task(world.ask(link).slow(0.2)) for _ in range(4)]
        items = world.ask(link).watch(3)
        await world.until(lambda: world.notes.running == 2)
        link.change(other)

        assert world.address not in link.statistics()
        assert await world.ask(link).product("tea") == kinds.product()
        assert len(await asyncio.gather(*calls)) == 4
        assert [one.sku async for one in items] == ["tea-0", "tea-1", "tea-2"]
        assert first.unready() == ()


async def test_a_removed_replica_keeps_no_connection(world: Any) -> None:
    other = f"unix:{world.folder}/other.sock"
    link = world.link()
    async with world.catalog(), world.catalog(other):
        catalog = world.ask(link)
        await asyncio.gather(*(catalog.price("tea") for _ in range(5)))
        last = asyncio.create_task(catalog.slow(0.1))
        await world.until(lambda: world.notes.running == 1)
        replica = link.sole
        link.change(other)
        await last

        assert replica.statistics() == {"open": 0, "busy": 0, "waiting": 0, "well": True}


async def test_a_replica_that_stays_keeps_its_connections(world: Any) -> None:
    link = world.link()
    async with world.catalog():
        await world.ask(link).price("tea")
        link.change(world.address, f"unix:{world.folder}/other.sock")
        link.change(world.address)

        assert link.statistics()[world.address]["open"] == 1


async def test_a_link_without_replicas_says_so(world: Any) -> None:
    link = world.link(patience=0.0)
    async with world.catalog():
        link.change()
        with pytest.raises(Unreached, match="no replica"):
            await world.ask(link).price("tea")
        link.change(world.address)

        await world.ask(link).price("tea")


async def test_a_link_is_measured_and_nothing_is_counted_down_when_its_replicas_change(world: Any) -> None:
    metrics, other = Metrics(), f"unix:{world.folder}/other.sock"
    link = world.link(connections=2, patience=0.0)
    link.measure(metrics, "catalog")

    def told(name: str) -> float:
        return next(
            one.series[(("process", "catalog"),)].value  # type: ignore[union-attr]
            for one in metrics.families()
            if one.name == f"enfilade_link_{name}"
        )

    with pytest.raises(Unreached):
        await world.ask(link).price("tea")
    assert (told("requests_total"), told("rests_total"), told("connections")) == (1, 1, 0)
    async with world.catalog(), world.catalog(other):
        link.change(other)
        calls = [asyncio.create_task(world.ask(link).slow(0.2)) for _ in range(4)]
        await world.until(lambda: world.notes.running == 2)
        assert (told("connections"), told("waiting")) == (2, 2)
        await asyncio.gather(*calls)
        link.change(world.address)
        assert [one.sku async for one in world.ask(link).watch(1)] == ["tea-0"]

        assert (told("requests_total"), told("retries_total"), told("waiting")) == (6, 0, 0)
