"""The same work in FastAPI on uvicorn: with none of the guards, or with those that its users take for them."""

import os
import sys
from datetime import UTC, datetime
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI
from pydantic import BaseModel, Field


class Address(BaseModel):
    street: Annotated[str, Field(min_length=1, max_length=200)]
    city: Annotated[str, Field(min_length=1, max_length=100)]
    zip: Annotated[str, Field(max_length=12)]
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")]


class Line(BaseModel):
    sku: Annotated[str, Field(min_length=1, max_length=40)]
    quantity: Annotated[int, Field(ge=1, le=99)]
    cents: Annotated[int, Field(ge=0)]


class NewOrder(BaseModel):
    customer: str
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    email: Annotated[str, Field(max_length=254)]
    priority: Annotated[int, Field(ge=0, le=9)]
    gift: bool
    note: Annotated[str, Field(max_length=1000)]
    address: Address
    lines: Annotated[list[Line], Field(min_length=1, max_length=100)]
    tags: list[str]
    coupon: str | None


class Placed(BaseModel):
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


app = FastAPI()
guards = []
if os.environ.get("BENCH_GUARDS") == "on":
    from fastapi_guards import allowed, watch

    watch(app)
    guards.append(Depends(allowed))


@app.post("/orders", status_code=201, dependencies=guards)
async def place(order: NewOrder) -> Placed:
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


uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools")
