"""Money: exact, in one currency, never a float."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, final

import msgspec
from msgspec import Meta

from enfilade.contract.message import Message

# ISO 4217: digits after the point of the currencies that do not have two.
_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
_DIGITS = {code: count for count, codes in ((0, _NONE), (3, _THREE), (4, _FOUR)) for code in codes.split()}

_UNITS = tuple(Decimal(1).scaleb(-count) for count in range(5))
_MOST = Decimal(10) ** 15
"""Whole units in any currency; in minor units, four digits more, they still fit 64 bits."""


@final
class Money(Message):
    """An amount in a currency: `Money(amount=Decimal("12.34"), currency="EUR")`.

    On the wire `{"amount": "12.34", "currency": "EUR"}`; in a row two columns, `<field>_minor` (whole minor units, so
    that it can be summed) and `<field>_currency`. Adding or comparing two currencies raises ValueError.
    """

    amount: Decimal
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3)]

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or abs(self.amount) >= _MOST:
            raise ValueError("an amount of money is a number of at most 15 digits before the point")
        exact = self.amount.quantize(_UNITS[digits(self.currency)])
        if exact != self.amount:
            raise ValueError(f"{self.currency} has {digits(self.currency)} digits after the point, not {self.amount}")
        msgspec.structs.force_setattr(self, "amount", exact)  # pyright: ignore[reportArgumentType]  (a Message is a Struct)

    @classmethod
    def of(cls, amount: str | int | Decimal, currency: str) -> Money:
        """`Money.of("12.34", "EUR")`."""
        return cls(amount=Decimal(amount), currency=currency)

    @classmethod
    def minor_units(cls, minor: int, currency: str) -> Money:
        """1234 cents as EUR 12.34."""
        return cls(amount=Decimal(minor).scaleb(-digits(currency)), currency=currency)

    @property
    def minor(self) -> int:
        """Whole minor units: cents of a euro, yen of a yen."""
        return int(self.amount.scaleb(digits(self.currency)))

    def __add__(self, other: Money) -> Money:
        return Money(amount=self.amount + self._same(other), currency=self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(amount=self.amount - self._same(other), currency=self.currency)

    def __neg__(self) -> Money:
        return Money(amount=-self.amount, currency=self.currency)

    def __mul__(self, times: int) -> Money:
        return Money(amount=self.amount * times, currency=self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._same(other)

    def __bool__(self) -> bool:
        return self.amount != 0

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def share(self, part: int | Decimal, whole: int | Decimal) -> Money:
        """part/whole of it, rounded half to even."""
        return rounded(self.amount * part / whole, self.currency)

    def split(self, weights: Sequence[int]) -> tuple[Money, ...]:
        """Shares by weight that sum exactly to it; what rounding leaves over goes to the first, a minor unit each."""
        whole = sum(weights)
        if whole <= 0 or min(weights) < 0:
            raise ValueError("weights are not negative and at least one is above zero")
        sign = -1 if self.minor < 0 else 1
        minor = abs(self.minor)
        shares = [minor * weight // whole for weight in weights]
        for at in range(minor - sum(shares)):
            shares[at] += 1
        return tuple(Money.minor_units(sign * share, self.currency) for share in shares)

    def convert(self, rate: Decimal, currency: str) -> Money:
        """The same value in another currency, at `rate` units of it for one of ours, rounded half to even."""
        return rounded(self.amount * rate, currency)

    def _same(self, other: Money) -> Decimal:
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not mix: convert one of them first")
        return other.amount


def digits(currency: str) -> int:
    """Digits after the point (ISO 4217)."""
    return _DIGITS.get(currency, 2)


def rounded(amount: Decimal, currency: str) -> Money:
    """An exact amount to the currency's digits, half to even."""
    return Money(amount=amount.quantize(_UNITS[digits(currency)], ROUND_HALF_EVEN), currency=currency)
