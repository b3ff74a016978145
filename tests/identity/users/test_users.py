"""The platform's own users."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from enfilade.call import Principal
from enfilade.errors import NotFound
from enfilade.identity.people import LoginRefused, UnknownPerson
from enfilade.identity.users import Users
from enfilade.identity.users.contract import LoginTaken
from enfilade.identity.users.service import UserRow, UsersService
from enfilade.testing import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench(UsersService) as bench:
        yield bench


async def test_a_user_signs_in_however_he_writes_his_name(bench: Bench) -> None:
    users = bench.of(Users)
    ann = await users.add("Ann@example.com", "correct horse", name="Ann", email="ann@example.com", roles=("editor",))

    person = await users.authenticate(" ann@EXAMPLE.com", "correct horse")

    assert (person.subject, person.name, person.roles) == (ann.id, "Ann", ("editor",))
    assert await users.person(ann.id) == person


async def test_a_wrong_password_and_an_unknown_user_are_the_same_and_take_the_same_time(bench: Bench) -> None:
    users = bench.of(Users)
    await users.add("ann", "correct horse")

    async def seconds(login: str) -> float:
        began = time.perf_counter()
        with pytest.raises(LoginRefused):
            await users.authenticate(login, "wrong horse")
        return time.perf_counter() - began

    known = min([await seconds("ann") for _ in range(5)])
    unknown = min([await seconds("bob") for _ in range(5)])

    assert 0.5 < known / unknown < 2


async def test_a_login_is_one_users_within_a_tenant(bench: Bench) -> None:
    users = bench.of(Users)
    ours = await users.add("ann", "correct horse")
    theirs = await users.add("ann", "battery staple", realm="acme")

    with pytest.raises(LoginTaken):
        await users.add("ANN", "another horse")
    assert (await users.authenticate("ann", "correct horse")).subject == ours.id
    assert (await users.authenticate("ann", "battery staple", "acme")).tenant == "acme"
    with pytest.raises(LoginRefused):
        await users.authenticate("ann", "correct horse", "acme")
    assert [one.id for one in (await users.users("acme")).items] == [theirs.id]


async def test_who_adds_a_user_from_within_a_tenant_adds_him_for_all(bench: Bench) -> None:
    theirs = Principal(subject="acc_1", tenant="acme")
    within: Users = bench.running.get(Users, acting=theirs, peer="tests")

    added = await within.add("ann", "correct horse", realm="acme")

    assert (await bench.of(Users).authenticate("ann", "correct horse", "acme")).subject == added.id
    with pytest.raises(LoginTaken):
        await bench.of(Users).add("ann", "battery staple", realm="acme")


async def test_passwords_change_and_users_go(bench: Bench) -> None:
    users = bench.of(Users)
    ann = await users.add("ann", "correct horse")

    await users.change_password(ann.id, "battery staple")
    assert (await users.authenticate("ann", "battery staple")).subject == ann.id
    await users.remove(ann.id)

    with pytest.raises(LoginRefused):
        await users.authenticate("ann", "battery staple")
    for gone in (users.person(ann.id), users.remove(ann.id), users.change_password(ann.id, "battery staple")):
        with pytest.raises(UnknownPerson):
            await gone


async def test_what_is_kept_of_a_password_is_a_hash(bench: Bench) -> None:
    await bench.of(Users).add("ann", "correct horse")

    (row,) = await bench.rows(UserRow)

    assert row.password.startswith("$argon2id$")
    assert "correct horse" not in repr(row)


async def test_users_are_nobodys_business_outside(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await bench.acting("ann").of(Users).users()
