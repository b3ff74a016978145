"""The call that is measured: five fields there, seven and two nested messages back; one for all ways."""

from __future__ import annotations

import time
from typing import Annotated, Protocol, final

import msgspec

from enfilade import Message, Meta, contract, peers, query


class Discount(Message):
    code: str
    amount: float


class Quote(Message):
    sku: str
    currency: str
    unit: float
    total: float
    in_stock: bool
    discounts: tuple[Discount, ...]
    at: int


def quote(sku: str, currency: str, quantity: int) -> Quote:
    discounts = (Discount(code="WELCOME", amount=1.5), Discount(code="VIP", amount=2.0))
    return Quote(
        sku=sku, currency=currency, unit=9.5, total=9.5 * quantity, in_stock=True, discounts=discounts,
        at=time.time_ns(),
    )  # fmt: skip


@contract(needs=peers)
class Pricing(Protocol):
    @query(timeout=300)
    async def quote(
        self,
        sku: Annotated[str, Meta(min_length=1, max_length=40)],
        currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")],
        customer: str,
        quantity: Annotated[int, Meta(ge=1, le=1000)],
        tags: tuple[str, ...],
    ) -> Quote:
        """What a quantity costs."""
        ...


@final
class PricingService(Pricing):
    async def quote(self, sku: str, currency: str, customer: str, quantity: int, tags: tuple[str, ...]) -> Quote:
        return quote(sku, currency, quantity)


ASKED = {
    "sku": "SKU-123456", "currency": "EUR", "customer": "9f1c2d7e-1111-4222-8333-abcdefabcdef", "quantity": 3,
    "tags": ("web", "vip", "eu"),
}  # fmt: skip


class Request(msgspec.Struct):
    """The request for those who have no contract."""

    sku: Annotated[str, Meta(min_length=1, max_length=40)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    customer: str
    quantity: Annotated[int, Meta(ge=1, le=1000)]
    tags: tuple[str, ...]
