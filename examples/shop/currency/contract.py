"""Currency: what an amount is worth in another currency."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Protocol

from enfilade import Level, Message, Meta, Money, Problem, anyone, contract, peers, query

CurrencyCode = Annotated[str, Meta(pattern="^[A-Z]{3}$", examples=["EUR"])]
"""ISO 4217."""


class ExchangeRates(Message):
    """Units of each currency that one unit of `base` buys."""

    base: str
    rates: Mapping[str, Decimal]


class UnknownCurrency(Problem, status=422):
    """The shop has no exchange rate for this currency."""

    currency: str


@contract(owner="checkout", version=1, needs=peers, level=Level(p99=0.05, availability=0.9995))
class Currency(Protocol):
    @query("GET /currencies", needs=anyone)
    async def rates(self) -> ExchangeRates:
        """The currencies that can be paid in, and their rates."""
        ...

    @query(raises=[UnknownCurrency])
    async def convert(self, amount: Money, currency: CurrencyCode) -> Money:
        """The amount in another currency, exact to its smallest coin; half a coin goes to the even one."""
        ...
