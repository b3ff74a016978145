"""Carrier: the parcel service. Somebody else's system; this is what we know of it."""

from typing import Protocol

from enfilade import Message, Money, Problem, command, contract, peers, query


class Tariff(Message):
    """What a parcel costs, and how many days it takes."""

    price: Money
    days: int


class Parcel(Message):
    """A parcel that was taken in."""

    reference: str
    tracking: str


class AddressRefused(Problem, status=422):
    """The carrier does not deliver there."""

    reason: str


@contract(owner="fulfilment", version=1, needs=peers)
class Carrier(Protocol):
    @query("GET /tariff", raises=[AddressRefused])
    async def tariff(self, country: str, postcode: str, pieces: int) -> Tariff:
        """What it costs to send so many pieces there."""
        ...

    @command("PUT /parcels/{reference}", raises=[AddressRefused])
    async def send(
        self, reference: str, name: str, street: str, city: str, postcode: str, country: str, pieces: int
    ) -> Parcel:
        """Hand a parcel in. The same reference is the same parcel."""
        ...
