import pytest

from enfilade import Money
from enfilade.testing import Bench
from shop.currency.contract import Currency, UnknownCurrency
from shop.currency.service import CurrencyService


@pytest.mark.parametrize(
    ("amount", "converted"),
    [
        (Money.of("100.00", "EUR"), Money.of("113.05", "USD")),
        (Money.of("113.05", "USD"), Money.of("100.00", "EUR")),
        (Money.of("19.99", "USD"), Money.of("2235", "JPY")),
        (Money.of("19.99", "USD"), Money.of("19.99", "USD")),
    ],
)
async def test_amounts_are_converted_by_the_rates_of_both_currencies(amount: Money, converted: Money) -> None:
    async with Bench(CurrencyService) as bench:
        assert await bench.of(Currency).convert(amount, converted.currency) == converted


@pytest.mark.parametrize(("euros", "dollars"), [("10.00", "11.30"), ("30.00", "33.92")])
async def test_half_a_cent_goes_to_the_even_one(euros: str, dollars: str) -> None:
    async with Bench(CurrencyService) as bench:
        converted = await bench.of(Currency).convert(Money.of(euros, "EUR"), "USD")

        assert converted == Money.of(dollars, "USD")  # of 11.305 and 33.915


async def test_a_currency_without_a_rate_is_refused() -> None:
    async with Bench(CurrencyService) as bench:
        with pytest.raises(UnknownCurrency) as refused:
            await bench.of(Currency).convert(Money.of(1, "EUR"), "XYZ")

        assert refused.value.currency == "XYZ"


async def test_the_rates_are_public() -> None:
    async with Bench(CurrencyService) as bench:
        answer = await bench.http.get("/currencies")

        assert answer.json()["base"] == "EUR"
        assert answer.json()["rates"]["CHF"] == "1.1360"
