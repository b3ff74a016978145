"""What the rows say against what the database has, alike on both engines."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from enfilade.contract.marks import Index, Key, Owned, Unique
from enfilade.contract.money import Money
from enfilade.errors import CheckFailed, Taken
from enfilade.store import Change, Row, Store, atomic
from enfilade.store.engine import Statement

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


def row(name: str = "NoteRow", *, fields: dict[str, Any] | None = None, **options: Any) -> type[Row]:
    """A row type of a release, as it would stand in a file."""
    namespace: dict[str, Any] = {"__annotations__": {"id": Key[str]}, "__module__": __name__}
    for field, said in (fields or {"text": str}).items():
        kind, *default = said if isinstance(said, tuple) else (said,)
        namespace["__annotations__"][field] = kind
        if default:
            namespace[field] = default[0]
    return type(Row)(name, (Row,), namespace, **options)


class Release:
    """The same place, release after release."""

    def __init__(self, place: Any) -> None:
        self._place = place
        self._store: Store | None = None

    async def start(self, *rows: type[Row], apply: bool = True, **options: Any) -> tuple[Store, list[Change]]:
        if self._place.engine == "memory" and self._store is not None:
            store = Store(self._store.home)  # nothing would be left of a store in memory that was closed
        else:
            store = await self._place.store(migrate=False)
        self._store = store
        for one in rows:
            store.table(one)
        return store, await store.migrate(apply=apply, **options)


@pytest.fixture
def release(place: Any) -> Release:
    return Release(place)


async def put(store: Store, kind: type[Row], *values: dict[str, Any]) -> None:
    async with store.unit():
        await store.table(kind).put(*(kind(**one) for one in values))


def told(changes: list[Change]) -> list[tuple[str, str, bool]]:
    return [(one.what, one.kind, one.applied) for one in changes]


async def test_tables_are_made_and_then_there_is_nothing_to_do(release: Release) -> None:
    first = row(fields={"text": Unique[str], "at": Index[datetime]}, unique=[("id", "text")], check=["text <> ''"])

    _, shown = await release.start(first, apply=False)
    _, made = await release.start(first)
    _, again = await release.start(first)

    assert [(one.kind, one.applied) for one in shown] == [("additive", False), ("additive", False)]
    assert made[1].what == "create table note"
    assert all(one.applied for one in made)
    assert again == []


async def test_new_fields_get_their_defaults_in_rows_that_are_there(release: Release) -> None:
    old = row()
    store, _ = await release.start(old)
    await put(store, old, {"id": "a", "text": "it's"})
    # fmt: off
    new = row(
        fields={
            "text": str, "count": (int, 3), "yes": (bool, True), "exact": (Decimal, Decimal("1.50")),
            "at": (datetime, NOON), "color": (Color, Color.BLUE), "fee": (Money, Money.of("1.50", "EUR")),
            "tags": (tuple[str, ...], ("x'",)), "raw": (bytes, b"\x00'"), "maybe": int | None,
            "counts": (Mapping[str, int], {}),
        }
    )
    # fmt: on

    store, changes = await release.start(new)

    assert len(changes) == 11
    assert all(one.applied and one.kind == "additive" for one in changes)
    assert await store.table(new).get("a") == new(id="a", text="it's", maybe=None)


async def test_a_required_field_without_a_default_cannot_be_added_to_rows(release: Release) -> None:
    old, new = row(), row(fields={"text": str, "count": int})
    store, _ = await release.start(old)
    await release.start(row(name="OtherRow"), old)
    await put(store, old, {"id": "a", "text": "x"})

    _, changes = await release.start(new, row(name="OtherRow", fields={"text": str, "count": int}), destructive=True)

    assert told(changes) == [
        ("add column note.count", "impossible", False),
        ("add column other.count", "additive", True),
    ]
    assert "give the field a default" in changes[0].remedy


async def test_a_field_that_is_gone_is_dropped_only_when_told(release: Release) -> None:
    old, new = row(fields={"text": str, "more": str}, index=[("more",)]), row()
    store, _ = await release.start(old)
    await put(store, old, {"id": "a", "text": "x", "more": "y"})

    _, refused = await release.start(new)
    store, dropped = await release.start(new, destructive=True)
    _, nothing = await release.start(new)

    assert ("drop column note.more", "destructive", False) in told(refused)
    assert ("drop column note.more", "destructive", True) in told(dropped)
    assert nothing == []
    assert await store.table(new).get("a") == new(id="a", text="x")


async def test_a_row_type_that_is_gone_is_reported_and_its_table_kept(release: Release) -> None:
    other, note = row(name="OtherRow"), row()
    store, _ = await release.start(other, note)
    await put(store, other, {"id": "a", "text": "x"})

    store, reported = await release.start(note)
    _, again = await release.start(note)
    store, _ = await release.start(other, note)
    kept = await store.table(other).count()
    _, dropped = await release.start(note, destructive=True)
    _, nothing = await release.start(note)

    assert told(reported) == [("drop table other, which no row type describes any more", "destructive", False)]
    assert reported[0].needed is False
    assert again == reported
    assert kept == 1
    assert dropped[0].applied
    assert nothing == []


async def test_a_type_is_changed_only_when_told(release: Release) -> None:
    old, new = row(fields={"count": str}), row(fields={"count": int})
    store, _ = await release.start(old)
    await put(store, old, {"id": "a", "count": "42"})

    _, refused = await release.start(new)
    store, changed = await release.start(new, destructive=True)

    assert told(refused) == [("change note.count from text to integer", "destructive", False)]
    assert told(changed) == [("change note.count from text to integer", "destructive", True)]
    assert await store.table(new).get("a") == new(id="a", count=42)


async def test_a_unique_over_values_that_are_there_twice_is_impossible(release: Release) -> None:
    old, new = row(), row(fields={"text": Unique[str]})
    store, _ = await release.start(old)
    await put(store, old, {"id": "a", "text": "x"}, {"id": "b", "text": "x"})

    _, refused = await release.start(new, destructive=True)
    async with store.unit():
        await store.table(old).delete("b")
    store, made = await release.start(new)

    assert told(refused) == [("add unique index note_text_key", "impossible", False)]
    assert "the same text" in refused[0].remedy
    assert told(made) == [("add unique index note_text_key", "additive", True)]
    with pytest.raises(Taken):
        await put_new(store, new, id="c", text="x")


async def put_new(store: Store, kind: type[Row], **values: Any) -> None:
    async with store.unit():
        await store.table(kind).add(kind(**values))


async def test_indexes_come_and_go(release: Release) -> None:
    old, new = (
        row(fields={"text": Unique[str], "at": Index[datetime]}),
        row(fields={"text": Index[str], "at": datetime}),
    )
    await release.start(old)

    store, changes = await release.start(new)
    _, nothing = await release.start(new)

    assert sorted(told(changes)) == [
        ("add index note_text_idx", "additive", True),
        ("drop index note_at_idx", "additive", True),
        ("drop index note_text_key", "additive", True),
    ]
    assert nothing == []
    await put(store, new, {"id": "a", "text": "x", "at": NOON}, {"id": "b", "text": "x", "at": NOON})


async def test_checks_are_changed_where_the_rows_allow_it(release: Release) -> None:
    old, new = row(fields={"count": int}, check=["count < 100"]), row(fields={"count": int}, check=["count < 10"])
    store, _ = await release.start(old)
    await put(store, old, {"id": "a", "count": 50})

    _, refused = await release.start(new)
    await put(store, old, {"id": "a", "count": 5})
    store, changed = await release.start(new)

    assert told(refused) == [("change the checks of note to count < 10", "impossible", False)]
    assert "`count < 10`" in refused[0].remedy
    assert changed[0].applied
    assert await store.table(new).count() == 1
    with pytest.raises(CheckFailed):
        await put(store, new, {"id": "b", "count": 50})


async def test_a_field_becomes_required_where_no_row_lacks_it(release: Release) -> None:
    old, new = row(fields={"text": str | None}), row()
    store, _ = await release.start(old)
    await put(store, old, {"id": "a", "text": None}, {"id": "b", "text": "x"})

    _, refused = await release.start(new, destructive=True)
    _, filled = await release.start(row(fields={"text": (str, "none")}))
    store, back = await release.start(old)

    assert told(refused) == [("make note.text required", "impossible", False)]
    assert told(filled) == [("make note.text required", "additive", True)]
    assert told(back) == [("let note.text be NULL", "additive", True)]
    assert sorted(one.text for one in await store.table(old).find()) == ["none", "x"]


async def test_a_key_cannot_be_changed(release: Release) -> None:
    old, new = row(fields={"text": str}), row(fields={"text": Key[str]})
    await release.start(old)

    _, changes = await release.start(new, destructive=True)

    assert [(one.kind, one.applied) for one in changes] == [("impossible", False)]
    assert "new row type" in changes[0].remedy


async def test_several_changes_at_once_keep_the_rows(release: Release) -> None:
    old = row(fields={"count": str, "gone": (int, 1), "text": str | None})
    new = row(
        fields={"count": int, "text": (str, "t"), "more": (str, "m")}, check=["count >= 0"], index=[("count", "more")]
    )
    store, _ = await release.start(old)
    await put(store, old, {"id": "a", "count": "7", "text": None}, {"id": "b", "count": "8", "text": "x"})

    _, partly = await release.start(new)
    store, changes = await release.start(new, destructive=True)
    _, nothing = await release.start(new)

    assert not all(one.applied for one in partly)
    assert all(one.applied for one in changes)
    assert nothing == []
    assert await store.table(new).find(order="id") == (
        new(id="a", count=7, text="t", more="m"), new(id="b", count=8, text="x", more="m"),
    )  # fmt: skip


async def test_names_that_are_long_or_reserved_are_names_too(release: Release) -> None:
    long = "a_name_that_is_much_longer_than_it_should_ever_be"
    kind = row(name="OrderRow", fields={long: Index[str], "group": Index[str]}, unique=[(long, "group")])

    store, _ = await release.start(kind)
    await put(store, kind, {"id": "a", long: "x", "group": "y"})
    _, nothing = await release.start(kind)

    assert await store.table(kind).count(f"{long} = 'x'") == 1  # type: ignore[arg-type]
    assert nothing == []


async def test_processes_that_start_at_once_make_the_tables_together(place: Any) -> None:
    stores = [await place.store(migrate=False) for _ in range(3)]
    for store in stores:
        store.table(row())

    await asyncio.gather(*(store.migrate(apply=True) for store in stores))

    assert [await store.migrate(apply=True) for store in stores] == [[], [], []]


async def test_rows_from_before_there_were_tenants_are_those_of_the_nameless_one(
    release: Release, calling: Any
) -> None:
    kind = row(fields={"text": Unique[str], "at": Index[datetime], "who": Owned[str]}, check=["text <> ''"])
    store, _ = await release.start(kind)
    await put(store, kind, {"id": "a", "text": "x", "at": NOON, "who": "ann"})
    drops = ["DROP INDEX note_text_key", "DROP INDEX note_at_idx"]
    if store.home.dialect.name == "postgres":
        drops.append("ALTER TABLE note DROP COLUMN tenant CASCADE")
        drops.append("ALTER TABLE note ADD PRIMARY KEY (id)")
    else:
        drops.append("ALTER TABLE note RENAME TO older")
        columns = "id TEXT PRIMARY KEY NOT NULL, text TEXT NOT NULL, at TEXT NOT NULL, who TEXT NOT NULL"
        drops.append(f"CREATE TABLE note ({columns}) STRICT")
        drops.append("INSERT INTO note SELECT id, text, at, who FROM older")
        drops.append("DROP TABLE older")
    drops += ["CREATE UNIQUE INDEX note_text_key ON note (text)", "CREATE INDEX note_at_idx ON note (at)"]
    await store.home.engine.change([Statement(sql, (), "count") for sql in drops])

    _, shown = await release.start(kind, apply=False)
    store, changes = await release.start(kind)
    _, nothing = await release.start(kind)

    what = "give note a tenant, which its key and its indexes begin with; the rows there are get ''"
    assert told(shown) == [(what, "additive", False)]
    assert told(changes) == [(what, "additive", True)]
    assert nothing == []
    with calling(store, tenant="t1"):
        assert await store.table(kind).count() == 0
    await put(store, kind, {"id": "b", "text": "y", "at": NOON, "who": "ann"})
    assert [one.id for one in await store.table(kind).find(order="id")] == ["a", "b"]

    @atomic
    async def add() -> None:
        await store.table(kind).add(kind(id="a", text="x", at=NOON, who="bob"))

    with calling(store, tenant="t1"):
        await add()
        assert await store.database.value(int, "select count(*) from note") == 1
