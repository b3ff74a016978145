"""SQL of one's own, alike on both engines where the SQL is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from enfilade.contract.marks import Key
from enfilade.contract.message import Message
from enfilade.contract.money import Money
from enfilade.errors import Misuse, Taken, Unauthenticated
from enfilade.store import Row, Store, atomic

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class LineRow(Row):
    entry: Key[str]
    account: Key[str]
    at: datetime
    amount: Money


class Sum(Message):
    account: str
    total: Money
    count: int
    first: datetime
    share: float = 0.5


class Where(Message):
    street: str
    town: str = "Springfield"


class Person(Message):
    name: str
    home: Where
    other: Where | None


@pytest.fixture
async def store(place: Any) -> Store:
    store: Store = await place.store(LineRow)
    async with store.unit():
        await store.table(LineRow).put(
            *(
                LineRow(entry=str(at), account="ab"[at % 2], at=NOON + timedelta(hours=at), amount=Money.of(at, "EUR"))
                for at in range(6)
            )
        )
    return store


async def test_rows_of_an_answer_are_messages(store: Store) -> None:
    sums = await store.database.rows(
        Sum,
        """select account, sum(amount_minor) as total_minor, amount_currency as total_currency,
        count(*) as count, min(at) as first -- :not_a_value
        from line where at >= :since and account in :accounts
        group by account, amount_currency order by account""",
        since=NOON + timedelta(hours=1),
        accounts=("a", "b"),
    )

    assert sums == (
        Sum(account="a", total=Money.of("6.00", "EUR"), count=2, first=NOON + timedelta(hours=2)),
        Sum(account="b", total=Money.of("9.00", "EUR"), count=3, first=NOON + timedelta(hours=1)),
    )


async def test_nested_messages_are_put_together_from_their_columns(store: Store) -> None:
    row = await store.database.row(
        Person,
        """select 'Ann' as name, 'Elm' as home_street, cast(null as text) as other_street,
        cast(null as text) as other_town, 'Shelbyville' as home_town""",
    )

    assert row == Person(name="Ann", home=Where(street="Elm", town="Shelbyville"), other=None)


async def test_one_row_or_value_may_be_missing(store: Store) -> None:
    database = store.database

    assert await database.row(Where, "select entry as street from line where entry = :id", id="9") is None
    assert await database.value(str, "select entry from line where entry = :id", id="9") is None
    assert await database.value(int, "select sum(amount_minor) from line") == 1500
    assert await database.value(Decimal, "select sum(amount_minor) from line") == Decimal(1500)
    assert await database.value(datetime, "select max(at) from line") == NOON + timedelta(hours=5)
    assert await database.value(bool, "select count(*) = 6 from line") is True


async def test_what_a_message_does_not_have_is_told(store: Store) -> None:
    with pytest.raises(
        Misuse, match=r"no column total_minor.*a column sum_minor too many.*total_minor, total_currency"
    ):
        await store.database.rows(
            Sum,
            """select account, amount_minor as sum_minor, amount_currency as total_currency, 1 as count, at as first
            from line""",
        )


async def test_the_moment_and_the_caller_are_always_there(store: Store, calling: Any) -> None:
    with calling(store, "query", me="ann"):
        assert await store.database.value(int, "select count(*) from line where at < :now") == 6
        assert await store.database.value(int, "select count(*) from line where account <> :me") == 6
        assert await store.database.value(int, "select count(*) from line where account <> :tenant") == 6
    with calling(store, "query", me=""), pytest.raises(Unauthenticated):
        await store.database.value(int, "select count(*) from line where account <> :me")


async def test_statements_change_rows_within_a_unit(store: Store, run: Any) -> None:
    async def work() -> int:
        changed = await store.database.run(
            "update line set amount_minor = amount_minor + :more where account = :a", more=1, a="a"
        )
        assert await store.database.value(int, "select sum(amount_minor) from line") == 1503
        return changed

    assert await run(store, work) == 3
    assert await store.database.value(int, "select sum(amount_minor) from line") == 1503


async def test_a_value_that_is_taken_ends_the_unit(store: Store, run: Any) -> None:
    async def work() -> None:
        await store.database.run("insert into line select * from line")

    with pytest.raises(Taken):
        await run(store, work)


@pytest.mark.parametrize("sql", ["commit", "ROLLBACK;", "savepoint x", "pragma synchronous = off", "set x = 1"])
async def test_the_unit_is_not_ended_by_sql(store: Store, run: Any, sql: Any) -> None:
    with pytest.raises(Misuse, match="begun and ended by @atomic"):
        await run(store, lambda: store.database.run(sql))


async def test_a_mistake_in_sql_says_what(store: Store) -> None:
    with pytest.raises(Misuse, match="no_such_table"):
        await store.database.value(int, "select 1 from no_such_table")
    with pytest.raises(Misuse, match=":since"):
        await store.database.value(int, "select count(*) from line where at > :since")


async def test_a_query_reads_in_its_snapshot(store: Store, calling: Any) -> None:
    @atomic
    async def both() -> int | None:
        return await store.database.value(int, "select count(*) from line")

    with calling(store, "query"):
        assert await both() == 6
