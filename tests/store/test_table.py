"""Tables, alike on both engines."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import pytest

from enfilade.contract.marks import Index, Key, Unique, Version
from enfilade.contract.message import Message
from enfilade.contract.money import Money
from enfilade.contract.page import FIRST, Paging
from enfilade.errors import CheckFailed, Invalid, Misuse, Stale, StartError, Taken
from enfilade.store import Row, Table, where

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(Message):
    street: str
    zip: str | None = None


class Card(Message, tag="card"):
    number: str


class Cash(Message, tag="cash"):
    till: int


class AccountRow(Row, unique=[("bank", "number")], check=["free >= 0"]):
    id: Key[str]
    bank: str = "b"
    number: int = 0
    free: int = 0
    version: Version = 0


class LineRow(Row, index=[("account", "at")]):
    entry: Key[str]
    account: Key[int]
    at: datetime = NOON
    note: str | None = None


class AllRow(Row):
    id: Key[UUID]
    text: Unique[str]
    whole: int
    part: float
    yes: bool
    raw: bytes
    exact: Decimal
    at: Index[datetime]
    day: date
    hour: time
    long: timedelta
    color: Color
    state: Literal["open", "closed"]
    price: Money
    fee: Money | None
    home: Address
    other: Address | None
    paid: Card | Cash
    tags: tuple[str, ...]
    counts: Mapping[str, int]
    maybe: int | None
    order: str


ALL = AllRow(
    id=UUID(int=7), text="It's 100 % \"fine\" — naïve", whole=2**62, part=0.1, yes=True, raw=b"\x00\xff",
    exact=Decimal("12345678901234567890.10"), at=NOON + timedelta(microseconds=5), day=date(2026, 1, 31),
    hour=time(23, 59, 59, 7, tzinfo=UTC), long=timedelta(days=3, microseconds=1), color=Color.BLUE, state="closed",
    price=Money.of("12.34", "EUR"), fee=None, home=Address(street="Elm"), other=Address(street="Oak", zip="1"),
    paid=Cash(till=3), tags=("a", "b"), counts={"x": 1}, maybe=None, order="reserved word",
)  # fmt: skip


async def test_a_row_comes_back_as_it_was_stored(place: Any, run: Any) -> None:
    store = await place.store(AllRow)
    table = store.table(AllRow)

    await run(store, lambda: table.add(ALL))

    assert await table.get(ALL.id) == ALL
    assert await table.find("at = :at and yes = :yes and exact = :exact", at=ALL.at, yes=True, exact=ALL.exact) == (
        ALL,
    )
    assert await table.find("color = :color and price_minor = 1234 and fee_minor is null", color=Color.BLUE) == (ALL,)


async def test_a_key_of_two_columns_names_a_row(place: Any, run: Any) -> None:
    store = await place.store(LineRow)
    lines = store.table(LineRow)
    await run(store, lambda: lines.put(LineRow(entry="a", account=1), LineRow(entry="a", account=2, note="x")))

    found = await lines.get("a", 2)

    assert found is not None
    assert found.note == "x"
    assert await lines.get("a", 3) is None
    with pytest.raises(Misuse, match="entry, account"):
        await lines.get("a")


async def test_a_value_that_is_taken_can_be_caught_and_the_unit_goes_on(place: Any, run: Any) -> None:
    store = await place.store(AccountRow)
    accounts = store.table(AccountRow)
    taken: list[tuple[str, ...]] = []

    async def work() -> None:
        await accounts.add(AccountRow(id="a", number=1))
        for row in (AccountRow(id="a", number=2), AccountRow(id="b", number=1)):
            try:
                await accounts.add(row)
            except Taken as error:
                taken.append(error.on)
        await accounts.add(AccountRow(id="c", number=3))
        try:
            await accounts.put(AccountRow(id="d", number=4), AccountRow(id="c", number=1))
        except Taken as error:
            taken.append(error.on)
        await accounts.add(AccountRow(id="e", number=5))

    await run(store, work)

    assert taken == [("id",), ("bank", "number"), ("bank", "number")]
    assert [row.id for row in await accounts.find(order="id")] == ["a", "c", "e"]


async def test_a_row_that_was_changed_meanwhile_is_stale(place: Any, run: Any) -> None:
    store = await place.store(AccountRow)
    accounts = store.table(AccountRow)
    first = await run(store, lambda: accounts.add(AccountRow(id="a", number=1)))
    (second,) = await run(store, lambda: accounts.put(first.replace(free=1)))

    async def late() -> str:
        try:
            await accounts.put(AccountRow(id="x", number=9), first.replace(free=2))
        except Stale:
            await accounts.put(second.replace(free=3))
            return "caught"
        return "not stale"

    assert (first.version, second.version) == (0, 1)
    assert await run(store, late) == "caught"
    assert await accounts.get("a") == second.replace(free=3, version=2)
    assert await accounts.get("x") is None
    await run(store, lambda: accounts.delete("a"))
    with pytest.raises(Stale):
        await run(store, lambda: accounts.put(second))


async def test_put_stores_a_row_that_is_new_and_one_that_is_not(place: Any, run: Any) -> None:
    store = await place.store(LineRow)
    lines = store.table(LineRow)
    row = LineRow(entry="a", account=1)

    async def work() -> None:
        assert await lines.put(row) == (row,)
        assert await lines.put(row.replace(note="y"), row.replace(account=2)) == (
            row.replace(note="y"), row.replace(account=2),
        )  # fmt: skip
        assert await lines.put() == ()

    await run(store, work)

    assert await lines.count("note = :note", note="y") == 1
    assert await lines.count() == 2
    assert await run(store, lambda: lines.delete("a", 2)) is True
    assert await run(store, lambda: lines.delete("a", 2)) is False


async def test_a_check_that_fails_ends_the_unit_of_work(place: Any, run: Any) -> None:
    store = await place.store(AccountRow)
    accounts = store.table(AccountRow)
    await run(store, lambda: accounts.add(AccountRow(id="a", number=1, free=5)))

    async def work(catch: bool) -> None:
        await accounts.add(AccountRow(id="b", number=2))
        try:
            await store.database.run("update account set free = free - 9 where id = 'a'")
        except CheckFailed:
            if not catch:
                raise

    with pytest.raises(CheckFailed):
        await run(store, lambda: work(catch=False))
    with pytest.raises(Misuse, match="can be caught"):
        await run(store, lambda: work(catch=True))
    assert [row.id for row in await accounts.find()] == ["a"]


async def test_conditions_are_put_together_and_their_values_are_bound(place: Any, run: Any) -> None:
    store = await place.store(AccountRow)
    accounts = store.table(AccountRow)
    await run(
        store,
        lambda: accounts.put(
            *(AccountRow(id=f"{name}'; drop table account; --", number=at) for at, name in enumerate("abcdef"))
        ),
    )
    names = [f"{name}'; drop table account; --" for name in "bcd"]

    assert [row.number for row in await accounts.find(where("id IN ?", names), order="number")] == [1, 2, 3]
    assert [row.number for row in await accounts.find("id not in :names", order="number desc", names=names)] == [
        5,
        4,
        0,
    ]
    assert await accounts.find(where("id IN ?", ())) == ()
    conditions = [where("number > ?", 1), where("number < ?", 5)]
    assert [row.number for row in await accounts.find(*conditions, order="number desc", limit=2)] == [4, 3]
    assert await accounts.count(*conditions, "bank = ':name' or bank = :bank", bank="b") == 3


@pytest.mark.parametrize(
    ("conditions", "values", "message"),
    [
        (("number = :number",), {}, "`:number` has no value"),
        (("number = 1",), {"number": 1}, "does not have :number"),
        ((where("number = ?"),), {}, "more `\\?`"),
        ((where("number = 1", 2),), {}, "fewer `\\?`"),
        (("id = :id",), {"id": ("a", "b")}, "write `IN :id`"),
        (("id IN :id",), {"id": "abc"}, "takes a tuple"),
        (("numbr = 1",), {}, "numbr"),
    ],
)
async def test_a_condition_that_cannot_be_meant_says_why(
    place: Any, conditions: Any, values: dict[str, Any], message: str
) -> None:
    store = await place.store(AccountRow)

    with pytest.raises(Misuse, match=message):
        await store.table(AccountRow).find(*conditions, **values)


async def test_text_is_ordered_by_code_points_and_null_comes_first(place: Any, run: Any) -> None:
    store = await place.store(LineRow)
    lines = store.table(LineRow)
    notes = ["b", "B", "a", "ä", None]
    await run(store, lambda: lines.put(*(LineRow(entry=str(at), account=at, note=one) for at, one in enumerate(notes))))

    assert [row.note for row in await lines.find(order="note")] == [None, "B", "a", "b", "ä"]
    assert [row.note for row in await lines.find(order="note desc, entry")] == ["ä", "b", "a", "B", None]


async def test_pages_go_through_all_rows_once(place: Any, run: Any, calling: Any) -> None:
    store = await place.store(AccountRow)
    accounts = store.table(AccountRow)
    await run(store, lambda: accounts.put(*(AccountRow(id=f"{at:02}", number=at, free=at % 3) for at in range(20))))

    async def walk(order: Any) -> list[str]:
        found: list[str] = []
        paging = Paging(limit=6)
        while True:
            page = await accounts.page(paging, "number < :most", order=order, most=18)
            found += [row.id for row in page.items]
            if not page.next:
                return found
            paging = Paging(after=page.next, limit=6)

    with calling(store, "query"):
        up = await walk("free, number desc")
        down = await walk("free desc")

    assert up == [f"{at:02}" for at in sorted(range(18), key=lambda at: (at % 3, -at))]
    assert down == [f"{at:02}" for at in sorted(range(18), key=lambda at: (-(at % 3), -at))]


async def test_a_cursor_is_good_for_its_own_query_and_caller_only(place: Any, run: Any, calling: Any) -> None:
    store = await place.store(LineRow)
    lines = store.table(LineRow)
    await run(store, lambda: lines.put(*(LineRow(entry="a", account=at) for at in range(5))))

    async def page(after: str, account: int = 0, order: Any = "at", **call: Any) -> int:
        with calling(store, "query", **call):
            found = await lines.page(Paging(after=after, limit=2), "account >= :a", order=order, a=account)
            return len(found.items)

    with calling(store, "query"):
        first = await lines.page(Paging(limit=2), "account >= :a", order="at", a=0)
    good = first.next
    flipped = good[:-1] + ("A" if good[-1] != "A" else "B")

    assert await page(good) == 2
    for after, options in [
        (flipped, {}), ("x" * 5000, {}), ("ä\ud800", {}), ("0", {}), (good, {"me": "bob"}), (good, {"name": "other"}),
        (good, {"account": 1}), (good, {"order": "at desc"}),
    ]:  # fmt: skip
        with pytest.raises(Invalid) as refused:
            await page(after, **options)
        assert refused.value.errors[0].parameter == "after"


async def test_pages_are_ordered_by_columns_that_are_never_null(place: Any) -> None:
    lines: Table[LineRow] = (await place.store(LineRow)).table(LineRow)

    with pytest.raises(Misuse, match="may be NULL"):
        await lines.page(FIRST, order="note")
    with pytest.raises(Misuse, match="ordered by columns"):
        await lines.page(FIRST, order="lower(entry)")


async def test_each_reads_all_rows_in_batches(place: Any, run: Any) -> None:
    store = await place.store(AccountRow)
    accounts = store.table(AccountRow)
    await run(store, lambda: accounts.put(*(AccountRow(id=f"{at:04}", number=at) for at in range(1203))))

    numbers = [row.number async for row in accounts.each("number >= :least", order="number desc", least=1)]

    assert numbers == list(range(1202, 0, -1))


async def test_a_row_type_that_cannot_be_stored_says_all_that_is_wrong(place: Any) -> None:
    class WrongRow(Row, unique=[("nmae",)]):
        name: str
        tags: list[str]
        both: Address | int

    store = await place.store()

    with pytest.raises(StartError) as refused:
        store.table(WrongRow)
    told = str(refused.value)
    assert "test_table.py" in told
    assert "tags: list" in told

    class NoKeyRow(Row, unique=[("nmae",)]):
        name: str
        one: Version = 0
        two: Version = 0

    with pytest.raises(StartError) as refused:
        store.table(NoKeyRow)
    told = str(refused.value)
    assert all(word in told for word in ("no key", "nmae", "one, two"))


async def test_two_row_types_cannot_share_a_table(place: Any) -> None:
    def other() -> type[Row]:
        class AccountRow(Row):
            id: Key[str]

        return AccountRow

    store = await place.store(AccountRow)

    with pytest.raises(StartError, match="both want the table account"):
        store.table(other())
