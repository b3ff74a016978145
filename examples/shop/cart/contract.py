"""Cart: what a customer means to buy. It holds no prices: those are the catalog's, at the moment of the order."""

from typing import Protocol

from enfilade import Message, Owner, command, contract, query
from shop.catalog.contract import Item, Quantity, Sku, UnknownProduct


class Basket(Message):
    """What lies in the caller's cart, by sku."""

    items: tuple[Item, ...]


@contract(owner="checkout", version=1, needs=Owner)
class Cart(Protocol):
    @query("GET /cart")
    async def basket(self) -> Basket:
        """The caller's cart; everyone has one, empty at first."""
        ...

    @command("PUT /cart/items/{sku}", raises=[UnknownProduct])
    async def put(self, sku: Sku, quantity: Quantity) -> Basket:
        """Let so many of a product be in the cart, however many there were."""
        ...

    @command("DELETE /cart/items/{sku}")
    async def remove(self, sku: Sku) -> None:
        """Take a product out of the cart; nothing happens where it is not in it."""
        ...
