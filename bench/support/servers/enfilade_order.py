"""The work in Enfilade, through the whole row: routing, validation, identity, scope, rate, deadline, trace, metrics."""

import os
import sys
from decimal import Decimal
from typing import Annotated, Protocol, final

import uvicorn

from enfilade import App, Body, Message, Meta, Rate, Scope, command, contract
from enfilade.config import Config, TraceConfig


class Address(Message):
    street: str
    city: str
    zip: str
    country: str


class Line(Message):
    sku: str
    quantity: Annotated[int, Meta(ge=1, le=99)]
    price: Decimal


class NewOrder(Message):
    customer: str
    email: str
    phone: str
    currency: str
    note: str
    gift: bool
    priority: int
    coupon: str | None
    address: Address
    lines: tuple[Line, ...]


class Placed(Message):
    id: str
    total: Decimal
    customer: str
    email: str
    phone: str
    currency: str
    note: str
    gift: bool
    priority: int
    coupon: str | None
    address: Address
    lines: tuple[Line, ...]


@contract(owner="bench", version=1)
class Orders(Protocol):
    @command("POST /orders", status=201, needs=Scope("orders:write"), rate=Rate("100000000/minute"))
    async def place(self, order: Body[NewOrder]) -> Placed:
        """Place an order."""
        ...


@final
class OrdersService(Orders):
    async def place(self, order: NewOrder) -> Placed:
        total = sum((line.price * line.quantity for line in order.lines), Decimal(0))
        return Placed(
            id="ord_1", total=total, customer=order.customer, email=order.email, phone=order.phone,
            currency=order.currency, note=order.note, gift=order.gift, priority=order.priority, coupon=order.coupon,
            address=order.address, lines=order.lines,
        )  # fmt: skip


config = Config(
    folder=os.environ["BENCH_FOLDER"],
    data="sqlite::memory:",
    codec="never",
    trace=TraceConfig(enabled=os.environ.get("BENCH_TRACE", "on") == "on", file=False),
)
app = App("bench", services=[Orders], config=config)
app.service(Orders).by(OrdersService)

uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools")
