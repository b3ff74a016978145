"""Several processes of one service on one database: who leads, who is woken, and what waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from enfilade.clock import SystemClock
from enfilade.store import Entry, Store, open_store
from enfilade.topic import Pace, Relay
from enfilade.trace.recorder import Recorder

CLOCK = SystemClock()


class Line:
    """A transport that takes everything."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def accept(self, entries: Sequence[Entry]) -> None:
        self.taken += [entry.id for entry in entries]


def entry(id: str, key: str = "a") -> Entry:
    return Entry(id=id, topic="t", source="speaker", key=key, at=CLOCK.now(), body=b"{}")


async def till(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110  (any condition, of anybody)
        await asyncio.sleep(0.001)


async def opened(exits: AsyncExitStack, url: str) -> list[Store]:
    """The store of one service in two processes, as far as the database can tell."""
    found: list[Store] = []
    for _ in range(2):
        store = open_store(url, "speaker", clock=CLOCK, recorder=Recorder(CLOCK), secret=b"s" * 32)
        await store.open()
        exits.push_async_callback(store.close)
        await store.migrate(apply=True)
        found.append(store)
    return found


@pytest.fixture(params=["sqlite", "postgres"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[list[Store]]:
    sqlite = request.param == "sqlite"
    async with AsyncExitStack() as exits:
        url = f"sqlite:{tmp_path}/{{service}}.db" if sqlite else request.getfixturevalue("postgres_url")
        yield await opened(exits, url)


@pytest.fixture
async def servers(postgres_url: str) -> AsyncGenerator[list[Store]]:
    async with AsyncExitStack() as exits:
        yield await opened(exits, postgres_url)


async def test_one_process_leads_and_another_one_when_it_ends(stores: list[Store]) -> None:
    rung: list[int] = []
    one, two = (store.watch(lambda number=number: rung.append(number)) for number, store in enumerate(stores))
    await one.start()
    await two.start()
    assert (one.leads, two.leads) == (True, False)
    assert rung == [0]
    await one.stop()
    await till(lambda: two.leads)
    await two.stop()

    assert rung == [0, 1]
    assert not one.leads


async def test_each_database_in_memory_has_its_own_leader() -> None:
    async with AsyncExitStack() as exits:
        for store in await opened(exits, "sqlite::memory:"):
            watch = store.watch(lambda: None)
            await watch.start()

            assert watch.leads


async def test_what_one_process_says_wakes_the_other_at_once(servers: list[Store]) -> None:
    woken = asyncio.Event()
    watch = servers[0].watch(woken.set)
    await watch.start()
    woken.clear()
    async with servers[1].unit():
        for id in "xyz":
            await servers[1].outbox.add(entry(id))
        await asyncio.sleep(0.05)
        assert not woken.is_set()
    await asyncio.wait_for(woken.wait(), 5)
    await watch.stop()


async def test_whose_connection_is_lost_leads_no_more_works_on_by_its_poll_and_is_woken_again_later(
    servers: list[Store], postgres_server: Any
) -> None:
    store, line = servers[0], Line()
    watch = store.watch(lambda: relay.ring())
    relay = Relay(store, line, clock=CLOCK, recorder=Recorder(CLOCK), pace=Pace(poll=0.05), leads=lambda: watch.leads)
    await watch.start()
    relay.start()
    postgres_server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%watch'")
    await till(lambda: not watch.leads)
    async with servers[1].unit():
        await servers[1].outbox.add(entry("x"))
    await till(lambda: line.taken)
    assert line.taken == ["x"]
    await till(lambda: watch.leads)
    await relay.stop()
    await watch.stop()


async def test_units_of_work_that_end_out_of_order_are_handed_on_in_order_by_two_relays(servers: list[Store]) -> None:
    early, late, lines = servers[0], servers[1], (Line(), Line())
    relays = [
        Relay(store, line, clock=CLOCK, recorder=Recorder(CLOCK)) for store, line in zip(servers, lines, strict=True)
    ]
    first = early.home.engine.session(write=True)
    await first.run([early.outbox._said(entry("first"))])  # it has its number, and is not committed
    async with late.unit():
        await late.outbox.add(entry("second"))
        await late.outbox.add(entry("free", key=""))
    for relay in relays:
        await relay.turn()
    assert lines[0].taken == ["free"]  # an event without a key waits for nobody
    assert lines[1].taken == []

    await first.commit()
    await asyncio.gather(*(relay.turn() for relay in relays))
    for line in lines:  # both may have handed them on, each in order
        assert [id for id in line.taken if id != "free"] in ([], ["first", "second"])
    assert {*lines[0].taken, *lines[1].taken} == {"free", "first", "second"}
    assert await early.outbox.pending() == 0


async def test_a_transaction_that_is_open_for_long_holds_events_up_for_seconds_only(servers: list[Store]) -> None:
    other = servers[0].home.engine.session(write=True)
    await other.run([servers[0].outbox._said(entry("first"))])
    async with servers[1].unit():
        await servers[1].outbox.add(entry("second"))
    now = CLOCK.now()

    assert await servers[1].outbox.due(now) == ()
    assert [one.id for one in await servers[1].outbox.due(now.replace(year=now.year + 1))] == ["second"]
    await other.rollback()


async def test_in_the_background_a_relay_sees_at_once_that_the_earlier_one_has_ended(servers: list[Store]) -> None:
    line = Line()
    relay = Relay(servers[1], line, clock=CLOCK, recorder=Recorder(CLOCK), pace=Pace(poll=600))
    relay.start()
    first = servers[0].home.engine.session(write=True)
    await first.run([servers[0].outbox._said(entry("first"))])
    async with servers[1].unit():
        await servers[1].outbox.add(entry("second"))
    await asyncio.sleep(0.1)
    assert line.taken == []
    await first.rollback()  # nobody is told of that
    await asyncio.wait_for(till(lambda: line.taken), 5)
    await relay.stop()

    assert line.taken == ["second"]
