"""Notifications: tells customers by mail what happens to their orders."""

from datetime import datetime
from typing import Protocol

from enfilade import FIRST, Message, Owner, Page, Paging, contract, query


class Notification(Message):
    """A mail that was sent."""

    id: str
    subject: str
    text: str
    at: datetime


@contract(owner="customers", version=1)
class Notifications(Protocol):
    @query("GET /notifications", needs=Owner)
    async def sent(self, page: Paging = FIRST) -> Page[Notification]:
        """Mails to the caller, the latest first."""
        ...
