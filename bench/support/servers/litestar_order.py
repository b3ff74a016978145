"""The same work in Litestar on uvicorn, with none of the guards."""

import sys
from decimal import Decimal
from typing import Annotated

import msgspec
import uvicorn
from litestar import Litestar, post


class Address(msgspec.Struct):
    street: str
    city: str
    zip: str
    country: str


class Line(msgspec.Struct):
    sku: str
    quantity: Annotated[int, msgspec.Meta(ge=1, le=99)]
    price: Decimal


class NewOrder(msgspec.Struct, kw_only=True):
    customer: str
    email: str
    phone: str
    currency: str
    note: str
    gift: bool
    priority: int
    coupon: str | None
    address: Address
    lines: list[Line]


class Placed(NewOrder, kw_only=True):
    id: str
    total: Decimal


@post("/orders")
async def place(data: NewOrder) -> Placed:
    total = sum((line.price * line.quantity for line in data.lines), Decimal(0))
    return Placed(
        id="ord_1", total=total, customer=data.customer, email=data.email, phone=data.phone, currency=data.currency,
        note=data.note, gift=data.gift, priority=data.priority, coupon=data.coupon, address=data.address,
        lines=data.lines,
    )  # fmt: skip


uvicorn.run(
    Litestar([place]), port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools"
)
