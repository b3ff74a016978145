"""The shop and the outside systems over real HTTP, when they work and when they do not."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from enfilade.config import load
from enfilade.testing import Stage
from shop.app import SETTINGS, app

EXAMPLES = Path(__file__).parents[2] / "examples"
HOME = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}


@pytest.fixture
def outside() -> Iterator[str]:
    command = [sys.executable, "-m", "shop.outside", "0"]
    with subprocess.Popen(command, cwd=EXAMPLES, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
async def shop(outside: str) -> AsyncIterator[Stage]:
    said = {f"ENFILADE_SERVICE__{name.upper()}__AT": f"{outside}/{name}" for name in ("psp", "carrier", "mail")}
    said |= {"ENFILADE_DATA": "sqlite::memory:", "ENFILADE_SERVICE__PAYMENTS__PATIENCE": "1.0"}
    config = load(SETTINGS, said)
    async with Stage(app, config=config) as stage:
        yield stage


async def buy(
    shop: Stage, who: str = "ann", card: str = "tok_visa", key: str = "", country: str = "CH"
) -> httpx2.Response:
    headers = {**shop.acting(who, scopes=["orders:write"]).headers, **({"idempotency-key": f'"{key}"'} if key else {})}
    body = {"card": card, "address": {**HOME, "country": country}, "items": [{"sku": "6E92ZMYYFZ", "quantity": 1}]}
    return await shop.http.post("/orders", json=body, headers=headers)


async def charged(outside: str) -> list[str]:
    async with httpx2.AsyncClient() as http:
        return [charge["amount"]["amount"] for charge in (await http.get(f"{outside}/psp/charges")).json()]


async def trouble(outside: str, system: str, **trouble: float) -> None:
    async with httpx2.AsyncClient() as http:
        (await http.post(f"{outside}/{system}/control", json=trouble)).raise_for_status()


async def test_an_order_is_charged_and_shipped(shop: Stage, outside: str) -> None:
    order = await buy(shop)
    await shop.settle()

    shown = await shop.http.get(f"/orders/{order.json()['id']}", headers=shop.acting("ann").headers)
    assert shown.json()["tracking"] == "RP000000001CH"
    assert await charged(outside) == [order.json()["total"]["amount"]]


async def test_a_declined_card_is_told_with_its_reason(shop: Stage, outside: str) -> None:
    refused = await buy(shop, card="tok_declined")

    assert (refused.status_code, refused.json()["reason"]) == (402, "insufficient funds")
    assert refused.json()["type"] == "/problems/payments/declined"
    assert await charged(outside) == []


async def test_a_charge_that_is_answered_too_late_is_found_again(shop: Stage, outside: str) -> None:
    order = await buy(shop, card="tok_timeout")

    assert order.status_code == 201
    assert await charged(outside) == [order.json()["total"]["amount"]]


async def test_a_provider_that_breaks_takes_nothing(shop: Stage, outside: str) -> None:
    refused = await buy(shop, card="tok_error")

    assert refused.status_code == 503
    assert await charged(outside) == []


async def test_an_order_that_failed_is_placed_when_it_is_sent_again_under_its_key(shop: Stage, outside: str) -> None:
    await trouble(outside, "psp", status=503, times=2)

    failed = await buy(shop, key="once")
    placed = await buy(shop, key="once")
    again = await buy(shop, key="once")

    assert [one.status_code for one in (failed, placed, again)] == [503, 201, 201]
    assert placed.json() == again.json()
    assert len(await charged(outside)) == 1


async def test_two_customers_may_think_of_the_same_key(shop: Stage, outside: str) -> None:
    assert [(await buy(shop, who, key="1")).status_code for who in ("ann", "bob")] == [201, 201]
    assert len(await charged(outside)) == 2


async def test_nothing_is_charged_for_an_address_that_the_carrier_refuses(shop: Stage, outside: str) -> None:
    refused = await buy(shop, country="AQ")

    assert (refused.status_code, refused.json()["reason"]) == (422, "no deliveries to AQ")
    assert await charged(outside) == []


async def test_a_parcel_leaves_when_the_carrier_is_back(shop: Stage, outside: str) -> None:
    order = (await buy(shop)).json()
    await trouble(outside, "carrier", status=500, times=2)
    await shop.settle()
    await shop.advance(3600)

    shown = await shop.http.get(f"/orders/{order['id']}", headers=shop.acting("ann").headers)
    assert shown.json()["state"] == "shipped"
