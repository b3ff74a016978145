"""Tokens that are taken back are void at once, whatever was remembered of them."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.clock import VirtualClock
from enfilade.contract.codec import codec
from enfilade.errors import Unauthenticated
from enfilade.identity import Revoked, Verifier
from enfilade.identity.revoked import Marks, Revocations

ISSUER = "https://id.example"


def revoked(by: Any, value: str, *, until: float = 9e9, before: float = 0.0, issuer: str = ISSUER) -> Revoked:
    return Revoked(issuer=issuer, by=by, value=value, until=until, before=before)


async def void(verifier: Verifier, token: str) -> bool:
    try:
        await verifier.verify(token)
    except Unauthenticated:
        assert verifier.recall(token) is None
        return True
    return False


@pytest.mark.parametrize(("by", "value"), [("jti", "tok_1"), ("sid", "ses_1"), ("sub", "alice")])
async def test_a_token_a_session_or_all_of_a_subject_can_be_taken_back(forge: Any, by: str, value: str) -> None:
    verifier: Verifier = forge.verifier()
    mine = forge.token(forge.claims(jti="tok_1", sid="ses_1"))
    other = forge.token(forge.claims(sub="bob", jti="tok_2", sid="ses_2"))
    await verifier.verify(mine)
    await verifier.verify(other)

    verifier.deny(revoked(by, value))

    assert verifier.recall(mine) is None
    assert await void(verifier, mine)
    assert verifier.recall(other) is not None


async def test_what_one_issuer_takes_back_is_no_other_issuers(forge: Any) -> None:
    verifier: Verifier = forge.verifier()

    verifier.deny(revoked("sub", "alice", issuer="https://other.example"))

    assert not await void(verifier, forge.token())


async def test_the_subject_is_the_tokens_own_without_the_prefix(forge: Any) -> None:
    verifier: Verifier = forge.verifier(prefix="partner:")

    verifier.deny(revoked("sub", "alice"))

    assert await void(verifier, forge.token())


async def test_everything_issued_before_is_void_and_what_comes_after_is_good(forge: Any, clock: VirtualClock) -> None:
    verifier: Verifier = forge.verifier()
    now = int(clock.now().timestamp())
    old, new = forge.token(forge.claims(iat=now - 10)), forge.token(forge.claims(iat=now))
    undated = forge.token(forge.claims(iat=None))

    verifier.deny(revoked("sub", "alice", before=now - 1))

    assert await void(verifier, old)
    assert await void(verifier, undated)
    assert not await void(verifier, new)


async def test_a_narrower_taking_back_does_not_undo_a_wider_one(forge: Any, clock: VirtualClock) -> None:
    verifier: Verifier = forge.verifier()
    now = clock.now().timestamp()

    verifier.deny(revoked("sub", "alice"))
    verifier.deny(revoked("sub", "alice", before=now - 500, until=now))

    assert await void(verifier, forge.token())


async def test_a_token_that_is_being_verified_while_it_is_taken_back_is_refused(forge: Any) -> None:
    async def fetch(_: str) -> bytes:
        verifier.deny(revoked("jti", "tok_1"))
        return codec(dict[str, Any]).encode({"keys": list(forge.public)})

    verifier = Verifier([forge.issuer(keys=(), jwks_url="https://id.example/jwks")], forge.clock, fetch=fetch)

    assert await void(verifier, forge.token(forge.claims(jti="tok_1")))


def mark(name: str, issued: float) -> Marks:
    return Marks(ISSUER, name, "", "", issued)


async def test_what_would_have_expired_is_forgotten_and_memory_is_bounded(clock: VirtualClock) -> None:
    revocations, now = Revocations(clock, room=100), clock.now().timestamp()
    for number in range(100):
        revocations.add(revoked("sub", f"user-{number}", until=now + (5 if number < 60 else 500)))
    await clock.advance(10)

    revocations.add(revoked("sub", "one-more", until=now + 500))

    assert not revocations.has(mark("user-0", now))
    assert revocations.has(mark("user-99", now))
    assert revocations.has(mark("one-more", now))


async def test_when_there_is_no_room_left_everything_until_then_is_void_rather_than_good_again(
    clock: VirtualClock, caplog: Any
) -> None:
    revocations, now = Revocations(clock, room=100), clock.now().timestamp()
    for number in range(101):
        revocations.add(revoked("sub", f"user-{number}"))

    assert revocations.has(mark("user-0", now))
    assert revocations.has(mark("nobody", now))
    assert not revocations.has(mark("nobody", now + 1))
    assert "all tokens until now are void" in caplog.text


def test_a_taking_back_can_travel_to_other_processes() -> None:
    said = revoked("sid", "ses_1", before=5.0)

    assert codec(Revoked).copy(said) == said
