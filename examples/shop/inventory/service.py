"""Keeps count. What is set aside leaves the shelf at once, and comes back unless it is sold in time."""

from dataclasses import dataclass
from datetime import timedelta
from typing import final

from enfilade import Event
from enfilade.service import Key, Row, Settings, Table, Topic, atomic, current, new_id, on
from shop.catalog.contract import Catalog, Item, Sku
from shop.inventory.contract import Count, Inventory, OutOfStock, Reservation, Stock
from shop.orders.contract import OrderPlaced


class InventorySettings(Settings):
    opening_stock: int = 100
    """Pieces of a product that nobody has counted yet."""
    hold: timedelta = timedelta(minutes=15)
    """How long pieces stay set aside for an order that does not come."""


class StockRow(Row, check=["available >= 0"]):
    sku: Key[str]
    available: int


class HeldRow(Row, check=["quantity > 0"]):
    reservation: Key[str]
    sku: Key[str]
    quantity: int


class ReservationEnds(Event, key="reservation"):
    """Private to this service: the alarm clock of a reservation."""

    reservation: str


@final
@dataclass
class InventoryService(Inventory):
    catalog: Catalog
    shelf: Table[StockRow]
    held: Table[HeldRow]
    alarms: Topic[ReservationEnds]
    settings: InventorySettings

    async def stock(self, sku: Sku) -> Stock:
        await self.catalog.product(sku)
        row = await self.shelf.get(sku)
        return Stock(sku=sku, available=self.settings.opening_stock if row is None else row.available)

    async def recount(self, sku: Sku, available: Count) -> Stock:
        await self.catalog.product(sku)
        return await self._count(StockRow(sku=sku, available=available))

    @atomic
    async def _count(self, row: StockRow) -> Stock:
        await self.shelf.put(row)
        return row.into(Stock)

    @atomic
    async def reserve(self, items: tuple[Item, ...]) -> Reservation:
        id, ends = new_id("res"), current().now + self.settings.hold
        counted = {row.sku: row.available for row in await self.shelf.lock(*(item.sku for item in items))}
        for item in items:
            available = counted.get(item.sku, self.settings.opening_stock)
            if available < item.quantity:
                raise OutOfStock(sku=item.sku, available=available)
            await self.shelf.put(StockRow(sku=item.sku, available=available - item.quantity))
            await self.held.add(HeldRow(reservation=id, sku=item.sku, quantity=item.quantity))
        await self.alarms.publish(ReservationEnds(reservation=id), at=ends)
        return Reservation(id=id, ends=ends)

    @atomic
    async def release(self, reservation: str) -> None:
        await self._give_back(reservation)

    @on(ReservationEnds)
    @atomic
    async def end(self, event: ReservationEnds) -> None:
        """Nobody bought in time."""
        await self._give_back(event.reservation)

    @on(OrderPlaced)
    @atomic
    async def commit(self, event: OrderPlaced) -> None:
        """What was set aside is sold, and comes back no more."""
        await self._take(event.reservation)

    async def _give_back(self, reservation: str) -> None:
        held = {row.sku: row.quantity for row in await self._take(reservation)}
        for row in await self.shelf.lock(*held):
            await self.shelf.put(row.replace(available=row.available + held[row.sku]))

    async def _take(self, reservation: str) -> tuple[HeldRow, ...]:
        """What a reservation still holds: it is over, and holds nothing from now on."""
        rows = await self.held.find("reservation = :reservation", reservation=reservation)
        for row in rows:
            await self.held.delete(reservation, row.sku)
        return rows
