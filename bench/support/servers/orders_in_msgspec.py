"""The order in msgspec's own structs, and the work that is done for it."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec


class Address(msgspec.Struct):
    street: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    city: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    zip: Annotated[str, msgspec.Meta(max_length=12)]
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]


class Line(msgspec.Struct):
    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=99)]
    cents: Annotated[int, msgspec.Meta(ge=0)]


class NewOrder(msgspec.Struct):
    customer: str
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    email: Annotated[str, msgspec.Meta(max_length=254)]
    priority: Annotated[int, msgspec.Meta(ge=0, le=9)]
    gift: bool
    note: Annotated[str, msgspec.Meta(max_length=1000)]
    address: Address
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=100)]
    tags: list[str]
    coupon: str | None


class Placed(msgspec.Struct):
    id: str
    customer: str
    currency: str
    total: int
    at: datetime
    gift: bool
    note: str
    address: Address
    lines: list[Line]
    tags: list[str]


def placed(data: NewOrder) -> Placed:
    total = sum(line.cents * line.quantity for line in data.lines)
    return Placed(
        id="ord_1",
        customer=data.customer,
        currency=data.currency,
        total=total,
        at=datetime.now(UTC),
        gift=data.gift,
        note=data.note,
        address=data.address,
        lines=data.lines,
        tags=data.tags,
    )
