"""Inventory: how many of each product are left. Never fewer than none."""

from datetime import datetime
from typing import Annotated, Protocol

from enfilade import Message, Meta, Problem, Role, anyone, command, contract, peers, query
from shop.catalog.contract import Item, Sku, UnknownProduct

Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Stock(Message):
    """What can be bought of a product now; reserved pieces are not in it."""

    sku: str
    available: int


class Reservation(Message):
    """Pieces set aside for one order. Unless they are sold before it ends, they go back by themselves."""

    id: str
    ends: datetime


class OutOfStock(Problem, status=409):
    """There are not so many left."""

    sku: str
    available: int


@contract(owner="fulfilment", version=1, needs=peers)
class Inventory(Protocol):
    @query("GET /inventory/{sku}", raises=[UnknownProduct], needs=anyone)
    async def stock(self, sku: Sku) -> Stock:
        """How many can be bought now."""
        ...

    @command("PUT /inventory/{sku}", raises=[UnknownProduct], needs=Role("warehouse"))
    async def recount(self, sku: Sku, available: Count) -> Stock:
        """Say how many there are, after a count or a delivery."""
        ...

    @command(raises=[OutOfStock])
    async def reserve(self, items: tuple[Item, ...]) -> Reservation:
        """Set pieces aside: all of them, or none. Each sku stands once in `items`."""
        ...

    @command(idempotent=True)
    async def release(self, reservation: str) -> None:
        """Give back what a reservation still holds."""
        ...
