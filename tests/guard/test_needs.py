"""May he: 401 for nobody, 403 for the wrong one, 404 for what is not there for him."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.call import Principal
from enfilade.contract.need import Fresh, Need, Owner, Role, Scope, any_tenant, anyone, peers, signed_in
from enfilade.errors import Forbidden, NotFound, Problem, Unauthenticated
from enfilade.guard import needs

ALICE = Principal(subject="alice")
WRITER = Principal(subject="bob", scopes=frozenset({"orders:write"}))
EDITOR = Principal(subject="eve", roles=frozenset({"editor"}))
BOTH = Principal(subject="zoe", scopes=frozenset({"orders:write"}), roles=frozenset({"editor"}))
ACME = Principal(subject="ann", tenant="acme", roles=frozenset({"editor"}))
WRITE, EDIT = Scope("orders:write"), Role("editor")


def callers(service: str) -> frozenset[str]:
    return frozenset({"orders"} if service == "shop" else ())


async def outcome(bench: Any, need: Need, caller: Principal | None, peer: str = "") -> type[Problem] | None:
    operation = bench.operation("receipt", needs=need)
    try:
        await needs(callers)(operation, bench.serve)(bench.call(operation, caller=caller, peer=peer))
    except Problem as problem:
        return type(problem)
    return None


@pytest.mark.parametrize(
    ("need", "nobody", "alice", "writer", "editor", "both"),
    [
        (anyone, None, None, None, None, None),
        (signed_in, Unauthenticated, None, None, None, None),
        (Owner, Unauthenticated, None, None, None, None),
        (WRITE, Unauthenticated, Forbidden, None, Forbidden, None),
        (EDIT, Unauthenticated, Forbidden, Forbidden, None, None),
        (WRITE & EDIT, Unauthenticated, Forbidden, Forbidden, Forbidden, None),
        (WRITE | EDIT, Unauthenticated, Forbidden, None, None, None),
        (peers, NotFound, NotFound, NotFound, NotFound, NotFound),
        (peers & WRITE, NotFound, NotFound, NotFound, NotFound, NotFound),
        (peers | WRITE, Unauthenticated, Forbidden, None, Forbidden, None),
        ((peers & WRITE) | EDIT, Unauthenticated, Forbidden, Forbidden, None, None),
        ((peers | WRITE) & EDIT, Unauthenticated, Forbidden, Forbidden, Forbidden, None),
    ],
    ids=str,
)
async def test_who_may_from_outside(
    bench: Any, need: Need, nobody: Any, alice: Any, writer: Any, editor: Any, both: Any
) -> None:
    callers = (None, ALICE, WRITER, EDITOR, BOTH)

    assert [await outcome(bench, need, caller) for caller in callers] == [nobody, alice, writer, editor, both]


@pytest.mark.parametrize(
    ("need", "known_peer", "other_peer", "peer_for_writer"),
    [
        (peers, None, Forbidden, None),
        (peers | WRITE, None, Unauthenticated, None),
        (peers & WRITE, Unauthenticated, Unauthenticated, None),
        (WRITE, Unauthenticated, Unauthenticated, None),
        (signed_in, Unauthenticated, Unauthenticated, None),
        (anyone, None, None, None),
    ],
    ids=str,
)
async def test_who_may_among_services(
    bench: Any, need: Need, known_peer: Any, other_peer: Any, peer_for_writer: Any
) -> None:
    assert await outcome(bench, need, None, "orders") is known_peer
    assert await outcome(bench, need, None, "mail") is other_peer
    assert await outcome(bench, need, WRITER, "orders") is peer_for_writer


def test_what_anyone_may_costs_nothing(bench: Any) -> None:
    assert needs(callers)(bench.operation("receipt", needs=anyone), bench.serve) == bench.serve


async def test_a_refusal_says_what_a_token_would_need(bench: Any) -> None:
    operation = bench.operation("receipt", needs=(Scope("b") & EDIT) | Scope("a") | peers)
    handler = needs(callers)(operation, bench.serve)

    with pytest.raises(Forbidden) as caught:
        await handler(bench.call(operation, caller=ALICE))
    assert caught.value.challenge == 'error="insufficient_scope", scope="a b"'
    assert caught.value.needs == "scope b and role editor or scope a"  # nothing of peers
    with pytest.raises(Unauthenticated) as nobody:
        await handler(bench.call(operation))
    assert nobody.value.challenge == ""  # RFC 6750, 3.1: no error code for who said nothing


# -- all tenants


async def crossed(bench: Any, need: Need, caller: Principal | None, peer: str = "") -> bool | type[Problem]:
    """Whether the call became one of all tenants, or how it was refused."""
    operation = bench.operation("receipt", needs=need)
    call = bench.call(operation, caller=caller, peer=peer, tenant=caller.tenant if caller else "")
    try:
        await needs(callers)(operation, bench.serve)(call)
    except Problem as problem:
        return type(problem)
    return call.wide


async def test_who_belongs_to_no_tenant_sees_them_all_where_the_operation_says_so(bench: Any) -> None:
    assert await crossed(bench, EDIT & any_tenant, EDITOR) is True
    assert await crossed(bench, EDIT & any_tenant, ACME) is Forbidden
    assert await crossed(bench, EDIT & any_tenant, ALICE) is Forbidden
    assert await crossed(bench, EDIT, EDITOR) is False


async def test_only_the_part_that_lets_a_caller_in_decides_what_he_sees(bench: Any) -> None:
    need = Owner | (EDIT & any_tenant)

    assert await crossed(bench, need, EDITOR) is True
    assert await crossed(bench, need, ACME) is False
    assert await crossed(bench, need, ALICE) is False


async def test_a_service_may_cross_tenants_where_the_operation_is_for_peers(bench: Any) -> None:
    assert await crossed(bench, peers & any_tenant, None, "orders") is True
    assert await crossed(bench, peers & any_tenant, ACME, "orders") is True
    assert await crossed(bench, peers & any_tenant, EDITOR) is NotFound
    assert await crossed(bench, peers & any_tenant, None, "mail") is Unauthenticated


async def test_no_service_carries_a_person_across_by_the_role_that_his_own_tenant_gave_him(bench: Any) -> None:
    assert await crossed(bench, EDIT & any_tenant, ACME, "orders") is Forbidden
    assert await crossed(bench, EDIT & any_tenant, EDITOR, "orders") is True


# -- fresh log-ins


async def refused(bench: Any, need: Need, caller: Principal) -> Problem:
    operation = bench.operation("receipt", needs=need)
    with pytest.raises(Problem) as caught:
        await needs(callers)(operation, bench.serve)(bench.call(operation, caller=caller))
    return caught.value


async def test_who_proved_himself_too_long_ago_is_told_to_do_it_again(bench: Any) -> None:
    now = bench.clock.now().timestamp()
    need = Owner & Fresh("5m", "gold silver")
    fresh = Principal(subject="ann", authenticated=now - 300, assurance="silver")

    assert await outcome(bench, need, fresh) is None
    for stale in (
        Principal(subject="ann", authenticated=now - 301, assurance="gold"),
        Principal(subject="ann", authenticated=now, assurance="bronze"),
        Principal(subject="ann"),
    ):
        problem = await refused(bench, need, stale)

        assert isinstance(problem, Unauthenticated)
        assert problem.challenge == (
            'error="insufficient_user_authentication", acr_values="gold silver", max_age="300"'
        )


async def test_a_fresh_log_in_is_asked_for_only_where_it_would_help(bench: Any) -> None:
    problem = await refused(bench, EDIT & Fresh("5m"), ALICE)

    assert isinstance(problem, Forbidden)
    assert isinstance(await refused(bench, EDIT & Fresh("5m"), EDITOR), Unauthenticated)
    assert await outcome(bench, EDIT | Fresh("5m"), EDITOR) is None
