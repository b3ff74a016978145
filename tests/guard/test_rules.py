"""Rules: what a program asks of the caller and of the arguments."""

from __future__ import annotations

from typing import Annotated, Any, Protocol, cast, final

import pytest

from enfilade import App, Meta, Principal, Role, Sensitive, command, contract, peers, rule, signed_in
from enfilade.call import row
from enfilade.contract.need import Need
from enfilade.contract.read import read
from enfilade.errors import Forbidden, Problem, StartError, Unauthenticated
from enfilade.guard import needs, rules
from enfilade.testing import Caller, Stage

ANN = Principal(subject="ann", roles=frozenset({"support"}))
EVE = Principal(subject="eve", roles=frozenset({"support", "manager"}))


@rule
def few(caller: Principal, quantity: int) -> bool:
    """Nine at most, unless a manager asks."""
    return quantity <= 9 or "manager" in caller.roles


@rule
def tea_only(sku: str) -> bool:
    return sku == "tea"


def callers(service: str) -> frozenset[str]:
    return frozenset({"orders"})


async def outcome(
    bench: Any, need: Need, caller: Principal | None, *, peer: str = "", **arguments: object
) -> Problem | None:
    operation = bench.operation("buy", needs=need)
    handler = row(operation, (needs(callers), rules(callers)), bench.serve)
    try:
        await handler(bench.call(operation, caller=caller, peer=peer, arguments=arguments))
    except Problem as problem:
        return problem
    return None


async def test_a_rule_decides_by_the_caller_and_the_arguments(bench: Any) -> None:
    need = Role("support") & few

    assert await outcome(bench, need, ANN, quantity=9) is None
    assert isinstance(await outcome(bench, need, ANN, quantity=10), Forbidden)
    assert await outcome(bench, need, EVE, quantity=10) is None
    assert isinstance(await outcome(bench, need, Principal(subject="bob"), quantity=1), Forbidden)


async def test_nobody_is_asked_to_sign_in_where_a_rule_asks_for_the_caller(bench: Any) -> None:
    assert isinstance(await outcome(bench, few | Role("owner"), None), Unauthenticated)
    assert await outcome(bench, tea_only | peers, None) is None


async def test_a_refusal_says_what_the_rule_asks(bench: Any) -> None:
    refusal = await outcome(bench, Role("support") & few, ANN, quantity=10)

    assert isinstance(refusal, Forbidden)
    assert refusal.detail == "shop.buy needs role support and rule few. Nine at most, unless a manager asks."


async def test_a_rule_is_asked_of_calls_between_services_too(bench: Any) -> None:
    assert isinstance(await outcome(bench, peers & few, ANN, peer="orders", quantity=10), Forbidden)
    assert await outcome(bench, peers & few, EVE, peer="orders", quantity=10) is None


async def test_what_a_token_lacks_is_refused_before_the_request_is_read(bench: Any) -> None:
    operation = bench.operation("buy", needs=Role("support") & few)
    call = bench.call(operation, caller=Principal(subject="bob"))
    call.arguments = {}

    with pytest.raises(Forbidden):
        needs(callers)(operation, bench.serve)(call)


def test_without_rules_nothing_is_asked_again(bench: Any) -> None:
    assert rules(callers)(bench.operation("buy", needs=signed_in & Role("a")), bench.serve) == bench.serve


async def test_a_rule_that_breaks_lets_nobody_in(bench: Any) -> None:
    @rule
    def broken(quantity: int) -> bool:
        return bool(1 / 0)

    with pytest.raises(ZeroDivisionError):
        await outcome(bench, signed_in & broken, ANN)

    assert bench.served == 0


def test_a_rule_is_still_a_function() -> None:
    assert few(ANN, quantity=3)
    assert not few(ANN, 10)


# -- what is found when the contract is read

Amount = Annotated[int, Meta(ge=1)]


@rule
def of_another(quantity: int, colour: str) -> bool:
    return True


@rule
def of_text(quantity: str) -> bool:
    return True


@rule
def wide(caller: Principal | None, quantity: int | None, note: object) -> bool:
    return True


async def waiting(quantity: int) -> bool:
    return True


@rule
def silent(quantity: int):  # pyright infers it; the platform wants it written
    return True


@rule
def stranger(caller: str) -> bool:
    return True


def contract_with(need: Need) -> type:
    class Shop(Protocol):
        @command("POST /buy", needs=signed_in & need)
        async def buy(self, quantity: Amount, note: Sensitive[str] = "") -> None: ...

    return Shop


@pytest.mark.parametrize(
    ("need", "what"),
    [
        (of_another, "the rule of_another asks for colour, which buy does not take."),
        (of_text, "the rule of_text takes quantity as str, and buy as int."),
        (rule(cast("Any", waiting)), "the rule waiting is async."),
        (silent, "the rule silent does not say that it returns bool."),
        (stranger, "the rule stranger takes a caller who is no Principal."),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_a_rule_that_cannot_be_asked_is_found_at_the_start(need: Need, what: str) -> None:
    with pytest.raises(StartError) as caught:
        read(contract_with(need))

    assert [one.what for one in caught.value.findings] == [what]


def test_a_rule_may_take_more_than_it_is_given() -> None:
    assert str(read(contract_with(wide | few)).operation("buy").needs) == "signed in and (rule wide or rule few)"


def test_a_need_that_no_guard_knows_does_not_start() -> None:
    class OnFridays(Need):
        pass

    with pytest.raises(StartError, match="no guard knows the need"):
        read(contract_with(OnFridays()))


# -- over the whole row


@contract(needs=Role("support") & few)
class Till(Protocol):
    @command("POST /buy")
    async def buy(self, quantity: Amount) -> int: ...


@final
class TillService(Till):
    async def buy(self, quantity: Amount) -> int:
        return quantity


async def test_a_request_is_refused_by_role_before_it_is_read_and_by_rule_after() -> None:
    app = App("till", services=[Till])
    app.service(Till).by(TillService)
    async with Stage(app) as stage:

        async def buy(who: Caller, quantity: object) -> int:
            return (await stage.http.post("/buy", json={"quantity": quantity}, headers=who.headers)).status_code

        ann, eve = stage.acting("ann", roles=["support"]), stage.acting("eve", roles=["support", "manager"])

        assert await buy(stage.acting("bob"), "nonsense") == 403
        assert await buy(ann, "nonsense") == 422
        assert [await buy(ann, 10), await buy(ann, 9), await buy(eve, 10), await buy(stage.nobody, 9)] == [
            403,
            200,
            200,
            401,
        ]
