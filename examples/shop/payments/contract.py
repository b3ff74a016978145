"""Payments: takes money from cards, once for each reference."""

from datetime import datetime
from typing import Annotated, Protocol

from enfilade import Message, Meta, Money, Problem, Sensitive, command, contract, peers

Card = Annotated[str, Meta(pattern="^tok_[a-z0-9_]+$", max_length=64, examples=["tok_visa"])]
"""A card as the payment provider's form in the browser names it. Card numbers never come here."""


class Payment(Message):
    """Money that was taken."""

    reference: str
    charge: str
    """The provider's own id of it."""
    amount: Money
    at: datetime


class Declined(Problem, status=402):
    """The card's bank said no. Nothing was taken."""

    reason: str


@contract(owner="checkout", version=1, needs=peers)
class Payments(Protocol):
    @command(raises=[Declined])
    async def charge(self, reference: str, amount: Money, card: Sensitive[Card]) -> Payment:
        """Take money. However often a reference comes, it is charged once."""
        ...
