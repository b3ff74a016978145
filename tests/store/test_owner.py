"""Whose rows a call sees: `needs=Owner` and `Owned`, alike on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.contract.marks import Key, Owned, Version
from enfilade.contract.need import AnyOf, Owner, Role, Scope, anyone, signed_in
from enfilade.contract.page import FIRST
from enfilade.errors import Forbidden, NotFound, Stale, Unauthenticated
from enfilade.store import Row, Store, Table, atomic


class DraftRow(Row):
    id: Key[str]
    owner: Owned[str]
    text: str = ""
    version: Version = 0


class TagRow(Row):
    id: Key[str]
    owner: Owned[str]


class Drafts:
    def __init__(self, store: Store) -> None:
        self.drafts: Table[DraftRow] = store.table(DraftRow)
        self.tags: Table[TagRow] = store.table(TagRow)

    @atomic
    async def put(self, row: DraftRow) -> None:
        await self.drafts.put(row)

    @atomic
    async def add(self, row: DraftRow) -> None:
        await self.drafts.add(row)

    @atomic
    async def tag(self, row: TagRow) -> None:
        await self.tags.put(row)

    @atomic
    async def drop(self, id: str) -> bool:
        return await self.drafts.delete(id)

    @atomic
    async def locked(self, *ids: str) -> list[str]:
        return [row.id for row in await self.drafts.lock(*ids)]


@pytest.fixture
async def store(place: Any) -> Store:
    store: Store = await place.store(DraftRow, TagRow)
    async with store.unit():
        rows = (("a1", "ann"), ("a2", "ann"), ("b1", "bob"))
        await store.table(DraftRow).put(*(DraftRow(id=id, owner=owner) for id, owner in rows))
        await store.table(TagRow).add(TagRow(id="t", owner="bob"))
    return store


async def seen(drafts: Table[DraftRow]) -> list[str]:
    """What every way of reading agrees on."""
    found = [row.id for row in await drafts.find(order="id")]
    assert await drafts.count() == len(found)
    assert [row.id for row in (await drafts.page(FIRST)).items] == found
    assert [row.id async for row in drafts.each()] == found
    assert [id for id in ("a1", "a2", "b1") if await drafts.get(id) is not None] == found
    assert await drafts.find("owner = 'bob' or 1 = 1", order="id") == await drafts.find(order="id")
    return found


@pytest.mark.parametrize(
    ("needs", "roles", "ids"),
    [
        (Owner, (), ["a1", "a2"]),
        (Owner & Scope("drafts"), (), ["a1", "a2"]),
        (Role("editor") | Owner, (), ["a1", "a2"]),
        (Role("editor") | Owner, ("editor",), ["a1", "a2", "b1"]),
        (AnyOf((Owner & Scope("drafts"), Role("editor") & Scope("all"))), ("editor",), ["a1", "a2"]),
        (Role("editor") & Owner, ("editor",), ["a1", "a2"]),
        (signed_in, (), ["a1", "a2", "b1"]),
        (anyone, (), ["a1", "a2", "b1"]),
    ],
)
async def test_who_needs_to_be_the_owner_sees_his_rows_alone(
    store: Store, calling: Any, needs: Any, roles: Any, ids: list[str]
) -> None:
    with calling(store, "query", needs=needs, roles=frozenset(roles)):
        assert await seen(store.table(DraftRow)) == ids


async def test_rows_of_others_cannot_be_written(store: Store, calling: Any) -> None:
    drafts = Drafts(store)

    for write, refusal in (
        (lambda: drafts.add(DraftRow(id="x", owner="bob")), Forbidden),
        (lambda: drafts.put(DraftRow(id="b1", owner="bob", text="mine")), Forbidden),
        (lambda: drafts.put(DraftRow(id="b1", owner="ann", text="mine")), NotFound),
        (lambda: drafts.put(DraftRow(id="b1", owner="ann", text="mine", version=5)), NotFound),
        (lambda: drafts.tag(TagRow(id="t", owner="ann")), NotFound),
        (lambda: drafts.put(DraftRow(id="a1", owner="ann", version=5)), Stale),
    ):
        with calling(store, needs=Owner), pytest.raises(refusal):
            await write()
    with calling(store, needs=Owner):
        assert await drafts.drop("b1") is False
    with calling(store, needs=Owner):
        assert await drafts.locked("a1", "b1") == ["a1"]

    assert await store.table(DraftRow).get("b1") == DraftRow(id="b1", owner="bob")
    assert await store.table(TagRow).get("t") == TagRow(id="t", owner="bob")


async def test_own_rows_can_be_written(store: Store, calling: Any) -> None:
    drafts = Drafts(store)

    for write in (
        lambda: drafts.add(DraftRow(id="a3", owner="ann")),
        lambda: drafts.put(DraftRow(id="a1", owner="ann", text="new")),
        lambda: drafts.tag(TagRow(id="t2", owner="ann")),
        lambda: drafts.drop("a2"),
    ):
        with calling(store, needs=Owner):
            await write()

    assert await store.table(DraftRow).get("a1") == DraftRow(id="a1", owner="ann", text="new", version=1)
    assert await store.table(DraftRow).get("a2") is None


async def test_who_is_nobody_owns_nothing(store: Store, calling: Any) -> None:
    with calling(store, "query", needs=Owner, me=""), pytest.raises(Unauthenticated):
        await store.table(DraftRow).find()
