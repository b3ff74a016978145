"""Converts by the rates of a file that is released with the shop."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import final

from enfilade import Money
from enfilade.contract.codec import codec
from enfilade.contract.money import rounded
from shop.currency.contract import Currency, CurrencyCode, ExchangeRates, UnknownCurrency

_FILE = Path(__file__).with_name("currency_conversion.json")
_BASE = "EUR"


@final
class CurrencyService(Currency):
    def __init__(self) -> None:
        self._rates = codec(Mapping[str, Decimal]).decode(_FILE.read_bytes())

    async def rates(self) -> ExchangeRates:
        return ExchangeRates(base=_BASE, rates=self._rates)

    async def convert(self, amount: Money, currency: CurrencyCode) -> Money:
        # First times, then divided: a half that is to be rounded stays exactly a half.
        return rounded(amount.amount * self._rate(currency) / self._rate(amount.currency), currency)

    def _rate(self, currency: str) -> Decimal:
        if currency not in self._rates:
            raise UnknownCurrency(currency=currency)
        return self._rates[currency]
