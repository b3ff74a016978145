"""Counts: what was taken of a quota, by all who share the store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from enfilade.store import Window

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def window(who: str = "acme", began: datetime = DAY) -> Window:
    return Window("shop/ai", who, began, began + timedelta(days=1))


async def test_no_more_is_taken_than_the_limit(place: Any) -> None:
    store = await place.store()

    assert await store.counts.take(window(), 60, 100) == (True, 60)
    assert await store.counts.take(window(), 60, 100) == (False, 60)
    assert await store.counts.take(window(), 40, 100) == (True, 100)
    assert await store.counts.take(window("other"), 40, 100) == (True, 40)
    assert await store.counts.take(window(began=DAY + timedelta(days=1)), 40, 100) == (True, 40)


async def test_many_who_take_at_once_take_no_more_together(place: Any) -> None:
    store = await place.store()

    took = await asyncio.gather(*(store.counts.take(window(), 3, 100) for _ in range(50)))

    assert sum(taken for taken, _ in took) == 33
    assert await store.counts.take(window(), 1, 100) == (True, 100)


async def test_what_is_added_may_go_over_the_limit_and_what_is_given_back_can_be_taken_again(place: Any) -> None:
    store = await place.store()
    await store.counts.add([(window(), 120), (window("other"), 5)])

    assert await store.counts.take(window(), 1, 100) == (False, 120)
    await store.counts.add([(window(), -21)])
    assert await store.counts.take(window(), 1, 100) == (True, 100)


async def test_a_count_is_there_after_a_restart_and_forgotten_after_its_window(place: Any) -> None:
    if place.engine == "memory":
        return
    store = await place.store()
    await store.counts.take(window(), 7, 100)
    again = await place.store()

    assert await again.counts.take(window(), 1, 100) == (True, 8)
    assert await again.counts.sweep(DAY + timedelta(days=1)) == 0
    assert await again.counts.sweep(DAY + timedelta(days=1, seconds=1)) == 1
    assert await again.counts.take(window(), 1, 100) == (True, 1)
