from collections.abc import AsyncIterator

import pytest

from enfilade.identity.people import LoginRefused, UnknownPerson
from enfilade.testing import Bench
from shop.accounts.contract import Accounts, EmailTaken, SignedUp
from shop.accounts.service import AccountRow, AccountsService


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench(AccountsService) as bench:
        yield bench


async def test_a_customer_signs_up_and_sees_his_account(bench: Bench) -> None:
    account = await bench.nobody.of(Accounts).sign_up("Ann", "Ann@example.com", "correct horse")

    assert await bench.acting(account.id).of(Accounts).account() == account
    assert account.email == "ann@example.com"
    assert bench.said(SignedUp) == (SignedUp(account=account),)


async def test_one_address_has_one_account_however_it_is_written(bench: Bench) -> None:
    await bench.nobody.of(Accounts).sign_up("Ann", "ann@example.com", "correct horse")

    with pytest.raises(EmailTaken):
        await bench.nobody.of(Accounts).sign_up("Bob", "ANN@example.com", "battery staple")
    assert len(await bench.rows(AccountRow)) == 1


async def test_a_customer_is_known_by_address_and_password(bench: Bench) -> None:
    account = await bench.nobody.of(Accounts).sign_up("Ann", "ann@example.com", "correct horse")

    person = await bench.of(Accounts).authenticate(" Ann@example.com", "correct horse")

    assert (person.subject, person.name, person.email, person.roles) == (account.id, "Ann", "ann@example.com", ())
    assert await bench.of(Accounts).person(account.id) == person


async def test_nobody_is_known_by_an_id_that_no_account_has(bench: Bench) -> None:
    with pytest.raises(UnknownPerson):
        await bench.of(Accounts).person("acc_nobody")


@pytest.mark.parametrize(
    ("email", "password"), [("ann@example.com", "wrong horse"), ("nobody@example.com", "correct horse")]
)
async def test_a_wrong_password_and_an_unknown_address_are_refused_alike(
    bench: Bench, email: str, password: str
) -> None:
    await bench.nobody.of(Accounts).sign_up("Ann", "ann@example.com", "correct horse")

    with pytest.raises(LoginRefused):
        await bench.of(Accounts).authenticate(email, password)


async def test_passwords_are_not_kept(bench: Bench) -> None:
    await bench.nobody.of(Accounts).sign_up("Ann", "ann@example.com", "correct horse")

    (row,) = await bench.rows(AccountRow)
    assert "correct horse" not in repr(row)


async def test_services_learn_how_to_write_to_a_customer(bench: Bench) -> None:
    account = await bench.nobody.of(Accounts).sign_up("Ann", "ann@example.com", "correct horse")

    contact = await bench.of(Accounts).contact(account.id)

    assert (contact.name, contact.email) == ("Ann", "ann@example.com")
