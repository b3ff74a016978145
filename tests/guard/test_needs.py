"""May he: 401 for nobody, 403 for the wrong one, 404 for what is not there for him."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.call import Principal
from enfilade.contract.need import Need, Owner, Role, Scope, anyone, peers, signed_in
from enfilade.errors import Forbidden, Misuse, NotFound, Problem, Unauthenticated
from enfilade.guard import needs

ALICE = Principal(subject="alice")
WRITER = Principal(subject="bob", scopes=frozenset({"orders:write"}))
EDITOR = Principal(subject="eve", roles=frozenset({"editor"}))
BOTH = Principal(subject="zoe", scopes=frozenset({"orders:write"}), roles=frozenset({"editor"}))
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


def test_a_need_that_no_guard_knows_does_not_start(bench: Any) -> None:
    class OnFridays(Need):
        pass

    with pytest.raises(Misuse, match="no guard knows"):
        needs(callers)(bench.operation("receipt", needs=signed_in & OnFridays()), bench.serve)
