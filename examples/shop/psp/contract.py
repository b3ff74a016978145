"""Psp: the payment provider. Somebody else's system; this is what we know of it.

It remembers each `Idempotency-Key` and each reference, and charges neither twice.
"""

from typing import Protocol

from enfilade import Message, Money, Problem, Sensitive, command, contract, peers, query


class Charge(Message):
    """Money that was taken from a card."""

    id: str
    reference: str
    amount: Money


class CardDeclined(Problem, status=402):
    """The card's bank refuses the charge."""

    reason: str


class UnknownCharge(Problem, status=404):
    """Nothing was charged under this reference."""


@contract(owner="checkout", version=1, needs=peers)
class Psp(Protocol):
    @command("POST /charges", status=201, raises=[CardDeclined])
    async def charge(self, reference: str, amount: Money, card: Sensitive[str]) -> Charge:
        """Take money from a card."""
        ...

    @query("GET /charges/{reference}", raises=[UnknownCharge])
    async def charged(self, reference: str) -> Charge:
        """What was charged under a reference, for when the answer to `charge` was lost."""
        ...
