"""PostgreSQL: a schema a service, several processes, servers that are not there."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from enfilade.clock import SystemClock
from enfilade.contract.marks import Key, Version
from enfilade.errors import Misuse, StartError, Unavailable
from enfilade.store import Entry, Row, Store, atomic, open_store
from enfilade.store.engine import Statement
from enfilade.trace.recorder import Recorder

CLOCK = SystemClock()


class AccountRow(Row):
    id: Key[str]
    free: int
    version: Version = 0


class Bank:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.accounts = store.table(AccountRow)

    @atomic
    async def crossed(self, source: str, target: str) -> None:
        one = await self.accounts.get(source, lock=True)
        two = await self.accounts.get(target, lock=True)
        assert one is not None
        assert two is not None
        await self.accounts.put(one.replace(free=one.free - 1), two.replace(free=two.free + 1))

    @atomic
    async def counted(self, id: str) -> None:
        """Writes what depends on all rows: only a serializable order makes the numbers 1, 2, 3, ..."""
        await self.accounts.add(AccountRow(id=id, free=await self.accounts.count() + 1))


def opened(url: str, service: str = "bank") -> Store:
    return open_store(url, service, clock=CLOCK, recorder=Recorder(CLOCK), secret=b"s" * 32)


@pytest.fixture
async def banks(postgres_url: str) -> AsyncGenerator[list[Bank]]:
    """The same service in three processes, as far as PostgreSQL can tell."""
    async with AsyncExitStack() as exits:
        found: list[Bank] = []
        for _ in range(3):
            store = opened(postgres_url)
            await store.open()
            exits.push_async_callback(store.close)
            found.append(Bank(store))
            await store.migrate(apply=True)
        yield found


async def test_transfers_of_several_processes_that_cross_are_none_given_up(banks: list[Bank], calling: Any) -> None:
    async with banks[0].store.unit():
        await banks[0].accounts.put(*(AccountRow(id=str(at), free=100) for at in range(6)))
    chance = random.Random(3)

    async def one(bank: Bank) -> None:
        source, target = chance.sample("012345", 2)
        with calling(bank.store):
            await bank.crossed(source, target)

    await asyncio.gather(*(one(bank) for _ in range(12) for bank in banks))

    rows = await banks[0].accounts.find()
    assert sum(row.free for row in rows) == 600
    assert sum(row.version for row in rows) == 2 * 36


async def test_units_happen_one_after_another(banks: list[Bank], calling: Any) -> None:
    async def one(bank: Bank, at: int) -> None:
        with calling(bank.store):
            await bank.counted(str(at))

    await asyncio.gather(*(one(banks[at % 3], at) for at in range(24)))

    assert sorted(row.free for row in await banks[0].accounts.find()) == list(range(1, 25))


async def test_services_share_a_database_and_see_nothing_of_one_another(postgres_url: str) -> None:
    for service, count in (("first-bank", 1), ("user", 2)):
        store = opened(postgres_url, service)
        await store.open()
        accounts = store.table(AccountRow)
        await store.migrate(apply=True)
        async with store.unit():
            await accounts.put(*(AccountRow(id=str(at), free=0) for at in range(count)))

        assert await accounts.count() == count
        assert await store.database.value(str, "select current_schema()") == service.replace("-", "_")
        await store.close()


async def test_tables_can_change_while_others_use_them(banks: list[Bank]) -> None:
    first, second, _ = banks
    async with first.store.unit():
        await first.accounts.add(AccountRow(id="a", free=1))
    assert await second.accounts.get("a") is not None

    await first.store.home.engine.change(
        [
            Statement('alter table account alter column "free" type bigint'),
            Statement('alter table account add column "note" text'),
        ]
    )

    row = await second.accounts.get("a")
    assert row is not None
    async with second.store.unit():
        await second.accounts.put(row.replace(free=2))


async def test_a_server_that_goes_away_is_unavailable_and_comes_back(banks: list[Bank], calling: Any) -> None:
    first, second, _ = banks
    async with first.store.unit():
        await first.accounts.put(AccountRow(id="a", free=1), AccountRow(id="b", free=1))

    @atomic
    async def cut_off() -> None:
        await first.accounts.lock("a")
        await second.store.home.engine.read(
            Statement("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")
        )
        await first.accounts.delete("a")

    with calling(first.store), pytest.raises(Unavailable):
        await cut_off()

    for _ in range(3):
        try:
            await first.accounts.count()
        except Unavailable:
            continue
    with calling(first.store):
        await first.crossed("a", "b")


async def test_a_server_that_is_not_there_is_one_clear_error() -> None:
    store = opened("postgresql://ann:a-password@127.0.0.1:1/shop")

    with pytest.raises(StartError) as refused:
        await store.open()

    told = str(refused.value)
    assert "127.0.0.1/shop" in told
    assert "Start the server" in told
    assert "a-password" not in told


async def test_a_driver_that_is_not_installed_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)  # as Python has it where a package is not installed

    with pytest.raises(StartError, match=r"enfilade\[postgres\]"):
        await opened("postgresql://127.0.0.1/shop").open()


@pytest.fixture
async def plain_url(postgres_server: Any, postgres_url: str) -> AsyncGenerator[str]:
    """The same database for a role that may make roles and a schema, and nothing else."""
    name = "bank_owner"
    postgres_server.psql(f"CREATE ROLE {name} LOGIN CREATEROLE; GRANT CREATE ON DATABASE postgres TO {name};")
    roles = "enfilade_plain, enfilade_plain_all"
    postgres_server.psql("GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO PUBLIC;")
    yield postgres_url.replace("postgres:@", f"{name}:@")
    postgres_server.psql(f"DROP OWNED BY {name} CASCADE;")
    if "enfilade_plain" in postgres_server.psql("SELECT rolname FROM pg_roles;"):
        postgres_server.psql(f"DROP OWNED BY {roles} CASCADE; DROP ROLE {roles};")
    postgres_server.psql(f"DROP ROLE {name};")


async def test_a_role_that_is_no_superuser_keeps_tenants_apart_too(plain_url: str, calling: Any) -> None:
    bank = Bank(opened(plain_url, "plain"))
    store = bank.store
    await store.open()
    await store.migrate(apply=True)
    assert await store.migrate(apply=False) == []

    @atomic
    async def add(free: int) -> None:
        await bank.accounts.add(AccountRow(id="a", free=free))
        assert await store.database.run("update account set free = free + 1") == 1
        await store.outbox.add(Entry(id=str(free), topic="t", source="s", at=CLOCK.now(), body=b"x"))

    for tenant, free in (("one", 1), ("two", 2)):
        with calling(store, tenant=tenant):
            await add(free)
    for tenant, free in (("one", 2), ("two", 3)):
        with calling(store, "query", tenant=tenant):
            assert await store.database.value(int, "select sum(free) from account") == free
            for sql in ("select set_config('role', 'none', true)", "select count(*) from enfilade_outbox"):
                with pytest.raises(Misuse):
                    await store.database.value(str, sql)
    await store.close()


async def test_who_may_not_make_roles_is_told_who_could(postgres_server: Any, plain_url: str) -> None:
    postgres_server.psql("ALTER ROLE bank_owner NOCREATEROLE;")
    store = opened(plain_url, "other")
    await store.open()
    store.table(AccountRow)

    with pytest.raises(StartError, match="CREATE ROLE enfilade_other NOLOGIN"):
        await store.migrate(apply=True)
    await store.close()
