"""The unit of work, alike on both engines."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from enfilade.contract.marks import Key, Version
from enfilade.errors import Misuse, Overloaded
from enfilade.store import Entry, Row, Store, Table, atomic, refuse_in_unit


class AccountRow(Row, check=["free >= 0"]):
    id: Key[str]
    free: int
    version: Version = 0


class NoteRow(Row):
    id: Key[str]


class Short(Exception):
    """Not enough there."""


class Bank:
    """As a service would be written."""

    def __init__(self, store: Store) -> None:
        self.accounts: Table[AccountRow] = store.table(AccountRow)
        self.notes: Table[NoteRow] = store.table(NoteRow)
        self.database = store.database
        self.outbox = store.outbox
        self.runs = 0

    @atomic
    async def open(self, *names: str, free: int = 100) -> None:
        await self.accounts.put(*(AccountRow(id=name, free=free) for name in names))

    @atomic
    async def transfer(self, source: str, target: str, amount: int) -> None:
        self.runs += 1
        rows = {row.id: row for row in await self.accounts.lock(source, target)}
        if rows[source].free < amount:
            raise Short
        await self.accounts.put(rows[source].replace(free=rows[source].free - amount))
        await self.accounts.put(rows[target].replace(free=rows[target].free + amount))

    @atomic
    async def take_unlocked(self, name: str, amount: int) -> bool:
        """Reads first and writes then, without a lock: what loses money where reads do not count."""
        self.runs += 1
        row = await self.accounts.get(name)
        assert row is not None
        await asyncio.sleep(0)
        if row.free < amount:
            return False
        await self.accounts.put(row.replace(free=row.free - amount))
        return True

    @atomic
    async def twice(self, name: str) -> None:
        await self.note(name)
        await self.note(f"{name}2")

    @atomic
    async def note(self, name: str) -> None:
        await self.notes.add(NoteRow(id=name))

    @atomic
    async def both(self) -> tuple[int, int]:
        first = await self.notes.count()
        await asyncio.sleep(0.02)
        return first, await self.notes.count()


@pytest.fixture
async def bank(place: Any) -> Bank:
    return Bank(await place.store(AccountRow, NoteRow))


@pytest.fixture
def store(bank: Bank) -> Store:
    return Store(bank.accounts._home)


async def test_money_that_two_want_is_paid_once(bank: Bank, store: Store, calling: Any) -> None:
    with calling(store):
        await bank.open("x")

    async def take() -> bool:
        with calling(store):
            return await bank.take_unlocked("x", 100)

    assert sorted(await asyncio.gather(*(take() for _ in range(8)))) == [False] * 7 + [True]
    row = await bank.accounts.get("x")
    assert row is not None
    assert row.free == 0


async def test_transfers_between_the_same_accounts_all_happen(bank: Bank, store: Store, calling: Any) -> None:
    names = [str(at) for at in range(5)]
    with calling(store):
        await bank.open(*names, free=1000)

    async def one(at: int) -> None:
        with calling(store):
            await bank.transfer(names[at % 5], names[(at * 2 + 1) % 5], 1)

    done = await asyncio.gather(*(one(at) for at in range(60) if at % 5 != (at * 2 + 1) % 5))

    assert len(done) == 48
    assert await bank.database.value(int, "select sum(free) from account") == 5000


async def test_an_error_undoes_everything(bank: Bank, store: Store, calling: Any) -> None:
    @atomic
    async def fail() -> None:
        await bank.note("a")
        await bank.outbox.add(entry("1"))
        raise Short

    with calling(store), pytest.raises(Short):
        await fail()

    assert await bank.notes.count() == 0
    assert await bank.outbox.pending() == 0


async def test_atomic_methods_that_call_one_another_are_one_unit(bank: Bank, store: Store, calling: Any) -> None:
    with calling(store) as call:
        await bank.twice("a")

        assert call.commits == 1
    assert await bank.notes.count() == 2


async def test_a_unit_sees_what_it_did_and_others_do_not(bank: Bank, store: Store, calling: Any) -> None:
    seen: list[int] = []
    inside, outside = asyncio.Event(), asyncio.Event()

    @atomic
    async def work() -> None:
        await bank.note("a")
        seen.append(await bank.notes.count())
        inside.set()
        await outside.wait()

    async def look() -> None:
        await inside.wait()
        seen.append(await bank.notes.count())
        outside.set()

    async def call() -> None:
        with calling(store):
            await work()

    if store.home.engine.where == ":memory:":
        outside.set()  # one connection: whoever reads waits until the unit is stored
        await call()
        await look()
        assert seen == [1, 1]
        return
    await asyncio.gather(call(), look())

    assert seen == [1, 0]


async def test_a_query_reads_one_snapshot(bank: Bank, store: Store, calling: Any) -> None:
    async def look() -> tuple[int, int]:
        with calling(store, "query") as call:
            found = await bank.both()
            assert call.commits == 0
            return found

    async def write() -> None:
        await asyncio.sleep(0.005)
        with calling(store):
            await bank.note("a")

    found, _ = await asyncio.gather(look(), write())

    assert found == (0, 0)
    with calling(store, "query"):
        assert await bank.both() == (1, 1)


async def test_a_query_cannot_write(bank: Bank, store: Store, calling: Any) -> None:
    with calling(store, "query"):
        with pytest.raises(Misuse, match="@command"):
            await bank.note("a")
        with pytest.raises(Misuse, match="@command"):
            await atomic(bank.database.run)("delete from note")
        for ask in (bank.database.value, atomic(bank.database.value)):
            with pytest.raises(Misuse, match="changes rows"):
                await ask(str, "insert into note (id) values ('x') returning id")

    assert await bank.notes.count() == 0


async def test_writing_outside_a_unit_says_what_to_do(bank: Bank, store: Store, calling: Any) -> None:
    with calling(store):
        for write in (
            lambda: bank.notes.add(NoteRow(id="a")),
            lambda: bank.notes.put(NoteRow(id="a")),
            lambda: bank.notes.delete("a"),
            lambda: bank.database.run("delete from note"),
            lambda: bank.outbox.add(entry("1")),
        ):
            with pytest.raises(Misuse, match="`@atomic` method"):
                await write()
        with pytest.raises(Misuse, match="@atomic"):
            await bank.notes.lock("a")
        with pytest.raises(Misuse, match="changes rows"):
            await bank.database.value(str, "insert into note (id) values ('x') returning id")


async def test_a_call_commits_once(bank: Bank, store: Store, calling: Any) -> None:
    with calling(store):
        await bank.both()
        await bank.note("a")
        await bank.both()
        with pytest.raises(Misuse, match="second unit of work"):
            await bank.note("b")

    assert [row.id for row in await bank.notes.find()] == ["a"]


async def test_nothing_foreign_is_awaited_in_a_unit(bank: Bank, store: Store, calling: Any) -> None:
    @atomic
    async def work() -> None:
        refuse_in_unit("a contract call")

    with calling(store):
        refuse_in_unit("a contract call")
        with pytest.raises(Misuse, match="a contract call inside @atomic"):
            await work()
        refuse_in_unit("a contract call")


async def test_reads_can_be_gathered_in_a_unit(bank: Bank, store: Store, calling: Any) -> None:
    @atomic
    async def work() -> list[Any]:
        await bank.note("a")
        return await asyncio.gather(*(bank.notes.get(name) for name in "abab"), bank.notes.count())

    with calling(store):
        assert await work() == [NoteRow(id="a"), None, NoteRow(id="a"), None, 1]


async def test_a_unit_that_ends_before_its_branches_blocks_nobody(bank: Bank, store: Store, calling: Any) -> None:
    strays: list[asyncio.Task[Any]] = []

    async def stray() -> None:
        for _ in range(20):
            await bank.notes.count()
            await bank.notes.get("a")

    @atomic
    async def work() -> None:
        await bank.note("a")
        strays.extend(asyncio.create_task(stray()) for _ in range(4))
        await bank.notes.count()
        raise Short

    for _ in range(3):
        with calling(store), pytest.raises(Short):
            await work()
    with calling(store):
        await bank.note("b")
    ends = await asyncio.gather(*strays, return_exceptions=True)

    assert all(end is None or isinstance(end, Overloaded) for end in ends)
    assert [row.id for row in await bank.notes.find()] == ["b"]


async def test_two_units_of_one_call_at_the_same_time_are_refused(bank: Bank, store: Store, calling: Any) -> None:
    @atomic
    async def slow() -> None:
        await asyncio.sleep(0.05)

    @atomic
    async def quick() -> None:
        await bank.note("a")
        await asyncio.sleep(0.01)

    with calling(store):
        first, _ = await asyncio.gather(quick(), slow(), return_exceptions=True)

    assert isinstance(first, Misuse)
    assert "still running" in str(first)
    assert await bank.notes.count() == 0


@pytest.mark.parametrize("at", range(6))
async def test_a_call_that_is_cancelled_leaves_nothing_behind(bank: Bank, store: Store, calling: Any, at: int) -> None:
    with calling(store):
        await bank.open("x", "y")

    async def one() -> None:
        with calling(store):
            await bank.transfer("x", "y", 10)

    tasks = [asyncio.create_task(one()) for _ in range(6)]
    for _ in range(at * 3):
        await asyncio.sleep(0)
    await asyncio.sleep(at * 0.001)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with calling(store):
        await bank.transfer("y", "x", 5)

    assert await bank.database.value(int, "select sum(free) from account") == 200
    x = await bank.accounts.get("x")
    assert x is not None
    assert x.free % 10 == 5


async def test_what_stays_in_conflict_is_given_up_at_the_deadline(bank: Bank, store: Store, calling: Any) -> None:
    from enfilade.store.engine import Rerun
    from enfilade.store.unit import open_unit

    runs: list[int] = []

    @atomic
    async def never() -> None:
        runs.append(1)
        unit = open_unit(store.home)
        assert unit is not None
        unit.ended = Rerun("as if another one had been faster")
        raise unit.ended

    with calling(store, within=0.1), pytest.raises(Overloaded, match="the time is over"):
        await never()

    assert len(runs) > 2


def test_only_methods_that_are_awaited_once_are_atomic() -> None:
    async def stream() -> Any:
        yield 1

    with pytest.raises(TypeError, match="async def"):
        atomic(lambda: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="a stream calls some"):
        atomic(stream)  # type: ignore[arg-type]


async def test_the_platform_has_units_of_its_own(bank: Bank, store: Store, calling: Any) -> None:
    async with store.unit():
        await bank.notes.add(NoteRow(id="a"))
        await bank.note("b")
    with calling(store) as call:
        async with store.unit():
            await bank.notes.add(NoteRow(id="c"))
        await bank.note("d")

        assert call.commits == 1
    with pytest.raises(Short):
        async with store.unit():
            await bank.notes.add(NoteRow(id="e"))
            raise Short
    assert await bank.notes.count() == 4


def entry(id: str, **more: Any) -> Entry:
    from datetime import UTC, datetime

    return Entry(id=id, topic="shop.Said", source="shop", at=datetime(2026, 1, 1, tzinfo=UTC), body=b"{}", **more)


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_calls_that_fail_and_are_cancelled_keeps_the_books(
    bank: Bank, store: Store, calling: Any, seed: int
) -> None:
    chance = random.Random(seed)
    names = [str(at) for at in range(5)]
    answered: list[str] = []
    with calling(store):
        await bank.open(*names)

    @atomic
    async def move(note: str, source: str, target: str, how: str) -> None:
        await bank.transfer(source, target, chance.randint(1, 30))
        if how == "look":
            total = "select sum(free) from account"
            assert set(await asyncio.gather(*(bank.database.value(int, total) for _ in range(3)))) == {500}
        await bank.note(note)
        await bank.outbox.add(entry(note))
        if how == "fail":
            raise Short

    async def one(at: int) -> None:
        how = chance.choice(["go", "go", "look", "fail", "read"])
        with calling(store, "query" if how == "read" else "command"):
            if how == "read":
                await bank.both()
                return
            source, target = chance.sample(names, 2)
            await move(str(at), source, target, how)
            answered.append(str(at))

    tasks = [asyncio.create_task(one(at)) for at in range(80)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(chance.random() * 0.004)
        chance.choice(tasks).cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)

    unexpected = [end for end in ends if end is not None and not isinstance(end, (Short, asyncio.CancelledError))]
    assert unexpected == []
    assert await bank.database.value(int, "select sum(free) from account") == 500
    stored = {row.id for row in await bank.notes.find()}
    assert set(answered) <= stored
    assert {one.id for one in await bank.outbox.due(store.home.clock.now())} == stored
