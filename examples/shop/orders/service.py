"""Places orders: asks everybody, writes once."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, final

from enfilade import FIRST, Money, Page, Paging, Sensitive
from enfilade.service import Index, Key, Owned, Row, Table, Topic, Version, atomic, current, new_id, on
from shop.cart.contract import Cart
from shop.catalog.contract import Catalog, Item, UnknownProduct
from shop.currency.contract import Currency, CurrencyCode
from shop.inventory.contract import Inventory
from shop.orders.contract import (
    Items,
    NamedTwice,
    NothingToOrder,
    Order,
    OrderLine,
    OrderPlaced,
    Orders,
    TooLate,
    UnknownOrder,
    Unsellable,
)
from shop.payments.contract import Card, Declined, Payments
from shop.shipping.contract import Address, OrderId, OrderShipped, Shipping


class OrderRow(Row):
    id: Key[str]
    customer: Owned[Index[str]]
    lines: tuple[OrderLine, ...]
    shipping: Money
    total: Money
    address: Address
    state: Literal["placed", "shipped"] = "placed"
    tracking: str = ""
    at: datetime
    version: Version = 0


@final
@dataclass
class OrdersService(Orders):
    cart: Cart
    catalog: Catalog
    currency: Currency
    inventory: Inventory
    payments: Payments
    shipping: Shipping
    orders: Table[OrderRow]
    placed: Topic[OrderPlaced]

    async def place(
        self, card: Sensitive[Card], address: Sensitive[Address], currency: CurrencyCode = "USD", items: Items = ()
    ) -> Order:
        wanted = items or (await self.cart.basket()).items
        if not wanted:
            raise NothingToOrder()
        for sku, times in Counter(item.sku for item in wanted).items():
            if times > 1:
                raise NamedTwice(sku=sku)
        lines = tuple([await self._line(item, currency) for item in wanted])
        shipping = await self._shipping(address, wanted, currency)
        total = sum((line.price * line.quantity for line in lines), shipping)

        # The ids below are their makers', so a place that is repeated under its key asks the same of everybody.
        reservation = await self.inventory.reserve(wanted)
        if reservation.ends <= current().now:
            raise TooLate()
        try:
            await self.payments.charge(reservation.id, total, card)
        except Declined:
            await self.inventory.release(reservation.id)
            raise
        row = OrderRow(
            id=new_id("ord"),
            customer=current().me,
            lines=lines,
            shipping=shipping,
            total=total,
            address=address,
            at=current().now,
        )
        return await self._record(row, reservation.id)

    async def _line(self, item: Item, currency: str) -> OrderLine:
        try:
            product = await self.catalog.product(item.sku)
        except UnknownProduct as unknown:
            raise Unsellable(sku=item.sku) from unknown
        price = await self.currency.convert(product.price, currency)
        return OrderLine(sku=item.sku, name=product.name, quantity=item.quantity, price=price)

    async def _shipping(self, address: Address, items: tuple[Item, ...], currency: str) -> Money:
        pieces = sum(item.quantity for item in items)
        quote = await self.shipping.quote(address.country, address.postcode, pieces)
        return await self.currency.convert(quote.price, currency)

    @atomic
    async def _record(self, row: OrderRow, reservation: str) -> Order:
        order = (await self.orders.add(row)).into(Order)
        await self.placed.publish(OrderPlaced(order=order, customer=row.customer, reservation=reservation))
        return order

    @on(OrderShipped)
    @atomic
    async def on_its_way(self, event: OrderShipped) -> None:
        """The carrier has it."""
        row = await self.orders.get(event.shipment.order_id, lock=True)
        if row is not None:
            await self.orders.put(row.replace(state="shipped", tracking=event.shipment.tracking))

    async def history(self, page: Paging = FIRST) -> Page[Order]:
        rows = await self.orders.page(page, order="id desc")
        return Page(items=tuple(row.into(Order) for row in rows.items), next=rows.next)

    async def order(self, id: OrderId) -> Order:
        row = await self.orders.get(id)
        if row is None:
            raise UnknownOrder()
        return row.into(Order)
