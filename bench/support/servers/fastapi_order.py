"""The same work in FastAPI on uvicorn, with none of the guards."""

import sys
from decimal import Decimal
from typing import Annotated

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field


class Address(BaseModel):
    street: str
    city: str
    zip: str
    country: str


class Line(BaseModel):
    sku: str
    quantity: Annotated[int, Field(ge=1, le=99)]
    price: Decimal


class NewOrder(BaseModel):
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


class Placed(NewOrder):
    id: str
    total: Decimal


app = FastAPI()


@app.post("/orders", status_code=201)
async def place(order: NewOrder) -> Placed:
    total = sum((line.price * line.quantity for line in order.lines), Decimal(0))
    return Placed(id="ord_1", total=total, **dict(order))


uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools")
