"""Money is exact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from enfilade import Money

EUR = "EUR"


def test_an_amount_has_the_digits_of_its_currency() -> None:
    assert str(Money.of("1.5", EUR)) == "1.50 EUR"
    assert str(Money.of(3, "JPY")) == "3 JPY"
    assert Money.of("1.5", EUR).minor == 150
    assert Money.minor_units(1234, "KWD") == Money.of("1.234", "KWD")


@pytest.mark.parametrize(
    "amount", ["1.234", "NaN", "Infinity", "1e999999", "-1e999999", "1000000000000000", "1" * 40, "1e-400"]
)
def test_an_amount_that_cannot_be_is_a_value_error(amount: str) -> None:
    with pytest.raises(ValueError, match=r"digits|money"):
        Money.of(amount, EUR)


def test_currencies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="do not mix"):
        Money.of(1, EUR) + Money.of(1, "USD")
    with pytest.raises(ValueError, match="do not mix"):
        assert Money.of(1, EUR) < Money.of(1, "USD")


def test_it_counts() -> None:
    one, two = Money.of(1, EUR), Money.of(2, EUR)

    assert (one + two, two - one, -one, one * 2) == (Money.of(3, EUR), one, Money.of(-1, EUR), two)
    assert one < two <= two
    assert two > one >= one
    assert bool(one)
    assert not (one - one)
    assert Money.of(10, EUR).share(1, 3) == Money.of("3.33", EUR)
    assert Money.of(10, EUR).convert(Decimal("1.0815"), "USD") == Money.of("10.82", "USD")
    assert Money.of("2.345", "KWD").convert(Decimal(1), EUR) == Money.of("2.34", EUR)


@given(
    minor=some.integers(-(10**15), 10**15),
    weights=some.lists(some.integers(0, 1000), min_size=1, max_size=9).filter(any),
)
def test_a_split_loses_nothing(minor: int, weights: list[int]) -> None:
    whole = Money.minor_units(minor, EUR)

    shares = whole.split(weights)

    assert sum(share.minor for share in shares) == minor
    assert len(shares) == len(weights)


def test_weights_that_cannot_be_are_refused() -> None:
    for weights in ([], [0], [1, -1]):
        with pytest.raises(ValueError, match="weights"):
            Money.of(1, EUR).split(weights)
