"""What comes back beside an answer: what a call spent of its caller's budgets, and fields for its caller's answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from enfilade.errors import Misuse
from enfilade.guard.meters.tab import Tab


class Purse(Tab):
    """Counts tokens and cents, and remembers."""

    __slots__ = ("spent",)
    units = frozenset({"tokens", "EUR"})  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.spent: list[tuple[int, str]] = []

    def spend(self, amount: int, unit: str) -> None:
        self.spent.append((amount, unit))


@pytest.fixture
def purse() -> Purse:
    return Purse()


async def test_what_a_call_spends_there_is_taken_of_the_budget_here(world: Any, purse: Purse) -> None:
    async with world.catalog():
        await world.ask(tab=purse).costs(1234, "tokens")
        await world.ask(tab=purse).costs(250, "EUR")
        await world.ask(tab=purse).costs(5, "words")  # which no meter counts

        assert purse.spent == [(1234, "tokens"), (250, "EUR"), (5, "words")]


async def test_a_call_that_is_refused_has_spent_what_it_spent(world: Any, purse: Purse, kinds: Any) -> None:
    async with world.catalog():
        with pytest.raises(kinds.unsold):
            await world.ask(tab=purse).costs(7, "tokens", fail="tea")
        with pytest.raises(kinds.unsold):
            [one async for one in world.ask(tab=purse).billed(3, fail="tea")]

        assert purse.spent == [(7, "tokens"), (3, "tokens")]


async def test_a_stream_tells_at_its_end_what_it_spent(world: Any, purse: Purse) -> None:
    async with world.catalog():
        assert [one async for one in world.ask(tab=purse).billed(5)] == [0, 1, 2, 3, 4]
        assert purse.spent == [(5, "tokens")]


async def test_the_wrong_currency_is_told_where_it_is_spent(
    world: Any, purse: Purse, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.catalog():
        with pytest.raises(Exception, match=r"catalog\.costs failed"):
            await world.ask(tab=purse).costs(7, "USD")

        assert any(one.exc_info and isinstance(one.exc_info[1], Misuse) for one in caplog.records)
        assert purse.spent == []


async def test_without_a_budget_nothing_is_told(world: Any) -> None:
    async with world.catalog():
        await world.ask().costs(7, "USD")


@pytest.mark.parametrize("said", ["plain", "é \x7f 漢 😀", 'with "quotes" \\ and\nlines'])
async def test_fields_that_are_said_there_are_in_the_answer_here(world: Any, kinds: Any, said: str) -> None:
    calls: list[Any] = []

    async with world.catalog():
        await world.watched(calls).costs(1, "tokens", said)
        with pytest.raises(kinds.unsold):
            await world.watched(calls).costs(1, "tokens", said, fail="tea")
        await world.watched(calls).load(said, pieces())

        assert [one.reply_fields for one in calls] == [{"Said": said}] * 3


async def pieces() -> AsyncGenerator[bytes]:
    yield b"one"
    yield b"two"
