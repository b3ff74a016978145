"""Who calls: a verified caller, nobody, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.call import Principal
from enfilade.contract.operation import Operation
from enfilade.errors import Unauthenticated
from enfilade.guard import identity
from enfilade.identity import Credentials, DevelopmentIssuer, Tokens, Verifier


@pytest.fixture
def issuer() -> DevelopmentIssuer:
    return DevelopmentIssuer(None, "shop")


@pytest.fixture
def token(bench: Any, issuer: DevelopmentIssuer) -> str:
    return Tokens(issuer, bench.clock).issue("alice", tenant="acme", scopes=["a"])


@pytest.fixture
def verifier(bench: Any, issuer: DevelopmentIssuer) -> Verifier:
    return Verifier([issuer.issuer], bench.clock)


@pytest.fixture
def operation(bench: Any) -> Operation:
    return bench.operation("receipt")


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
async def test_a_bearer_token_becomes_the_caller_with_his_tenant(
    bench: Any, verifier: Verifier, operation: Operation, token: str, scheme: str
) -> None:
    handler = identity(verifier)(operation, bench.serve)
    for _ in range(2):  # verified, then recalled
        call = bench.call(operation, credentials=scheme + token)
        await handler(call)

        assert call.me == "alice"
        assert call.tenant == "acme"


async def test_no_credentials_are_nobody_and_pass(bench: Any, verifier: Verifier, operation: Operation) -> None:
    call = bench.call(operation)
    await identity(verifier)(operation, bench.serve)(call)

    assert call.caller is None


async def test_a_call_between_services_keeps_its_caller(bench: Any, verifier: Verifier, operation: Operation) -> None:
    call = bench.call(operation, caller="alice", tenant="acme", peer="orders")
    await identity(verifier)(operation, bench.serve)(call)

    assert call.me == "alice"
    assert call.tenant == "acme"


@pytest.mark.parametrize(
    "credentials",
    ["Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "bearer", "Basic YTpi", "nonsense", " ", "Bearer a b", "\x00"],
)
async def test_bad_credentials_are_401_even_where_anyone_may_call(
    bench: Any, verifier: Verifier, operation: Operation, credentials: str
) -> None:
    with pytest.raises(Unauthenticated):
        await identity(verifier)(operation, bench.serve)(bench.call(operation, credentials=credentials))

    assert bench.served == 0


async def test_other_schemes_are_asked_of_the_resolvers_in_turn(
    bench: Any, verifier: Verifier, operation: Operation, token: str
) -> None:
    asked: list[str] = []

    async def nobody(credentials: Credentials) -> Principal | None:
        asked.append(credentials.authorization)
        return None

    async def key(credentials: Credentials) -> Principal | None:
        return Principal(subject="robot", kind="service") if credentials.authorization == "ApiKey k1" else None

    handler = identity(verifier, [nobody, key])(operation, bench.serve)
    call = bench.call(operation, credentials="ApiKey k1")
    await handler(call)

    assert call.me == "robot"
    assert asked == ["ApiKey k1"]
    with pytest.raises(Unauthenticated):
        await handler(bench.call(operation, credentials="ApiKey k2"))
    await handler(bench.call(operation, credentials=f"Bearer {token}"))
    assert asked == ["ApiKey k1", "ApiKey k2"]  # bearer tokens are the verifier's alone


async def test_a_request_without_authorization_may_say_who_calls_in_a_field_or_a_cookie(
    bench: Any, verifier: Verifier, operation: Operation
) -> None:
    seen: list[Credentials] = []

    async def till(credentials: Credentials) -> Principal | None:
        seen.append(credentials)
        return Principal(subject=credentials.cookies["till"], tenant="acme") if credentials.header("X-Till") else None

    handler = identity(verifier, [till])(operation, bench.serve)
    fields = {b"x-till": b"7", b"cookie": b'a=1; till="t7", till=t8; broken'}
    call, nobody = bench.call(operation, address="10.7.0.1"), bench.call(operation)
    call.fields, nobody.fields = fields, {b"accept": b"*/*"}
    await handler(call)
    await handler(nobody)

    assert (call.me, call.tenant) == ("t7", "acme")
    assert (seen[0].method, seen[0].address, seen[0].authorization) == ("GET", "10.7.0.1", "")
    assert nobody.caller is None
    assert "t7" not in repr(seen[0])


async def test_a_call_without_a_request_is_offered_to_nobody(
    bench: Any, verifier: Verifier, operation: Operation
) -> None:
    async def never(credentials: Credentials) -> Principal | None:
        raise AssertionError

    call = bench.call(operation, caller="alice", peer="orders")
    await identity(verifier, [never])(operation, bench.serve)(call)

    assert call.me == "alice"
