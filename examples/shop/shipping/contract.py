"""Shipping: brings orders to their addresses."""

from datetime import datetime
from typing import Annotated, Protocol

from enfilade import Event, Message, Meta, Money, Owner, Problem, anyone, contract, query

Text = Annotated[str, Meta(pattern=r"^[^\x00-\x1f]+$", max_length=100)]
Postcode = Annotated[str, Meta(pattern="^[A-Za-z0-9 -]+$", max_length=12, examples=["8001"])]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$", examples=["CH"])]
"""ISO 3166-1, two letters."""

Pieces = Annotated[int, Meta(ge=1, le=5_000)]
OrderId = Annotated[str, Meta(pattern=r"^\w+$", max_length=64)]


class Address(Message):
    """Where a parcel goes."""

    name: Text
    street: Text
    city: Text
    postcode: Postcode
    country: Country


class Quote(Message):
    """What it costs to ship, and how long it takes."""

    price: Money
    days: int


class Shipment(Message):
    """A parcel on its way."""

    order_id: str
    tracking: str
    at: datetime


class OrderShipped(Event, key="shipment.order_id"):
    """Said once the carrier has taken the parcel."""

    shipment: Shipment
    customer: str


class Undeliverable(Problem, status=422):
    """The carrier does not go there."""

    reason: str


class UnknownShipment(Problem, status=404):
    """Nothing was shipped for this order yet."""


@contract(owner="fulfilment", version=1)
class Shipping(Protocol):
    @query("GET /shipping/quote", raises=[Undeliverable], needs=anyone)
    async def quote(self, country: Country, postcode: Postcode, pieces: Pieces = 1) -> Quote:
        """What it would cost to ship so many pieces there."""
        ...

    @query("GET /shipments/{order_id}", raises=[UnknownShipment], needs=Owner)
    async def shipment(self, order_id: OrderId) -> Shipment:
        """The parcel of one of the caller's orders."""
        ...
