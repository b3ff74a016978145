"""Orders: what customers bought."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

from enfilade import (
    FIRST,
    Event,
    Level,
    Message,
    Meta,
    Money,
    Owner,
    Page,
    Paging,
    Problem,
    Rate,
    Scope,
    Sensitive,
    Version,
    command,
    contract,
    query,
)
from shop.catalog.contract import Item
from shop.currency.contract import CurrencyCode, UnknownCurrency
from shop.inventory.contract import OutOfStock
from shop.payments.contract import Card, Declined
from shop.shipping.contract import Address, OrderId, Undeliverable

Items = Annotated[tuple[Item, ...], Meta(max_length=50)]


class OrderLine(Message):
    """One product of an order, at the price of one piece when it was ordered."""

    sku: str
    name: str
    quantity: int
    price: Money


class Order(Message):
    """An order as the customer sees it: a receipt, and how far it got."""

    id: str
    lines: tuple[OrderLine, ...]
    shipping: Money
    total: Money
    address: Sensitive[Address]
    state: Literal["placed", "shipped"]
    tracking: str
    """The carrier's number of the parcel; empty until it is shipped."""
    at: datetime
    version: Version


class OrderPlaced(Event, key="order.id"):
    """Said once the order is paid and stored."""

    order: Order
    customer: str
    reservation: str
    """What inventory set aside for it."""


class NothingToOrder(Problem, status=422):
    """The order names no items, and the cart is empty."""


class NamedTwice(Problem, status=422):
    """A product stands twice in the order; say once how many."""

    sku: str


class Unsellable(Problem, status=422):
    """The catalog does not sell what was ordered."""

    sku: str


class TooLate(Problem, status=409):
    """The items were set aside too long ago; order again under a new key."""


class UnknownOrder(Problem, status=404):
    """No order of the caller's has this id."""


@contract(owner="checkout", version=1, needs=Owner, level=Level(p99=1.0, availability=0.999))
class Orders(Protocol):
    @command(
        "POST /orders",
        status=201,
        raises=[NothingToOrder, NamedTwice, Unsellable, UnknownCurrency, Undeliverable, OutOfStock, TooLate, Declined],
        needs=Scope("orders:write"),
        rate=Rate("30/minute"),
    )
    async def place(
        self, card: Sensitive[Card], address: Sensitive[Address], currency: CurrencyCode = "USD", items: Items = ()
    ) -> Order:
        """Buy `items`, or what lies in the cart, at the catalog's prices of this moment.

        Send an `Idempotency-Key`: then the same order, sent again because the answer was lost, is bought once.
        """
        ...

    @query("GET /orders")
    async def history(self, page: Paging = FIRST) -> Page[Order]:
        """The caller's orders, the latest first."""
        ...

    @query("GET /orders/{id}", raises=[UnknownOrder])
    async def order(self, id: OrderId) -> Order:
        """One of the caller's orders."""
        ...
