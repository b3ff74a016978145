"""The work in Enfilade, through the whole row: routing, validation, identity, scope, rate, deadline, trace, metrics."""

import os
import sys
from datetime import UTC, datetime
from typing import Annotated, Protocol, final

import uvicorn

from enfilade import App, Body, Message, Meta, Rate, Scope, command, contract
from enfilade.cli.serve import run_until_stopped, serving, signals
from enfilade.config import Config, TraceConfig


class Address(Message):
    street: Annotated[str, Meta(min_length=1, max_length=200)]
    city: Annotated[str, Meta(min_length=1, max_length=100)]
    zip: Annotated[str, Meta(max_length=12)]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]


class Line(Message):
    sku: Annotated[str, Meta(min_length=1, max_length=40)]
    quantity: Annotated[int, Meta(ge=1, le=99)]
    cents: Annotated[int, Meta(ge=0)]


class NewOrder(Message):
    customer: str
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    email: Annotated[str, Meta(max_length=254)]
    priority: Annotated[int, Meta(ge=0, le=9)]
    gift: bool
    note: Annotated[str, Meta(max_length=1000)]
    address: Address
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=100)]
    tags: tuple[str, ...]
    coupon: str | None


class Placed(Message):
    id: str
    customer: str
    currency: str
    total: int
    at: datetime
    gift: bool
    note: str
    address: Address
    lines: tuple[Line, ...]
    tags: tuple[str, ...]


@contract(owner="bench", version=1)
class Orders(Protocol):
    @command("POST /orders", status=201, needs=Scope("orders:write"), rate=Rate("100000000/minute"))
    async def place(self, order: Body[NewOrder]) -> Placed:
        """Place an order."""
        ...


@final
class OrdersService(Orders):
    async def place(self, order: NewOrder) -> Placed:
        total = sum(line.cents * line.quantity for line in order.lines)
        return Placed(
            id="ord_1",
            customer=order.customer,
            currency=order.currency,
            total=total,
            at=datetime.now(UTC),
            gift=order.gift,
            note=order.note,
            address=order.address,
            lines=order.lines,
            tags=order.tags,
        )


config = Config(
    folder=os.environ["BENCH_FOLDER"],
    data="sqlite::memory:",
    codec="never",
    trace=TraceConfig(enabled=os.environ.get("BENCH_TRACE", "on") == "on", file=False),
)
app = App("bench", services=[Orders], config=config)
app.service(Orders).by(OrdersService)


async def serve() -> None:
    """As `enfilade run` does."""
    with signals() as stop:
        async with serving(app, port=int(sys.argv[1])):
            await stop.wait()


if os.environ.get("BENCH_DRIVER") == "asgi":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools")
else:
    run_until_stopped(serve())
