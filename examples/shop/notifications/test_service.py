from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from enfilade.identity.people import LoginRefused, Person, UnknownPerson
from enfilade.testing import Bench
from shop.accounts.contract import Account, Accounts, Contact, SignedUp, UnknownAccount
from shop.fakes import FakeMail, placed
from shop.mail.contract import Mail
from shop.notifications.contract import Notifications
from shop.notifications.service import NotificationsService, receipt
from shop.shipping.contract import OrderShipped, Shipment

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class AnnOnly:
    """Accounts with one customer, as far as notifications ask."""

    async def contact(self, account: str) -> Contact:
        if account != "ann":
            raise UnknownAccount()
        return Contact(name="Ann", email="ann@example.com")

    async def account(self) -> Account:
        raise UnknownAccount()

    async def sign_up(self, name: str, email: str, password: str) -> Account:
        raise NotImplementedError

    async def authenticate(self, login: str, password: str, tenant: str = "") -> Person:
        raise LoginRefused()

    async def person(self, subject: str) -> Person:
        raise UnknownPerson()


@pytest.fixture
def mail() -> FakeMail:
    return FakeMail()


@pytest.fixture
async def bench(mail: FakeMail) -> AsyncIterator[Bench]:
    async with Bench(NotificationsService).given(Accounts).by(AnnOnly()).given(Mail).by(mail) as bench:
        yield bench


async def test_a_customer_hears_of_all_that_happens(bench: Bench, mail: FakeMail) -> None:
    account = Account(id="ann", name="Ann", email="ann@example.com", since=NOW)
    await bench.hear(SignedUp(account=account))
    await bench.hear(placed("ord_1", customer="ann"))
    await bench.hear(OrderShipped(shipment=Shipment(order_id="ord_1", tracking="RP7", at=NOW), customer="ann"))

    assert list(mail.sent) == ["welcome-ann", "receipt-ord_1", "shipped-ord_1"]
    assert {to for to, _ in mail.sent.values()} == {"ann@example.com"}
    assert "RP7" in mail.sent["shipped-ord_1"][1]


async def test_what_was_sent_is_shown_to_its_receiver(bench: Bench) -> None:
    await bench.hear(placed("ord_1", customer="ann"))

    (notification,) = (await bench.acting("ann").of(Notifications).sent()).items
    assert notification.subject == "Your order ord_1"
    assert (await bench.acting("bob").of(Notifications).sent()).items == ()


async def test_a_mail_is_sent_once_the_server_is_back(bench: Bench, mail: FakeMail) -> None:
    mail.down = True
    await bench.hear(placed("ord_1", customer="ann"))
    assert mail.sent == {}

    mail.down = False
    await bench.advance(timedelta(hours=1))

    assert list(mail.sent) == ["receipt-ord_1"]


def test_a_receipt_adds_up_line_by_line() -> None:
    lines = receipt(placed(tea=2, cup=1).order).splitlines()

    assert [line.split() for line in lines] == [
        ["2", "x", "Tea", "2.00", "CHF"],
        ["1", "x", "Cup", "1.00", "CHF"],
        ["Shipping", "1.00", "CHF"],
        ["Total", "4.00", "CHF"],
    ]
    assert len({len(line) for line in lines}) == 1
