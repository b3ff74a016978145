from collections.abc import AsyncIterator

import pytest

from enfilade.testing import Bench
from shop.cart.contract import Basket, Cart
from shop.cart.service import CartService
from shop.catalog.contract import Catalog, Item, UnknownProduct
from shop.fakes import SmallCatalog, placed


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench(CartService).given(Catalog).by(SmallCatalog()) as bench:
        yield bench


async def test_a_cart_is_empty_at_first(bench: Bench) -> None:
    assert await bench.acting("ann").of(Cart).basket() == Basket(items=())


async def test_put_says_how_many_there_are_not_how_many_more(bench: Bench) -> None:
    cart = bench.acting("ann").of(Cart)
    await cart.put("tea", 3)

    basket = await cart.put("tea", 2)

    assert basket == Basket(items=(Item(sku="tea", quantity=2),))


async def test_what_is_taken_out_is_gone_and_may_be_taken_out_again(bench: Bench) -> None:
    cart = bench.acting("ann").of(Cart)
    await cart.put("tea", 1)

    await cart.remove("tea")
    await cart.remove("tea")

    assert await cart.basket() == Basket(items=())


async def test_everyone_has_his_own_cart(bench: Bench) -> None:
    await bench.acting("ann").of(Cart).put("tea", 1)

    assert await bench.acting("bob").of(Cart).basket() == Basket(items=())


async def test_what_is_not_sold_does_not_go_into_a_cart(bench: Bench) -> None:
    with pytest.raises(UnknownProduct):
        await bench.acting("ann").of(Cart).put("cake", 1)


async def test_what_was_bought_leaves_the_cart_of_its_buyer(bench: Bench) -> None:
    ann, bob = bench.acting("ann").of(Cart), bench.acting("bob").of(Cart)
    for cart in (ann, bob):
        await cart.put("tea", 1)
        await cart.put("cup", 1)

    await bench.hear(placed(customer="ann", tea=1))

    assert [item.sku for item in (await ann.basket()).items] == ["cup"]
    assert [item.sku for item in (await bob.basket()).items] == ["cup", "tea"]
