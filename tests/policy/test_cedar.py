"""Policies in Cedar: the same answers as the contracts, and what they forbid on top."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Any, Protocol

import pytest

from enfilade import (
    Fresh,
    Message,
    Meta,
    Money,
    Owner,
    Principal,
    Role,
    Scope,
    Sensitive,
    any_tenant,
    anyone,
    command,
    peers,
    query,
    rule,
    signed_in,
)
from enfilade.call import Call, row
from enfilade.clock import VirtualClock
from enfilade.contract.operation import Operation
from enfilade.contract.read import read
from enfilade.errors import Forbidden, Problem, StartError
from enfilade.guard import Policy, needs, policies, rules
from enfilade.policy import cedar, policies_of, schema_of

CLOCK = VirtualClock()
NOW = CLOCK.now().timestamp()


class Card(Message):
    holder: str
    number: Sensitive[str]


@rule
def few(caller: Principal, quantity: int) -> bool:
    """Nine at most."""
    return quantity <= 9


class Desk(Protocol):
    """One operation for each need."""

    @query("GET /a", needs=anyone)
    async def a(self) -> None: ...
    @query("GET /b", needs=signed_in)
    async def b(self) -> None: ...
    @query("GET /c/{id}", needs=Owner)
    async def c(self, id: str) -> None: ...
    @query(needs=peers)
    async def d(self) -> None: ...
    @query("GET /e", needs=Scope("a") & Role('ed"itor'))
    async def e(self) -> None: ...
    @query("GET /f", needs=Role('ed"itor') | (Scope("b") & signed_in))
    async def f(self) -> None: ...
    @query("GET /g", needs=Role('ed"itor') & any_tenant)
    async def g(self) -> None: ...
    @query("GET /h", needs=peers & any_tenant & Scope("a"))
    async def h(self) -> None: ...
    @query("GET /i", needs=Owner | (Scope("b") & any_tenant) | peers)
    async def i(self) -> None: ...
    @query("GET /j", needs=Owner & Fresh("5m"))
    async def j(self) -> None: ...
    @query("GET /k", needs=Fresh(assurance="gold silver") | Role('ed"itor'))
    async def k(self) -> None: ...
    @command("POST /l", needs=Scope("a") & few)
    async def l(self, quantity: Annotated[int, Meta(ge=1)]) -> None: ...  # noqa: E743
    @command("POST /m", needs=(few | Role('ed"itor')) & (peers | Scope("b")))
    async def m(
        self, quantity: int, price: Money, card: Card, tags: tuple[str, ...] = (), note: str | None = None
    ) -> None: ...


CONTRACT = read(Desk)
PEERS = {"desk", "cart"}


def callers(service: str) -> set[str]:
    return PEERS


PRINCIPALS: list[Principal | None] = [None] + [
    Principal(
        subject=f"p{number}", scopes=frozenset(scopes), roles=frozenset(roles), tenant=tenant,
        authenticated=authenticated, assurance=assurance,
    )
    for number, (scopes, roles, tenant, authenticated, assurance) in enumerate(
        itertools.product(
            ["", "a", "b", "ab"], [(), ('ed"itor',)], ["", "acme"], [NOW - 300, NOW - 301], ["", "silver", "x"]
        )
    )
]  # fmt: skip
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "c": [{"id": "o/1"}],
    "l": [{"quantity": 9}, {"quantity": 10}],
    "m": [
        {
            "quantity": quantity,
            "price": Money.of(3, "EUR"),
            "card": Card(holder="ann", number="4111"),
            "tags": (),
            "note": note,
        }
        for quantity, note in ((9, None), (10, "x"))
    ],
}


def opened(folder: Path, *texts: str) -> Policy:
    for number, text in enumerate(texts):
        (folder / f"{number}.cedar").write_text(text)
    return cedar(folder).open([CONTRACT])


@pytest.fixture
def contracts() -> str:
    return policies_of([CONTRACT], callers)


def asked(operation: Operation, caller: Principal | None, peer: str, arguments: dict[str, Any]) -> Call:
    return Call(operation, arguments, CLOCK, 1.0, caller=caller, tenant=caller.tenant if caller else "", peer=peer)


async def served(call: Call) -> None: ...


async def outcome(policy: Policy | None, call: Call) -> type[Problem] | None:
    handler = row(call.operation, (needs(callers), rules(callers), policies(policy)), served)
    try:
        await handler(call)
    except Problem as problem:
        return type(problem)
    return None


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda one: str(one.needs))
async def test_contracts_and_cedar_give_the_same_answers(operation: Operation, contracts: str, tmp_path: Path) -> None:
    decide = opened(tmp_path, contracts).of(operation)
    assert decide is not None
    answers: set[bool] = set()
    for caller, peer in itertools.product(PRINCIPALS, ("", "cart")):
        for arguments in ARGUMENTS.get(operation.name, [{}]):
            call = asked(operation, caller, peer, arguments)
            contract = await outcome(None, call) is None
            decision = decide(call)

            assert decision.allowed == contract, f"{operation.needs}: {caller} by {peer!r} with {arguments}"
            assert decision.by == ((operation.id,) if contract else ())
            answers.add(contract)
    assert answers == ({True} if operation.needs is anyone else {True, False})


async def test_a_central_policy_forbids_what_the_contracts_allow_and_is_named(contracts: str, tmp_path: Path) -> None:
    policy = opened(
        tmp_path,
        contracts,
        """
        @id("no-bulk") forbid (principal, action == Action::"desk.m", resource)
        when { context.arguments.quantity > 5 && context.arguments.price.currency == "EUR" };

        // tags are a set, and what may be missing is asked for first
        forbid (principal, action in Action::"desk", resource)
        when { principal is Caller && principal.tenant != resource.tenant };
        """,
    )
    operation = CONTRACT.operation("m")
    boss = Principal(subject="ann", roles=frozenset({'ed"itor'}), scopes=frozenset("b"))
    many, few = (asked(operation, boss, "", {**ARGUMENTS["m"][0], "quantity": quantity}) for quantity in (6, 5))

    assert [await outcome(policy, call) for call in (many, few)] == [Forbidden, None]
    assert (many.policies, few.policies) == (("no-bulk",), ("desk.m",))
    few.tenant = "zeta"
    assert await outcome(policy, few) is Forbidden
    assert few.policies == (f"{tmp_path}/1.cedar:6",)


async def test_what_a_policy_permits_and_the_contract_does_not_is_not_allowed(tmp_path: Path) -> None:
    policy = opened(tmp_path, "permit (principal, action, resource);")

    assert await outcome(policy, asked(CONTRACT.operation("e"), PRINCIPALS[1], "", {})) is Forbidden
    assert await outcome(policy, asked(CONTRACT.operation("b"), PRINCIPALS[1], "", {})) is None


async def test_a_policy_may_ask_for_the_owner_where_a_caller_sees_his_own_rows_only(tmp_path: Path) -> None:
    policy = opened(
        tmp_path, "permit (principal, action, resource) when { resource has owner && resource.owner == principal };"
    )
    ann = Principal(subject="ann")

    assert await outcome(policy, asked(CONTRACT.operation("c"), ann, "", {"id": "1"})) is None
    assert await outcome(policy, asked(CONTRACT.operation("b"), ann, "", {})) is Forbidden


async def test_a_policy_that_cannot_be_evaluated_lets_nobody_in(tmp_path: Path) -> None:
    policy = opened(
        tmp_path,
        "permit (principal, action, resource);",
        'forbid (principal, action == Action::"desk.l", resource) '
        "when { context.arguments.quantity * 4611686018427387904 > 3 };",
    )
    call = asked(CONTRACT.operation("l"), Principal(subject="a", scopes=frozenset("a")), "", {"quantity": 9})

    assert await outcome(policy, call) is Forbidden
    assert call.policies == ()


async def test_what_is_sensitive_is_told_to_no_policy() -> None:
    schema = schema_of([CONTRACT])

    assert '"card": {"holder": String}' in schema
    assert '"note"?: String' in schema


async def test_handlers_and_timers_are_no_policys_business(tmp_path: Path) -> None:
    class Other(Protocol):
        @query(needs=anyone)
        async def it(self) -> None: ...

    policy = opened(tmp_path, "forbid (principal, action, resource);")
    operation = read(Other).operation("it")

    assert policies(policy)(operation, served) is served
    assert policies(None)(CONTRACT.operation("a"), served) is served


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('\n@id("x")\npermit (principal, action, resource) when { principal.scope };', ":2", "attribute `scope`"),
        ('permit (principal, action == Action::"desk.z", resource);', ":1", "unrecognized action"),
        ("permit (principal, action, resource);\n\npermit (principal, action resource);", ":3", "this is no policy"),
        ("allow (principal);", "", "invalid policy effect"),
        ("permit (principal == ?principal, action, resource);", ":1", "a template"),
        (
            '@id("a") permit (principal, action, resource);\n@id("a") permit (principal, action, resource);',
            ":2",
            "also at",
        ),
        ("// nothing yet\n", None, "there is no policy in it"),
    ],
)
def test_a_bad_policy_stops_the_start_with_its_place(text: str, where: str | None, what: str, tmp_path: Path) -> None:
    with pytest.raises(StartError) as caught:
        opened(tmp_path, text)

    places = [one.where for one in caught.value.findings]
    assert places[0] == (str(tmp_path) if where is None else f"{tmp_path}/0.cedar{where}")
    assert what in caught.value.findings[0].what
    assert all(one.remedy for one in caught.value.findings)


def test_a_folder_that_is_not_there_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="enfilade policy export"):
        cedar(tmp_path / "none").open([CONTRACT])
