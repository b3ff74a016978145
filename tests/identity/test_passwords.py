"""Passwords: kept as hashes, compared in equal time, never on the event loop."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import pytest
from argon2.exceptions import InvalidHashError

from enfilade.call import Call, enter, leave
from enfilade.clock import VirtualClock
from enfilade.contract.declare import command
from enfilade.contract.need import anyone
from enfilade.contract.read import read
from enfilade.errors import Misuse
from enfilade.identity import Passwords


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(memory=64, passes=1)


async def test_a_password_is_known_by_its_hash_and_no_other_is(passwords: Passwords) -> None:
    kept = await passwords.hash("correct horse")

    assert "correct" not in kept
    assert await passwords.verify(kept, "correct horse")
    assert not await passwords.verify(kept, "correct horse ")
    assert not await passwords.verify(kept, "")


async def test_one_password_twice_makes_two_hashes(passwords: Passwords) -> None:
    assert await passwords.hash("same") != await passwords.hash("same")


async def test_the_salt_comes_from_the_clocks_chance() -> None:
    first, second = (Passwords(VirtualClock(seed=7), memory=64, passes=1) for _ in range(2))

    assert await first.hash("same") == await second.hash("same")


async def test_nobody_has_no_password(passwords: Passwords) -> None:
    assert not await passwords.verify(None, "")
    assert not await passwords.verify(None, "anything")
    assert not await passwords.verify("", "anything")


async def test_an_unknown_user_takes_the_time_of_a_wrong_password() -> None:
    passwords = Passwords(memory=8192)
    kept = await passwords.hash("right")

    async def cost(hash: str | None) -> float:
        async def once() -> float:
            before = time.perf_counter()
            await passwords.verify(hash, "wrong")
            return time.perf_counter() - before

        return min([await once() for _ in range(7)])

    known, unknown = await cost(kept), await cost(None)

    assert 0.4 < unknown / known < 2.5


async def test_a_hash_of_weaker_settings_asks_to_be_made_again(passwords: Passwords) -> None:
    kept = await passwords.hash("old")
    stronger = Passwords(memory=128, passes=1)

    assert not passwords.needs_rehash(kept)
    assert stronger.needs_rehash(kept)
    assert await stronger.verify(kept, "old")


async def test_a_crowd_leaves_the_event_loop_free() -> None:
    passwords = Passwords(memory=8192, at_once=1)
    crowd = asyncio.gather(*(passwords.hash(f"pw-{one}") for one in range(10)))
    turns = 0
    while not crowd.done():
        await asyncio.sleep(0)
        turns += 1

    assert len(await crowd) == 10
    assert turns > 20


async def test_a_hash_that_is_none_is_a_bug_and_not_a_wrong_password(passwords: Passwords) -> None:
    with pytest.raises(InvalidHashError):
        await passwords.verify("plain text", "plain text")


async def test_passwords_are_not_worked_on_inside_a_unit_of_work(passwords: Passwords, clock: VirtualClock) -> None:
    class Accounts(Protocol):
        @command(needs=anyone)
        async def join(self) -> None: ...

    call = Call(read(Accounts).operation("join"), {}, clock, 10.0)
    call.unit = "open"
    token = enter(call)
    try:
        for work in (passwords.hash("pw"), passwords.verify(None, "pw")):
            with pytest.raises(Misuse, match="inside @atomic"):
                await work
    finally:
        leave(token)
