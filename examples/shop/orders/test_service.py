from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from enfilade import Money, Unavailable
from enfilade.errors import Forbidden
from enfilade.testing import Bench
from shop.cart.contract import Basket, Cart
from shop.catalog.contract import Catalog, Item
from shop.currency.contract import Currency, ExchangeRates
from shop.fakes import ANTARCTICA, HOME, SmallCatalog
from shop.inventory.contract import Inventory, OutOfStock, Reservation, Stock
from shop.orders.contract import (
    NamedTwice,
    NothingToOrder,
    Order,
    OrderPlaced,
    Orders,
    TooLate,
    UnknownOrder,
    Unsellable,
)
from shop.orders.service import OrderRow, OrdersService
from shop.payments.contract import Declined, Payment, Payments
from shop.shipping.contract import OrderShipped, Quote, Shipment, Shipping, Undeliverable, UnknownShipment

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Neighbours:
    """What orders ask of others, in one: a cart, francs at two for a dollar, five pieces of everything."""

    cart: tuple[Item, ...] = ()
    reserved: list[str] = field(default_factory=list[str])
    charged: dict[str, Money] = field(default_factory=dict[str, Money])
    ends: datetime = NOW + timedelta(minutes=15)
    trouble: Exception | None = None
    """What a charge ends with."""

    async def basket(self) -> Basket:
        return Basket(items=self.cart)

    async def put(self, sku: str, quantity: int) -> Basket:
        raise NotImplementedError

    async def remove(self, sku: str) -> None:
        raise NotImplementedError

    async def rates(self) -> ExchangeRates:
        raise NotImplementedError

    async def convert(self, amount: Money, currency: str) -> Money:
        return amount if amount.currency == currency else Money(amount=amount.amount * 2, currency=currency)

    async def stock(self, sku: str) -> Stock:
        raise NotImplementedError

    async def recount(self, sku: str, available: int) -> Stock:
        raise NotImplementedError

    async def reserve(self, items: tuple[Item, ...]) -> Reservation:
        for item in items:
            if item.quantity > 5:
                raise OutOfStock(sku=item.sku, available=5)
        self.reserved.append(f"res_{len(self.reserved) + 1}")
        return Reservation(id=self.reserved[-1], ends=self.ends)

    async def release(self, reservation: str) -> None:
        self.reserved.remove(reservation)

    async def charge(self, reference: str, amount: Money, card: str) -> Payment:
        if self.trouble is not None:
            raise self.trouble
        self.charged[reference] = amount
        return Payment(reference=reference, charge="ch_1", amount=amount, at=NOW)

    async def quote(self, country: str, postcode: str, pieces: int = 1) -> Quote:
        if country == "AQ":
            raise Undeliverable(reason="too cold")
        return Quote(price=Money.of("5.00", "USD"), days=2)

    async def shipment(self, order_id: str) -> Shipment:
        raise UnknownShipment()


@pytest.fixture
def others() -> Neighbours:
    return Neighbours()


@pytest.fixture
async def bench(others: Neighbours) -> AsyncIterator[Bench]:
    bench = Bench(OrdersService).given(Catalog).by(SmallCatalog()).given(Cart).by(others).given(Currency).by(others)
    bench.given(Inventory).by(others).given(Payments).by(others).given(Shipping).by(others)
    async with bench:
        yield bench


async def place(bench: Bench, who: str = "ann", currency: str = "USD", **pieces: int) -> Order:
    items = tuple(Item(sku=sku, quantity=quantity) for sku, quantity in pieces.items())
    orders = bench.acting(who, scopes=["orders:write"]).of(Orders)
    return await orders.place("tok_visa", HOME, currency, items)


async def test_an_order_is_priced_by_the_catalog_and_charged_with_shipping(bench: Bench, others: Neighbours) -> None:
    order = await place(bench, tea=2, cup=1)

    assert [(line.name, line.quantity, line.price) for line in order.lines] == [
        ("Tea", 2, Money.of("4.50", "USD")),
        ("Cup", 1, Money.of("12.00", "USD")),
    ]
    assert order.total == Money.of("26.00", "USD")
    assert others.charged == {"res_1": order.total}
    assert bench.said(OrderPlaced) == (OrderPlaced(order=order, customer="ann", reservation="res_1"),)


