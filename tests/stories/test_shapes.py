"""One journey through the shop in each shape; `make parity` tells all of them so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from enfilade.config import load
from enfilade.testing import SHAPES, Shape, Stage
from shop.app import SETTINGS, app
from shop.carrier.contract import Carrier
from shop.fakes import FakeCarrier, FakeMail, FakePsp
from shop.front import log_in
from shop.inventory.service import HeldRow
from shop.mail.contract import Mail
from shop.orders.contract import OrderPlaced
from shop.psp.contract import Psp

MUG = "6E92ZMYYFZ"
ADDRESS = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}
INSIDE = {f"ENFILADE_SERVICE__{name}__AT": "" for name in ("PSP", "CARRIER", "MAIL")}


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_customer_buys_and_hears_of_it_when_the_mail_server_is_back(shape: Shape) -> None:
    psp, mail = FakePsp(), FakeMail()
    shop = Stage(app, config=load(SETTINGS, {"ENFILADE_DATA": "sqlite::memory:", **INSIDE}), shape=shape)
    async with shop.given(Psp).by(psp).given(Carrier).by(FakeCarrier()).given(Mail).by(mail):
        account = {"name": "Ann", "email": "ann@example.com", "password": "correct horse"}
        (await shop.http.post("/accounts", json=account)).raise_for_status()
        session = await log_in(shop.http, account["email"], account["password"])
        shop.http.headers["authorization"] = f"Bearer {session.access_token}"
        await shop.http.put(f"/cart/items/{MUG}", json={"quantity": 2})
        mail.down = True
        placed = (await shop.http.post("/orders", json={"card": "tok_visa", "address": ADDRESS})).json()
        await shop.settle()
        assert (mail.sent, len(psp.charges), len(shop.said(OrderPlaced))) == ({}, 1, 1)
        order = (await shop.http.get(f"/orders/{placed['id']}")).json()

        mail.down = False
        await shop.advance(timedelta(hours=1))

        assert (order["total"]["amount"], order["state"]) == ("23.63", "shipped")
        assert {id.partition("-")[0] for id in mail.sent} == {"welcome", "receipt", "shipped"}
        assert await shop.rows(HeldRow) == ()
