"""Why a call is allowed or denied, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from enfilade import Owner, Principal, Role, Scope, command, peers, query, rule
from enfilade.call import Call
from enfilade.clock import VirtualClock
from enfilade.contract.read import read
from enfilade.policy import Explanation, cedar, explain


@rule
def few(quantity: int) -> bool:
    """Nine at most."""
    return quantity <= 9


class Desk(Protocol):
    @command("POST /buy", needs=(Scope("buy") & few) | Role("manager"))
    async def buy(self, quantity: int) -> None: ...

    @query("GET /a", needs=Owner)
    async def mine(self) -> None: ...

    @query(needs=peers)
    async def stock(self) -> None: ...


def explained(
    name: str, caller: Principal | None, peer: str = "", policy: Any = None, **arguments: object
) -> Explanation:
    call = Call(read(Desk).operation(name), dict(arguments), VirtualClock(), 0.0, caller=caller, peer=peer)
    return explain(call, lambda service: {"cart"}, policy)


ANN = Principal(subject="ann", scopes=frozenset({"buy"}))


def test_each_part_of_a_need_has_its_yes_or_no() -> None:
    told = explained("buy", ANN, quantity=10)

    assert [(part.depth, part.text, part.met) for part in told.parts] == [
        (0, "one of", False),
        (1, "all of", False),
        (2, "scope buy", True),
        (2, "rule few: Nine at most.", False),
        (1, "role manager", False),
    ]
    assert (told.allowed, told.status, told.lacks) == (False, 403, "rule few to hold or role manager")
    assert explained("buy", ANN, quantity=9).allowed


def test_what_depends_on_arguments_that_nobody_said_is_left_open_where_it_matters() -> None:
    assert explained("buy", ANN).allowed is None
    assert explained("buy", Principal(subject="bob")).lacks == "scope buy and rule few to hold or role manager"
    assert explained("buy", Principal(subject="bob")).status == 403


def test_it_says_what_the_guards_would_answer() -> None:
    assert explained("mine", None).status == 401
    assert explained("stock", ANN).status == 404
    assert explained("stock", ANN, "mail").status == 403
    assert explained("stock", None, "cart").status == 200
    assert explained("stock", ANN).lacks == "to be a service whose constructor names the contract"


def test_no_scope_of_a_person_opens_what_is_for_services_and_none_closes_it() -> None:
    everything = Principal(subject="root", scopes=frozenset({"buy", "peers"}), roles=frozenset({"manager", "peers"}))

    assert explained("stock", everything).status == 404
    assert explained("stock", Principal(subject="ann"), "cart").allowed
    assert explained("stock", None, "cart").allowed


def test_the_policy_that_decided_is_named(tmp_path: Path) -> None:
    (tmp_path / "all.cedar").write_text(
        "permit (principal, action, resource);\n"
        '@id("no-bulk") forbid (principal, action == Action::"desk.buy", resource)'
        " when { context.arguments.quantity > 5 };\n"
    )
    policy = cedar(tmp_path).open([read(Desk)])
    told = explained("buy", ANN, policy=policy, quantity=6)

    assert (told.allowed, told.status, told.policies) == (False, 403, ("no-bulk",))
    assert told.lacks == "a policy that permits it, and none that forbids it"
    assert explained("buy", ANN, policy=policy, quantity=5).policies == (f"{tmp_path}/all.cedar:1",)
    assert explained("mine", ANN, policy=policy).allowed
