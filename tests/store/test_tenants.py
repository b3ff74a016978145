"""Two tenants with the same keys and the same unique values: neither sees, counts or changes a row of the other."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from enfilade.call import acting
from enfilade.contract.marks import Index, Key, Owned, Unique, Version
from enfilade.contract.message import Message
from enfilade.contract.need import Owner
from enfilade.contract.page import FIRST, Paging
from enfilade.errors import Conflict, Forbidden, Invalid, Misuse, StartError, Taken
from enfilade.store import Entry, Row, Store, Table, atomic
from enfilade.store.engine import Broken
from enfilade.store.spec import spec_of


class OrderRow(Row, unique=[("shop", "number")]):
    id: Key[str]
    code: Unique[str]
    shop: str
    number: int
    holder: Owned[str]
    text: Index[str]
    version: Version = 0


class LineRow(Row):
    order: Key[str]
    place: Key[int]
    text: str


class Counted(Message):
    tenant: str
    count: int


def order(id: str, who: str, **more: Any) -> OrderRow:
    number = int(id[1:])
    fields = {"code": f"c{id}", "shop": "s", "number": number, "holder": "ann", "text": f"of {who}"} | more
    return OrderRow(id=id, **fields)


class Shop:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.orders: Table[OrderRow] = store.table(OrderRow)
        self.lines: Table[LineRow] = store.table(LineRow)

    async def seed(self, calling: Any, who: str) -> None:
        @atomic
        async def rows() -> None:
            entry = Entry(id=who, topic="t", source="s", at=self.store.home.clock.now(), body=f"of {who}".encode())
            await self.store.outbox.add(entry)
            await self.orders.put(*(order(f"o{at}", who) for at in range(4)))
            await self.orders.add(order("o9", who, holder="bob"))
            await self.lines.put(*(LineRow(order="o1", place=at, text=f"of {who}") for at in range(3)))

        with calling(self.store, tenant=who):
            await rows()

    async def all(self, who: str) -> list[Any]:
        """What a tenant has, whoever asks."""
        before = "main." if self.store.home.dialect.name == "sqlite" else ""
        found: list[Any] = []
        for table in ("order", "line"):
            sql = f'SELECT * FROM {before}"{table}" WHERE tenant = :who ORDER BY 1, 2'
            statement = self.store.home.statement(sql, "rows", {"who": who})
            found += [tuple(row) for row in (await self.store.home.engine.read(statement)).rows]
        return found

    async def ask(self, sql: str) -> Sequence[Any]:
        home = self.store.home
        return [tuple(row) for row in (await home.read(home.own(home.statement(sql, "rows", {})), sql)).rows]


@pytest.fixture
async def shop(place: Any, calling: Any) -> Shop:
    shop = Shop(await place.store(OrderRow, LineRow))
    await shop.seed(calling, "a")
    await shop.seed(calling, "b")
    return shop


async def test_each_way_to_read_shows_the_rows_of_the_tenant(shop: Shop, calling: Any) -> None:
    for who in ("a", "b", "", "c"):
        mine = who in ("a", "b")
        with calling(shop.store, "query", tenant=who):
            found = await shop.orders.find(order="id")
            assert {row.text for row in found} == ({f"of {who}"} if mine else set())
            assert len(found) == await shop.orders.count() == (5 if mine else 0)
            assert tuple([row async for row in shop.orders.each()]) == found
            assert (await shop.orders.page(FIRST)).items == found
            assert await shop.orders.get("o1") == (found[1] if mine else None)
            assert await shop.orders.find('id in (select "order" from line) or 1 = 1', order="id") == found
            assert await shop.orders.count("exists (select 1 from line)") == len(found)


async def test_each_way_to_write_changes_the_rows_of_the_tenant(shop: Shop, run: Any) -> None:
    theirs = await shop.all("b")

    async def work() -> None:
        (row,) = await shop.orders.lock("o1")
        assert row.text == "of a"
        await shop.orders.put(row.replace(text="new", code="c9 new", number=77))
        await shop.orders.delete("o2")
        await shop.orders.add(order("o5", "a"))
        await shop.lines.put(LineRow(order="o1", place=1, text="new"), LineRow(order="o8", place=1, text="new"))
        with pytest.raises(Taken) as taken:
            await shop.orders.add(order("o6", "a", code="co5"))
        assert taken.value.on == ("code",)
        assert await shop.orders.delete("o7") is False

    await run(shop.store, work, tenant="a")

    assert await shop.all("b") == theirs
    assert len(await shop.all("a")) == 9


async def test_two_tenants_are_two_stores(place: Any, calling: Any) -> None:
    """Whatever they do, in whatever order, each has what it would have if it were alone."""
    shop = Shop(await place.store(OrderRow, LineRow))
    chance, alone = random.Random(7), {"a": dict[str, str](), "b": dict[str, str](), "": dict[str, str]()}

    async def one(rows: dict[str, str], id: str, text: str, what: int) -> None:
        if what == 0 and id not in rows:
            await shop.orders.add(order(id, "", text=text))
            rows[id] = text
        elif what == 1:
            assert await shop.orders.delete(id) is (rows.pop(id, None) is not None)
        elif what == 2:
            changed = await shop.store.database.run('update "order" set text = :text where id <> :id', text=text, id=id)
            assert changed == len([other for other in rows if other != id])
            rows.update({other: text for other in rows if other != id})
        elif what == 3:
            changed = await shop.store.database.run('delete from "order" where id < :id', id=id)
            assert changed == len([rows.pop(other) for other in list(rows) if other < id])
        elif what == 4:
            await shop.store.database.run(
                'insert into "order" (id, code, shop, number, holder, text, version) '
                "values (:id, :code, 's', :number, 'ann', :text, 0) "
                'on conflict (id) do update set text = excluded.text where "order".id = :id',
                id=id, code=f"c{id}", number=int(id[1:]), text=text,
            )  # fmt: skip
            rows[id] = text
        elif what == 5 and (row := await shop.orders.get(id, lock=True)) is not None:
            await shop.orders.put(row.replace(text=text))
            rows[id] = text
        assert {row.id: row.text for row in await shop.orders.find()} == rows

    for step in range(150):
        who, id, what = chance.choice("ab") if step % 3 else "", f"o{chance.randrange(6)}", chance.randrange(6)
        with calling(shop.store, tenant=who):
            await atomic(one)(alone[who], id, f"text {step}", what)


READS = [
    "with enfilade_outbox as (select 1) select count(*) from enfilade_outbox",
    'select text from "order"',
    'select text from [order] union all select text from "order" union select text from line',
    'select o.text, l.text from "order" o join line l on l."order" = o.id',
    'select o.text, p.text from "order" o cross join "order" p',
    'select (select max(text) from line), (select min(text) from "order")',
    'with all_of as (select * from "order") select text from all_of',
    'with recursive n as (select 1 as i union all select i + 1 from n where i < 9) select o.text from n, "order" o',
    'select text, row_number() over (partition by text order by id) from "order"',
    'select count(*), max(text), min(text) from "order" where 1 = 1 or true',
    'select distinct text from "order" where exists (select 1 from line where line.text <> "order".text) or true',
    'select text from line where ("order", place) in (select "order", place from line)',
    'select /* " */ text /* main.line */ from -- main.line\n "order"',
    'select text from "ORDER" as main',
    "values ((select max(text) from line))",
    "select * from (select text from (select text from line) x) y",
    "select text from temp.line",
    "select text from line where text = 'it''s' or 'main.' <> ''",
    "select value from json_each('[1]') as x, line",
    "select table_to_xml('line', true, true, '')",
    "select most_common_vals::text from pg_stats where tablename = 'line'",
    "select query from pg_stat_activity",
    "select current_setting('enfilade.tenant'), text from line",
    "table line",
    "select text from line for update",
    "select text from only line",
]
REFUSED = [
    "select text into stolen from line",
    "select text into temp stolen from line",
    "with x as (select 1) select text into unlogged stolen from line",
    "select lo_from_bytea(0, 'x'), text from line",
    'select text from main."order"',
    'select text from main . "order"',
    'select text from "main"."order"',
    "select text from 'main'.line",
    "select text from MAIN/**/.line",
    "select text from [main].line",
    "select text from `main`.line",
    "with line as (select * from main.line) select text from line",
    'with "order" as (select * from main."order") select text from "order"',
    "select count(*) from main.line",
    "select text from line where rowid in (select rowid from main.line)",
    "select body from enfilade_outbox",
    "select count(*) from enfilade_outbox",
    "select (with enfilade_table as (select 1) select 1), (select count(*) from enfilade_table)",
    "select definition from enfilade_table",
    "select sql from sqlite_master",
    "select count(*) from sqlite_schema",
    "select sql from sqlite_temp_master",
    "select * from pragma_table_info('order')",
    "select count(*) from pragma_table_info('order')",
    "select * from pragma_database_list",
    "pragma table_info('order')",
    "attach ':memory:' as other",
    "explain select * from line",
    "create temp table x as select * from line",
    "create view x as select * from line",
    "create trigger x after insert on line begin select 1; end",
    "select load_extension('x')",
    "select text from line; select text from main.line",
    "select $a('), text from main.line --'",
    "select @a, :b from line",
    "set role postgres",
    "reset role",
    "set session authorization default",
    "set enfilade.tenant = 'b'",
    "select set_config('enfilade.tenant', 'b', true), text from line",
    "select set_config('role', 'none', false)",
    "select pg_catalog.\"set_config\"('enfilade.tenant', 'b', false)",
    "select U&\"set\\005fconfig\"('enfilade.tenant', 'b', false)",
    "select E'\\'' || set_config('role', 'none', true) || ''",
    "select /* /* */ ' */ set_config('role', 'none', true) --'",
    "select query_to_xml('select text from line', true, true, '')",
    "select query_to_xml('select set_' || 'config(''role'', ''none'', true)', true, true, '')",
    "select * from ts_stat('select to_tsvector(text) from line')",
    "do $$ begin set local role postgres; end $$",
    "copy line to stdout",
    "copy (select * from line) to program 'cat'",
    "prepare x as select * from line",
    "lock table line",
    "create function x() returns setof line language sql security definer as 'select * from line'",
    "select pg_read_file('postgresql.conf')",
    "call x()",
    "explain analyze select * from line",
    "listen x",
    "vacuum",
    "select name from enfilade_table",
    "select 1 from enfilade_inbox",
    "select count(*) from sqlite_temp_schema",
    "select count(*) from (select 1 from sqlite_master)",
    "select count(*) from enfilade_record where true",
    "select * from information_schema.schemata; select 1",
]


@pytest.mark.parametrize("sql", REFUSED)
async def test_what_leads_out_of_the_tenant_is_refused(shop: Shop, run: Any, calling: Any, sql: str) -> None:
    async def asked() -> None:
        await shop.ask(sql)

    with calling(shop.store, "query", tenant="a"), pytest.raises(Misuse):
        await asked()
    with calling(shop.store, "query", wide=True), pytest.raises(Misuse):
        await asked()
    with pytest.raises(Misuse):
        await run(shop.store, asked, tenant="a")


@pytest.mark.parametrize("sql", [*READS, *REFUSED])
async def test_no_sql_shows_a_row_of_another_tenant(shop: Shop, run: Any, calling: Any, sql: str) -> None:
    ours, theirs = await shop.all("a"), await shop.all("b")

    async def then() -> None:
        with suppress(Misuse):
            assert "of b" not in repr(await shop.ask(sql))
        await after()

    async def after() -> None:
        assert {row.text for row in await shop.lines.find()} == {"of a"}
        assert set(await shop.ask("select text from line")) == {("of a",)}

    with calling(shop.store, "query", tenant="a"):
        with suppress(Misuse):
            answer = repr(await shop.ask(sql))
            assert "of b" not in answer
            assert "tables are made" not in answer
        await after()
    with suppress(Misuse, Conflict):
        await run(shop.store, then, tenant="a")
    with calling(shop.store, "query", tenant="b"):
        assert set(await shop.ask("select text from line")) == {("of b",)}
    assert (await shop.all("a"), await shop.all("b")) == (ours, theirs)


PLAIN = [
    "select text from line",
    "select count(*) from line",
    "select exists (select 1 from line)",
    "with x as (select * from line) select text from x",
    "with recursive n as (select 1 as i union all select i + 1 from n where i < 9) select count(*) from n",
    "with other(t) as (values ('x')) select count(*) from other",
]


@pytest.mark.parametrize("sql", PLAIN)
async def test_what_is_harmless_is_answered(shop: Shop, calling: Any, sql: str) -> None:
    with calling(shop.store, "query", tenant="a"):
        assert await shop.ask(sql)


WRITES = [
    "update \"order\" set text = 'x'",
    "update line set text = 'x' where true or 1 = 1",
    "update line set text = 'x' where place >= 0 returning text",
    'update line as l set text = s.x from (select \'x\' as x, "order" from line) as s where l."order" = s."order"',
    "update line set text = (select max(text) || 'x' from line)",
    "update line set text = 'x' where 1 = 1) or (1 = 1",
    "update line set text = 'x' -- where",
    "update line set text = 'x' where text = 'of b' or tenant = 'b'",
    "update line set tenant = 'b'",
    "update line set \"tenant\" = 'a' where tenant = 'b'",
    "update main.line set text = 'x'",
    "update or replace line set place = 1 where place = 0",
    "update line set rowid = 1",
    "with x as (select * from line) update line set text = 'x' where place in (select place from x)",
    'delete from "order"',
    "delete from line where true returning *",
    "delete from main.line",
    "delete from line where place in (select place from line) or exists (select 1 from line)",
    "with x as (delete from line returning *) select * from x",
    "with x as (update line set text = 'x' returning *) select * from x",
    (
        "insert into line (\"order\", place, text) values ('o1', 1, 'x') "
        "on conflict (\"order\", place) do update set text = 'x'"
    ),
    "insert into line (\"order\", place, text) values ('o1', 1, 'x'), ('n', 1, 'x') on conflict do nothing",
    'insert into line ("order", place, text) select "order", place + 10, text from line returning text',
    'insert into line select "order", place + 20, text from line',
    "insert into line values ('n', 1, 'x')",
    "insert into line (\"order\", place, text, tenant) values ('n', 1, 'x', 'b')",
    "insert into line (tenant, \"order\", place, text) values ('b', 'o1', 1, 'x') on conflict do nothing",
    "insert into line (rowid, \"order\", place, text) values (1, 'n', 1, 'x')",
    "insert or replace into line (\"order\", place, text) values ('o1', 1, 'x')",
    "replace into line (\"order\", place, text) values ('o1', 1, 'x')",
    "replace into line (rowid, \"order\", place, text) values (1, 'o1', 1, 'x')",
    "insert into main.line (\"order\", place, text) values ('n', 1, 'x')",
    "insert into line (\"order\", place, text) values ('n', 1, 'x')) union select 'm', 1, (select text from main.line",
    (
        "insert into line (\"order\", place, text) values ('o1', 1, 'x') on conflict (\"order\", place) do update "
        "set text = (select max(text) from line), tenant = 'b'"
    ),
    "merge into line as l using (select 1 as one) as s on l.place = s.one when matched then delete",
    "insert into enfilade_outbox (id) values ('x')",
    "delete from enfilade_outbox",
    "delete from sqlite_master",
    "truncate line",
    "drop table line",
    "alter table line disable row level security",
    "update pg_class set relrowsecurity = false",
    "insert into line (\"order\", place, text) select 'n', 1, set_config('enfilade.tenant', 'b', true)",
]


@pytest.mark.parametrize("sql", WRITES)
async def test_no_sql_changes_a_row_of_another_tenant(shop: Shop, run: Any, calling: Any, sql: Any) -> None:
    theirs = await shop.all("b")

    async def asked() -> Any:
        return await shop.ask(sql)

    answers: list[Any] = []
    for work in (lambda: shop.store.database.run(sql), asked):
        with suppress(Misuse, Taken, Conflict, Broken):
            answers.append(await run(shop.store, work, tenant="a"))

    assert "of b" not in repr(answers)
    assert await shop.all("b") == theirs
    assert {row[-1] for row in await shop.all("a")} <= {"a"}
    with calling(shop.store, "query", tenant="b"):
        assert set(await shop.ask("select text from line")) == {("of b",)}


async def test_sql_counts_and_returns_what_it_changed(shop: Shop, run: Any) -> None:
    database = shop.store.database

    async def work() -> None:
        assert await database.run("update line set text = 'x' where place > 0") == 2
        assert (
            await database.run("insert into line (\"order\", place, text) values ('o1', 9, 'n') on conflict do nothing")
            == 1
        )
        assert await database.run("insert into line values ('o1', 9, 'n') on conflict do nothing") == 0
        assert await shop.ask("delete from line where place = 9 returning text") == [("n",)]
        assert (
            await database.run("with x as (select 1 as one) delete from line where place in (select one from x)") == 1
        )

    await run(shop.store, work, tenant="a")


async def test_needs_owner_narrows_sql_too(shop: Shop, run: Any, calling: Any) -> None:
    bobs = "select holder from \"order\" where holder = 'bob'"
    with calling(shop.store, "query", tenant="a", needs=Owner, me="ann"):
        assert await shop.ask('select distinct holder from "order"') == [("ann",)]
        assert await shop.ask("select count(*) from line") == [(3,)]
    insert = 'insert into "order" (id, code, shop, number, holder, text, version) values '
    for sql in (
        "update \"order\" set text = 'x'",
        "update \"order\" set holder = 'ann'",
        "update \"order\" set holder = 'bob'",
        'delete from "order"',
        f"{insert} ('n', 'n', 's', 50, 'bob', 'x', 0)",
        f"{insert} ('o9', 'n', 's', 50, 'ann', 'x', 0) on conflict (id) do update set text = 'x'",
        f"insert or replace{insert[6:]} ('o9', 'n', 's', 50, 'ann', 'x', 0)",
        f"{insert} ('n', 'n', 's', 50, 'ann', 'x', 0)",
    ):
        with suppress(Misuse, Forbidden, Taken):
            await run(shop.store, lambda sql=sql: shop.store.database.run(sql), tenant="a", needs=Owner, me="ann")
    with calling(shop.store, "query", tenant="a"):
        assert await shop.ask(bobs) == [("bob",)]
        assert await shop.ask("select text from \"order\" where id = 'o9'") == [("of a",)]
        assert await shop.ask("select holder from \"order\" where id = 'n'") == [("ann",)]


async def test_an_operation_of_all_tenants_reads_all_and_writes_where_it_says(shop: Shop, calling: Any) -> None:
    count = 'select tenant, count(*) as count from "order" group by tenant order by tenant'
    with calling(shop.store, "query", wide=True):
        assert await shop.orders.tenants() == ("a", "b")
        assert await shop.orders.count() == 10
        assert await shop.store.database.rows(Counted, count) == tuple(Counted(tenant=who, count=5) for who in "ab")
        assert len(await shop.store.database.rows(Counted, f"with x as ({count}) select * from x")) == 2
        assert await shop.orders.get("o99") is None
        with pytest.raises(Misuse, match="acting"):
            await shop.orders.get("o1")
        with acting(tenant="b"):
            assert {row.text for row in await shop.orders.find()} == {"of b"}
            assert set(await shop.ask("select text from line")) == {("of b",)}
        for sql in ("select body from enfilade_outbox", "select text from main.line", "select sql from sqlite_master"):
            with pytest.raises(Misuse):
                await shop.ask(sql)
    theirs = await shop.all("b")

    @atomic
    async def each() -> None:
        for write in (
            lambda: shop.orders.add(order("o7", "x")),
            lambda: shop.orders.put(order("o1", "x")),
            lambda: shop.orders.delete("o1"),
            lambda: shop.orders.lock("o1"),
            lambda: shop.store.database.run("delete from line"),
            lambda: shop.ask("delete from line returning text"),
        ):
            with pytest.raises(Misuse, match="acting"):
                await write()
        assert await shop.orders.count() == 10
        for who in await shop.orders.tenants():
            with acting(tenant=who):
                await shop.orders.add(order("o7", who))
                await shop.store.database.run("delete from line where place = 2")
        assert await shop.orders.count() == 12

    with calling(shop.store, wide=True) as call:
        await each()
        assert call.acted == ("a", "b")
    assert len(await shop.all("b")) == len(theirs)
    with calling(shop.store, "query", tenant="a"), pytest.raises(Misuse, match="any_tenant"):
        await shop.orders.tenants()


async def test_a_cursor_of_one_tenant_is_none_of_another(shop: Shop, calling: Any) -> None:
    with calling(shop.store, "query", tenant="a"):
        first = await shop.orders.page(Paging(limit=2))
        assert len((await shop.orders.page(Paging(after=first.next, limit=9))).items) == 3
    with calling(shop.store, "query", tenant="b"), pytest.raises(Invalid):
        await shop.orders.page(Paging(after=first.next, limit=9))


def test_a_field_called_tenant_is_refused() -> None:
    class HouseRow(Row):
        id: Key[str]
        tenant: str

    with pytest.raises(StartError, match="every row has a tenant"):
        spec_of(HouseRow)
