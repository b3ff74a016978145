import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from enfilade.errors import Forbidden
from enfilade.testing import Bench
from shop.catalog.contract import Catalog, Item, UnknownProduct
from shop.fakes import SmallCatalog, placed
from shop.inventory.contract import Inventory, OutOfStock, Reservation
from shop.inventory.service import HeldRow, InventoryService


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench(InventoryService).given(Catalog).by(SmallCatalog()) as bench:
        await bench.acting("eve", roles=["warehouse"]).of(Inventory).recount("tea", 5)
        yield bench


async def left(bench: Bench, sku: str) -> int:
    return (await bench.nobody.of(Inventory).stock(sku)).available


def items(**pieces: int) -> tuple[Item, ...]:
    return tuple(Item(sku=sku, quantity=quantity) for sku, quantity in pieces.items())


async def test_what_nobody_counted_yet_has_the_opening_stock(bench: Bench) -> None:
    assert await left(bench, "cup") == 100


async def test_what_is_not_sold_has_no_stock(bench: Bench) -> None:
    with pytest.raises(UnknownProduct):
        await bench.nobody.of(Inventory).stock("cake")


async def test_only_the_warehouse_counts(bench: Bench) -> None:
    with pytest.raises(Forbidden):
        await bench.acting("ann").of(Inventory).recount("tea", 9)

    assert await left(bench, "tea") == 5


async def test_reserved_pieces_leave_the_shelf_and_come_back_when_they_are_released(bench: Bench) -> None:
    inventory = bench.of(Inventory)
    reservation = await inventory.reserve(items(tea=2, cup=1))
    assert (await left(bench, "tea"), await left(bench, "cup")) == (3, 99)

    await inventory.release(reservation.id)
    await inventory.release(reservation.id)

    assert (await left(bench, "tea"), await left(bench, "cup")) == (5, 100)


async def test_a_reservation_takes_all_or_nothing(bench: Bench) -> None:
    with pytest.raises(OutOfStock) as refused:
        await bench.of(Inventory).reserve(items(cup=1, tea=6))

    assert (refused.value.sku, refused.value.available) == ("tea", 5)
    assert await left(bench, "cup") == 100


async def test_stock_never_falls_below_zero_however_many_want_it(bench: Bench) -> None:
    asked = [bench.of(Inventory).reserve(items(tea=1)) for _ in range(20)]

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert sum(isinstance(one, Reservation) for one in answers) == 5
    assert sum(isinstance(one, OutOfStock) for one in answers) == 15
    assert await left(bench, "tea") == 0


async def test_a_reservation_that_nobody_pays_ends_by_itself(bench: Bench) -> None:
    await bench.of(Inventory).reserve(items(tea=2))

    await bench.advance(timedelta(minutes=14))
    assert await left(bench, "tea") == 3

    await bench.advance(timedelta(minutes=1))
    assert await left(bench, "tea") == 5


async def test_what_was_sold_does_not_come_back(bench: Bench) -> None:
    reservation = await bench.of(Inventory).reserve(items(tea=2))

    await bench.hear(placed(reservation=reservation.id, tea=2))
    await bench.advance(timedelta(hours=1))

    assert await left(bench, "tea") == 3
    assert await bench.rows(HeldRow) == ()
