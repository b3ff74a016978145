"""A call that is only tried leaves nothing in the store, and is told what a real one would be told."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from enfilade.errors import InRehearsal, Misuse, Taken
from enfilade.service import Key, Row, Unique, atomic
from enfilade.store.blobs import MemoryBlobs
from enfilade.store.outbox import Entry


class Cup(Row):
    id: Key[str]
    name: Unique[str]


async def test_what_a_rehearsal_writes_is_read_within_its_unit_of_work_and_gone_after_it(
    place: Any, calling: Any
) -> None:
    store = await place.store(Cup)
    cups = store.table(Cup)

    @atomic
    async def add() -> int:
        await cups.add(Cup(id="1", name="red"))
        return await cups.count()

    with calling(store) as call:
        call.rehearsal = True
        counted = await add()

    assert counted == 1
    with calling(store, "query"):
        assert await cups.count() == 0


async def test_an_event_of_a_rehearsal_is_not_said(place: Any, calling: Any) -> None:
    store = await place.store(Cup)
    rung: list[None] = []
    store.home.listeners.append(lambda: rung.append(None))

    @atomic
    async def say() -> None:
        entry = Entry(id="1", topic="cups.Broke", source="shop", at=store.home.clock.now(), body=b"{}")
        await store.outbox.add(entry)

    with calling(store) as call:
        call.rehearsal = True
        await say()

    assert rung == []
    assert await store.outbox.due(store.home.clock.now(), 10) == ()


async def test_a_rehearsal_is_refused_what_a_real_call_is(place: Any, calling: Any) -> None:
    store = await place.store(Cup)
    cups = store.table(Cup)

    @atomic
    async def add(id: str) -> None:
        await cups.add(Cup(id=id, name="red"))

    with calling(store):
        await add("1")
    with calling(store) as call, pytest.raises(Taken):
        call.rehearsal = True
        await add("2")
    with calling(store) as call, pytest.raises(Misuse, match="second unit of work"):
        call.rehearsal = True
        with pytest.raises(Taken):
            await add("2")
        call.commits = 1
        await add("2")


async def test_a_rehearsal_makes_no_file_and_takes_none_away(calling: Any) -> None:
    blobs = MemoryBlobs()

    async def bytes_() -> AsyncGenerator[bytes]:
        yield b"tea"

    with calling(None):
        kept = await blobs.put(bytes_())
    with calling(None) as call:
        call.rehearsal = True
        with pytest.raises(InRehearsal, match=r"shop\.do is only rehearsed: a blob could not be undone"):
            await blobs.put(bytes_())
        with pytest.raises(InRehearsal):
            await blobs.drop(kept)

        assert [piece async for piece in blobs.open(kept)] == [b"tea"]
