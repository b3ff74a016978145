"""Writes to customers, and keeps what was sent."""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from enfilade import FIRST, Page, Paging
from enfilade.service import Index, Key, Owned, Row, Table, atomic, current, on
from shop.accounts.contract import Accounts, SignedUp
from shop.mail.contract import Mail
from shop.notifications.contract import Notification, Notifications
from shop.orders.contract import Order, OrderPlaced
from shop.shipping.contract import OrderShipped


class NotificationRow(Row):
    id: Key[str]
    customer: Owned[Index[str]]
    subject: str
    text: str
    at: datetime


@final
@dataclass
class NotificationsService(Notifications):
    accounts: Accounts
    mail: Mail
    notifications: Table[NotificationRow]

    async def sent(self, page: Paging = FIRST) -> Page[Notification]:
        rows = await self.notifications.page(page, order="at desc, id desc")
        return Page(items=tuple(row.into(Notification) for row in rows.items), next=rows.next)

    @on(SignedUp)
    async def welcome(self, event: SignedUp) -> None:
        """Greet a new customer."""
        account = event.account
        await self._write(f"welcome-{account.id}", account.id, "Welcome to the shop", "It is good to have you here.")

    @on(OrderPlaced)
    async def thank(self, event: OrderPlaced) -> None:
        """Send the receipt."""
        order = event.order
        await self._write(f"receipt-{order.id}", event.customer, f"Your order {order.id}", receipt(order))

    @on(OrderShipped)
    async def announce(self, event: OrderShipped) -> None:
        """Say that the parcel is on its way."""
        parcel = event.shipment
        text = f"Follow your parcel by its number: {parcel.tracking}"
        await self._write(f"shipped-{parcel.order_id}", event.customer, "Your order is on its way", text)

    async def _write(self, id: str, customer: str, subject: str, text: str) -> None:
        """Send a mail and keep it. The server knows a mail by its id, so that a second try is the same mail."""
        to = await self.accounts.contact(customer)
        text = f"Dear {to.name},\n\n{text}\n\nYour shop\n"
        await self.mail.send(id, to.email, subject, text)
        await self._keep(NotificationRow(id=id, customer=customer, subject=subject, text=text, at=current().now))

    @atomic
    async def _keep(self, row: NotificationRow) -> None:
        await self.notifications.add(row)


def receipt(order: Order) -> str:
    """The lines of an order and its sum, one below the other."""
    rows = [(f"{line.quantity} x {line.name}", line.price * line.quantity) for line in order.lines]
    rows += [("Shipping", order.shipping), ("Total", order.total)]
    return "\n".join(f"{name:<32}{money!s:>16}" for name, money in rows)
