"""Keeps carts; what is bought leaves them."""

from dataclasses import dataclass
from typing import final

from enfilade.service import Key, Owned, Row, Table, atomic, current, on
from shop.cart.contract import Basket, Cart
from shop.catalog.contract import Catalog, Item, Quantity, Sku
from shop.orders.contract import OrderPlaced


class ItemRow(Row, check=["quantity > 0"]):
    customer: Owned[Key[str]]
    sku: Key[str]
    quantity: int


@final
@dataclass
class CartService(Cart):
    catalog: Catalog
    items: Table[ItemRow]

    async def basket(self) -> Basket:
        rows = await self.items.find("customer = :me", me=current().me, order="sku")
        return Basket(items=tuple(row.into(Item) for row in rows))

    async def put(self, sku: Sku, quantity: Quantity) -> Basket:
        await self.catalog.product(sku)
        await self._keep(ItemRow(customer=current().me, sku=sku, quantity=quantity))
        return await self.basket()

    @atomic
    async def _keep(self, row: ItemRow) -> None:
        await self.items.put(row)

    @atomic
    async def remove(self, sku: Sku) -> None:
        await self.items.delete(current().me, sku)

    @on(OrderPlaced)
    @atomic
    async def bought(self, event: OrderPlaced) -> None:
        """What was bought is no longer in the cart."""
        for line in event.order.lines:
            await self.items.delete(event.customer, line.sku)
