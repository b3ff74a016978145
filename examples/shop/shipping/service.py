"""Hands what was ordered to the carrier."""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from enfilade.service import Key, Owned, Row, Table, Topic, atomic, current, on
from shop.carrier.contract import AddressRefused, Carrier
from shop.orders.contract import OrderPlaced
from shop.shipping.contract import (
    Country,
    OrderId,
    OrderShipped,
    Pieces,
    Postcode,
    Quote,
    Shipment,
    Shipping,
    Undeliverable,
    UnknownShipment,
)


class ShipmentRow(Row):
    order_id: Key[str]
    customer: Owned[str]
    tracking: str
    at: datetime


@final
@dataclass
class ShippingService(Shipping):
    carrier: Carrier
    shipments: Table[ShipmentRow]
    shipped: Topic[OrderShipped]

    async def quote(self, country: Country, postcode: Postcode, pieces: Pieces = 1) -> Quote:
        try:
            tariff = await self.carrier.tariff(country, postcode, pieces)
        except AddressRefused as refused:
            raise Undeliverable(reason=refused.reason) from refused
        return Quote(price=tariff.price, days=tariff.days)

    async def shipment(self, order_id: OrderId) -> Shipment:
        row = await self.shipments.get(order_id)
        if row is None:
            raise UnknownShipment()
        return row.into(Shipment)

    @on(OrderPlaced)
    async def ship(self, event: OrderPlaced) -> None:
        """Send it. The carrier knows a parcel by its order, so that a second try is the same parcel."""
        order, to = event.order, event.order.address
        parcel = await self.carrier.send(
            order.id,
            name=to.name,
            street=to.street,
            city=to.city,
            postcode=to.postcode,
            country=to.country,
            pieces=sum(line.quantity for line in order.lines),
        )
        await self._record(
            ShipmentRow(order_id=order.id, customer=event.customer, tracking=parcel.tracking, at=current().now)
        )

    @atomic
    async def _record(self, row: ShipmentRow) -> None:
        await self.shipments.add(row)
        await self.shipped.publish(OrderShipped(shipment=row.into(Shipment), customer=row.customer))
