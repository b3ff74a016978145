from collections.abc import AsyncIterator

import pytest

from enfilade import Money
from enfilade.testing import Bench
from shop.carrier.contract import Carrier
from shop.fakes import FakeCarrier, placed
from shop.shipping.contract import OrderShipped, Shipping, UnknownShipment
from shop.shipping.service import ShippingService


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench(ShippingService).given(Carrier).by(FakeCarrier()) as bench:
        yield bench


async def test_a_quote_is_the_carriers(bench: Bench) -> None:
    quote = await bench.nobody.of(Shipping).quote("CH", "8001", 3)

    assert (quote.price, quote.days) == (Money.of("5.00", "EUR"), 2)


async def test_where_the_carrier_does_not_go_nothing_is_shipped(bench: Bench) -> None:
    answer = await bench.http.get("/shipping/quote", params={"country": "AQ", "postcode": "0"})

    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/shipping/undeliverable"
    assert answer.json()["reason"] == "too cold"


async def test_what_was_bought_is_handed_to_the_carrier(bench: Bench) -> None:
    await bench.hear(placed("ord_1", customer="ann"))

    shipment = await bench.acting("ann").of(Shipping).shipment("ord_1")
    assert shipment.tracking == "RP1"
    assert bench.said(OrderShipped) == (OrderShipped(shipment=shipment, customer="ann"),)


async def test_a_parcel_is_shown_to_its_buyer_only(bench: Bench) -> None:
    await bench.hear(placed("ord_1", customer="ann"))

    with pytest.raises(UnknownShipment):
        await bench.acting("bob").of(Shipping).shipment("ord_1")
    with pytest.raises(UnknownShipment):
        await bench.acting("ann").of(Shipping).shipment("ord_2")
