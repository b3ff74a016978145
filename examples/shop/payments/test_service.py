from collections.abc import AsyncIterator

import pytest

from enfilade import Money, Unavailable
from enfilade.testing import Bench
from shop.fakes import FakePsp
from shop.payments.contract import Declined, Payments
from shop.payments.service import PaymentRow, PaymentsService
from shop.psp.contract import Psp

PRICE = Money.of("9.00", "EUR")


@pytest.fixture
def psp() -> FakePsp:
    return FakePsp()


@pytest.fixture
async def bench(psp: FakePsp) -> AsyncIterator[Bench]:
    async with Bench(PaymentsService).given(Psp).by(psp) as bench:
        yield bench


async def test_money_is_taken_and_recorded(bench: Bench, psp: FakePsp) -> None:
    payment = await bench.of(Payments).charge("res_1", PRICE, "tok_visa")

    assert payment.amount == PRICE
    assert psp.charges["res_1"].id == payment.charge
    assert [row.charge for row in await bench.rows(PaymentRow)] == [payment.charge]


async def test_a_reference_is_charged_once(bench: Bench, psp: FakePsp) -> None:
    once = await bench.of(Payments).charge("res_1", PRICE, "tok_visa")
    again = await bench.of(Payments).charge("res_1", PRICE, "tok_visa")

    assert once.charge == again.charge
    assert len(psp.charges) == len(await bench.rows(PaymentRow)) == 1


async def test_a_declined_card_says_why_and_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(Declined) as refused:
        await bench.of(Payments).charge("res_1", PRICE, "tok_declined")

    assert refused.value.reason == "insufficient funds"
    assert await bench.rows(PaymentRow) == ()


async def test_a_charge_whose_answer_was_lost_is_found_again(bench: Bench, psp: FakePsp) -> None:
    payment = await bench.of(Payments).charge("res_1", PRICE, "tok_timeout")

    assert payment.charge == psp.charges["res_1"].id


async def test_a_provider_that_is_down_takes_nothing(bench: Bench, psp: FakePsp) -> None:
    with pytest.raises(Unavailable):
        await bench.of(Payments).charge("res_1", PRICE, "tok_error")

    assert psp.charges == {}
    assert await bench.rows(PaymentRow) == ()
