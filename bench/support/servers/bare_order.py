"""The least that uvicorn and msgspec can take for it: no routing, no errors, no guards."""

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import uvicorn


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


decode = msgspec.json.Decoder(NewOrder).decode
encode = msgspec.json.Encoder().encode


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return
    data = decode((await receive())["body"])
    total = sum(line.cents * line.quantity for line in data.lines)
    placed = Placed(
        id="ord_1", customer=data.customer, currency=data.currency, total=total, at=datetime.now(UTC), gift=data.gift,
        note=data.note, address=data.address, lines=data.lines, tags=data.tags,
    )  # fmt: skip
    body = encode(placed)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})


uvicorn.run(
    app, port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off", loop="uvloop", http="httptools"
)
