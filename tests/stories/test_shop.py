"""The shop's journeys, on SQLite and on PostgreSQL; `make parity` tells them in every shape."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest

from enfilade.config import load
from enfilade.testing import Caller, Stage
from shop.app import SETTINGS, app
from shop.carrier.contract import Carrier
from shop.cart.contract import Cart
from shop.catalog.contract import Catalog, Item
from shop.fakes import HOME, FakeCarrier, FakeMail, FakePsp
from shop.front import NotLoggedIn, log_in
from shop.inventory.contract import Inventory, OutOfStock
from shop.inventory.service import HeldRow, StockRow
from shop.mail.contract import Mail
from shop.notifications.contract import Notifications
from shop.orders.contract import Order, OrderPlaced, Orders
from shop.payments.contract import Declined
from shop.psp.contract import Psp
from shop.recommendations.contract import Recommendations
from shop.search.contract import Search

MUG, JAR, WATCH = "6E92ZMYYFZ", "9SIQT8TOJO", "1YMWWN1N4O"
ADDRESS = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}
INSIDE = {f"ENFILADE_SERVICE__{name}__AT": "" for name in ("PSP", "CARRIER", "MAIL")}
"""Nobody is asked over a network."""


class Shop(Stage):
    """The whole shop, with stand-ins for what is outside."""

    def __init__(self, data: str) -> None:
        super().__init__(app, config=load(SETTINGS, {"ENFILADE_DATA": data, **INSIDE}))
        self.psp, self.carrier, self.mail = FakePsp(), FakeCarrier(), FakeMail()
        self.given(Psp).by(self.psp).given(Carrier).by(self.carrier).given(Mail).by(self.mail)

    def customer(self, name: str) -> Caller:
        return self.acting(name, scopes=["orders:write"])

    async def count(self, sku: str, available: int) -> None:
        await self.acting("eve", roles=["warehouse"]).of(Inventory).recount(sku, available)

    async def left(self, sku: str) -> int:
        return (await self.nobody.of(Inventory).stock(sku)).available


@pytest.fixture(params=["sqlite", "postgres"])
def data(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else "sqlite::memory:"


@pytest.fixture
async def shop(data: str) -> AsyncIterator[Shop]:
    async with Shop(data) as shop:
        yield shop


async def signed_up(shop: Shop, name: str) -> dict[str, str]:
    """Headers of a customer who came in by the front door."""
    account = {"name": name, "email": f"{name}@example.com", "password": "correct horse"}
    await asked(shop, "POST", "/accounts", json=account)
    return await logged_in(shop, name)


async def logged_in(shop: Shop, name: str) -> dict[str, str]:
    session = await log_in(shop.http, f"{name}@example.com", "correct horse")
    return {"authorization": f"Bearer {session.access_token}"}


async def asked(shop: Shop, method: str, path: str, status: int | None = None, **request: object) -> httpx2.Response:
    answer = await shop.http.request(method, path, **request)
    assert answer.status_code == status if status else answer.is_success, answer.text
    return answer


def buying(*skus: str, card: str = "tok_visa", currency: str = "USD") -> dict[str, object]:
    items = [{"sku": sku, "quantity": 1} for sku in skus]
    return {"card": card, "address": ADDRESS, "currency": currency, "items": items}


async def bought(caller: Caller, *skus: str, card: str = "tok_visa") -> Order:
    return await caller.of(Orders).place(card, HOME, items=tuple(Item(sku=sku, quantity=1) for sku in skus))


async def test_a_customer_signs_up_finds_buys_and_gets_it(shop: Shop) -> None:
    ann = await signed_up(shop, "ann")
    found = (await asked(shop, "GET", "/search", params={"q": "mustard mug"})).json()
    await asked(shop, "PUT", f"/cart/items/{found[0]['sku']}", json={"quantity": 2}, headers=ann)
    await asked(shop, "PUT", f"/cart/items/{WATCH}", json={"quantity": 1}, headers=ann)
    await asked(shop, "DELETE", f"/cart/items/{WATCH}", headers=ann)
    placed = await asked(shop, "POST", "/orders", 201, json={"card": "tok_visa", "address": ADDRESS}, headers=ann)
    await shop.settle()

    order = (await asked(shop, "GET", f"/orders/{placed.json()['id']}", headers=ann)).json()
    assert [(line["name"], line["quantity"]) for line in order["lines"]] == [("Mug", 2)]
    assert order["total"] == {"amount": "23.63", "currency": "USD"}  # 2 x 8.99, and EUR 5.00 of shipping
    assert [str(charge.amount) for charge in shop.psp.charges.values()] == ["23.63 USD"]
    assert (order["state"], order["tracking"]) == ("shipped", "RP1")
    assert await shop.left(MUG) == 98
    assert (await asked(shop, "GET", "/cart", headers=ann)).json() == {"items": []}
    assert [id.partition("-")[0] for id in shop.mail.sent] == ["welcome", "receipt", "shipped"]
    assert {to for to, _ in shop.mail.sent.values()} == {"ann@example.com"}


async def test_nobody_logs_in_with_another_password(shop: Shop) -> None:
    await signed_up(shop, "ann")

    for email, password in (("ann@example.com", "battery staple"), ("bob@example.com", "correct horse")):
        with pytest.raises(NotLoggedIn):
            await log_in(shop.http, email, password)


async def test_a_declined_card_gives_the_stock_back_and_keeps_the_cart(shop: Shop) -> None:
    await shop.count(MUG, 1)
    ann = shop.customer("ann")
    await ann.of(Cart).put(MUG, 1)

    with pytest.raises(Declined) as refused:
        await bought(ann, card="tok_declined")
    await shop.settle()

    assert refused.value.reason == "insufficient funds"
    assert await shop.left(MUG) == 1
    assert [item.sku for item in (await ann.of(Cart).basket()).items] == [MUG]
    assert shop.said(OrderPlaced) == ()


async def test_the_same_order_sent_twice_under_one_key_is_one_order(shop: Shop) -> None:
    ann = {**await signed_up(shop, "ann"), "idempotency-key": '"once"'}
    first = await asked(shop, "POST", "/orders", 201, json=buying(MUG), headers=ann)
    again = await asked(shop, "POST", "/orders", 201, json=buying(MUG), headers=ann)

    assert first.json() == again.json()
    assert len(shop.psp.charges) == len(shop.said(OrderPlaced)) == 1
    assert await shop.left(MUG) == 99


async def test_two_different_orders_under_one_key_are_refused(shop: Shop) -> None:
    ann = {**await signed_up(shop, "ann"), "idempotency-key": '"once"'}
    await asked(shop, "POST", "/orders", 201, json=buying(MUG), headers=ann)
    await asked(shop, "POST", "/orders", 422, json=buying(JAR), headers=ann)

    assert len(shop.psp.charges) == 1


async def test_two_customers_cannot_buy_the_last_one(shop: Shop) -> None:
    await shop.count(WATCH, 1)

    answers = await asyncio.gather(
        *(bought(shop.customer(name), WATCH) for name in ("ann", "bob")), return_exceptions=True
    )

    assert sorted(type(one).__name__ for one in answers) == ["Order", "OutOfStock"]
    assert len(shop.psp.charges) == 1
    assert await shop.left(WATCH) == 0


async def test_the_order_of_another_customer_is_not_there(shop: Shop) -> None:
    ann, bob = await signed_up(shop, "ann"), await signed_up(shop, "bob")
    order = (await asked(shop, "POST", "/orders", 201, json=buying(MUG), headers=ann)).json()

    refused = await asked(shop, "GET", f"/orders/{order['id']}", 404, headers=bob)
    assert refused.json()["type"] == "/problems/orders/unknown-order"
    assert (await asked(shop, "GET", "/orders", headers=bob)).json()["items"] == []
    assert (await asked(shop, "GET", "/orders", headers=ann)).json()["items"] == [order]


async def test_stock_never_falls_below_zero_under_fifty_orders_at_once(shop: Shop) -> None:
    await shop.count(MUG, 20)

    answers = await asyncio.gather(
        *(bought(shop.customer(f"customer-{number}"), MUG) for number in range(50)), return_exceptions=True
    )
    await shop.settle()

    assert sum(isinstance(one, Order) for one in answers) == 20
    assert sum(isinstance(one, OutOfStock) for one in answers) == 30
    assert len(shop.psp.charges) == len(shop.said(OrderPlaced)) == 20
    assert [row.available for row in await shop.rows(StockRow)] == [0]
    assert await shop.rows(HeldRow) == ()


async def test_a_lost_answer_of_the_payment_provider_loses_no_order(shop: Shop) -> None:
    order = await bought(shop.customer("ann"), MUG, card="tok_timeout")

    assert [charge.amount for charge in shop.psp.charges.values()] == [order.total]


async def test_stock_of_an_order_that_was_never_paid_comes_back(shop: Shop) -> None:
    ann = await signed_up(shop, "ann")
    await asked(shop, "POST", "/orders", 503, json=buying(MUG, card="tok_error"), headers=ann)
    assert await shop.left(MUG) == 99

    await shop.advance(timedelta(minutes=15))

    assert await shop.left(MUG) == 100


async def test_mail_is_sent_when_the_server_is_back(shop: Shop) -> None:
    shop.mail.down = True
    ann = await signed_up(shop, "ann")
    order = (await asked(shop, "POST", "/orders", 201, json=buying(MUG), headers=ann)).json()
    await shop.settle()
    assert shop.mail.sent == {}

    shop.mail.down = False
    await shop.advance(timedelta(hours=1))

    assert {f"receipt-{order['id']}", f"shipped-{order['id']}"} < set(shop.mail.sent)
    ann = await logged_in(shop, "ann")  # a token is not good for an hour
    assert len((await asked(shop, "GET", "/notifications", headers=ann)).json()["items"]) == 3


async def test_recommendations_learn_from_what_is_bought(shop: Shop) -> None:
    for name in ("ann", "bob"):
        await bought(shop.customer(name), MUG, JAR)
    await bought(shop.customer("cat"), MUG, WATCH)
    await shop.settle()

    found = await shop.nobody.of(Recommendations).bought_with(MUG)
    assert [(one.sku, one.orders) for one in found] == [(JAR, 2), (WATCH, 1)]


async def test_each_product_can_be_found_by_its_own_name(shop: Shop) -> None:
    for product in await shop.of(Catalog).everything():
        hits = await shop.nobody.of(Search).search(product.name)
        assert hits[0].sku == product.sku


async def test_a_customer_sees_the_mails_that_were_sent_to_him(shop: Shop) -> None:
    ann = await signed_up(shop, "ann")
    await shop.settle()

    (welcome,) = (await asked(shop, "GET", "/notifications", headers=ann)).json()["items"]
    assert welcome["subject"] == "Welcome to the shop"
    assert (await shop.acting("bob").of(Notifications).sent()).items == ()