async def test_prices_and_shipping_are_in_the_currency_that_is_asked_for(bench: Bench) -> None:
    order = await place(bench, currency="CHF", tea=1)

    assert (order.shipping, order.total) == (Money.of("10.00", "CHF"), Money.of("19.00", "CHF"))


async def test_an_order_without_items_buys_the_cart(bench: Bench, others: Neighbours) -> None:
    others.cart = (Item(sku="tea", quantity=1), Item(sku="cup", quantity=2))

    order = await place(bench)

    assert [(line.sku, line.quantity) for line in order.lines] == [("tea", 1), ("cup", 2)]


async def test_a_product_is_named_once(bench: Bench) -> None:
    orders = bench.acting("ann", scopes=["orders:write"]).of(Orders)

    with pytest.raises(NamedTwice) as refused:
        await orders.place("tok_visa", HOME, items=(Item(sku="tea", quantity=1), Item(sku="tea", quantity=2)))

    assert refused.value.sku == "tea"


async def test_nothing_cannot_be_ordered(bench: Bench) -> None:
    with pytest.raises(NothingToOrder):
        await place(bench)


async def test_what_the_catalog_does_not_sell_cannot_be_ordered(bench: Bench) -> None:
    with pytest.raises(Unsellable) as refused:
        await place(bench, cake=1)

    assert refused.value.sku == "cake"


async def test_an_address_is_refused_before_anything_is_taken(bench: Bench, others: Neighbours) -> None:
    orders = bench.acting("ann", scopes=["orders:write"]).of(Orders)

    with pytest.raises(Undeliverable):
        await orders.place("tok_visa", ANTARCTICA, items=(Item(sku="tea", quantity=1),))

    assert others.reserved == []


async def test_what_is_out_of_stock_is_not_charged(bench: Bench, others: Neighbours) -> None:
    with pytest.raises(OutOfStock):
        await place(bench, tea=6)

    assert others.charged == {}


async def test_a_declined_card_gives_the_stock_back(bench: Bench, others: Neighbours) -> None:
    others.trouble = Declined(reason="insufficient funds")

    with pytest.raises(Declined):
        await place(bench, tea=1)

    assert others.reserved == []
    assert await bench.rows(OrderRow) == ()


async def test_what_may_have_been_charged_stays_reserved(bench: Bench, others: Neighbours) -> None:
    others.trouble = Unavailable("no answer")

    with pytest.raises(Unavailable):
        await place(bench, tea=1)

    assert others.reserved == ["res_1"]


async def test_a_reservation_that_ended_is_not_charged(bench: Bench, others: Neighbours) -> None:
    others.ends = NOW

    with pytest.raises(TooLate):
        await place(bench, tea=1)

    assert others.charged == {}


async def test_placing_takes_the_right_to_place(bench: Bench) -> None:
    with pytest.raises(Forbidden):
        await bench.acting("ann").of(Orders).place("tok_visa", HOME)


async def test_customers_see_their_own_orders_only(bench: Bench) -> None:
    first = await place(bench, who="ann", tea=1)
    second = await place(bench, who="ann", cup=1)
    await place(bench, who="bob", tea=1)
    ann, bob = bench.acting("ann").of(Orders), bench.acting("bob").of(Orders)

    assert (await ann.history()).items == (second, first)
    assert await ann.order(first.id) == first
    with pytest.raises(UnknownOrder):
        await bob.order(first.id)


async def test_a_shipped_order_shows_its_parcel(bench: Bench) -> None:
    order = await place(bench, tea=1)

    await bench.hear(OrderShipped(shipment=Shipment(order_id=order.id, tracking="RP1", at=NOW), customer="ann"))

    shown = await bench.acting("ann").of(Orders).order(order.id)
    assert (shown.state, shown.tracking) == ("shipped", "RP1")
    assert shown.version == order.version + 1
