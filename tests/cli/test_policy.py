"""`enfilade policy`: export and explain, of an app with central policies."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from enfilade.cli.target import load_app
from enfilade.errors import Forbidden
from enfilade.testing import Stage

APP = '''
from dataclasses import dataclass
from typing import Protocol, final

from enfilade import App, Money, Principal, Role, command, contract, peers, query, rule
from enfilade.policy import cedar


@rule
def may_refund(caller: Principal, amount: Money) -> bool:
    """Support refunds up to 50, a manager any amount."""
    return "manager" in caller.roles or amount <= Money.of(50, amount.currency)


@contract(needs=peers)
class Ledger(Protocol):
    @command()
    async def book(self, amount: Money) -> None: ...


@contract(needs=Role("support"))
class Refunds(Protocol):
    @command("POST /orders/{id}/refund", needs=Role("support") & may_refund)
    async def refund(self, id: str, amount: Money) -> None: ...


@final
class LedgerService(Ledger):
    async def book(self, amount: Money) -> None: ...


@final
@dataclass
class RefundsService(Refunds):
    ledger: Ledger

    async def refund(self, id: str, amount: Money) -> None:
        await self.ledger.book(amount)


app = App("shop", services=[Ledger, Refunds], policy=cedar("policies"))
app.service(Ledger).by(LedgerService)
app.service(Refunds).by(RefundsService)
'''
CONTRACTS = """\
// peers
@id("ledger.book")
permit (principal, action == Action::"ledger.book", resource)
when { ["ledger", "refunds"].contains(context.peer) };

// role support and rule may_refund
@id("refunds.refund")
permit (principal, action == Action::"refunds.refund", resource)
when { (principal is Caller && principal.roles.contains("support")) && context.rules.contains("may_refund") };
"""
EUROS = """
@id("only-euro")
forbid (principal, action in Action::"refunds", resource)
unless { context.arguments.amount.currency == "EUR" };
"""
FIFTY = ("--argument", 'amount={"amount":"50","currency":"EUR"}')


@pytest.fixture
def shop(project: Any) -> Any:
    (project.folder / "refunds.py").write_text(APP)
    (project.folder / "policies").mkdir()
    (project.folder / "policies/contracts.cedar").write_text(CONTRACTS + EUROS)
    return project


def explain(shop: Any, *arguments: str) -> tuple[int, str]:
    result = shop.run("policy", "explain", "refunds.refund", "--app", "refunds:app", *arguments)
    return result.exit_code, result.output


def test_the_contracts_are_exported_as_policies(shop: Any) -> None:
    assert shop.run("policy", "export", "refunds:app").output == CONTRACTS


def test_the_schema_says_what_policies_may_ask(shop: Any) -> None:
    schema = shop.run("policy", "export", "refunds:app", "--schema").output

    assert 'action "refunds.refund" in [Action::"refunds"] appliesTo {' in schema
    assert 'arguments: {"id": String, "amount": {"amount": String, "currency": String}}' in schema


def test_what_is_allowed_is_explained(shop: Any) -> None:
    code, text = explain(shop, "--as", "ann", "--role", "support", *FIFTY)

    assert code == 0
    assert text == (
        "refunds.refund  POST /orders/{id}/refund\n"
        "  yes all of\n"
        "  yes   role support\n"
        "  yes   rule may_refund: Support refunds up to 50, a manager any amount.\n"
        "  decided by refunds.refund\n"
        "Allowed.\n"
    )


def test_what_is_denied_says_what_it_would_need(shop: Any) -> None:
    assert "Denied with 401. It would need role support and rule may_refund to hold." in explain(shop, *FIFTY)[1]
    code, text = explain(
        shop, "--as", "ann", "--role", "support", "--argument", 'amount={"amount":"51","currency":"EUR"}'
    )
    assert code == 1
    assert "Denied with 403. It would need rule may_refund to hold." in text
    code, text = explain(
        shop, "--as", "ann", "--role", "support", "--argument", 'amount={"amount":"1","currency":"USD"}'
    )
    assert "decided by only-euro\nDenied with 403. It would need a policy that permits it, and none that" in text
    assert "It depends on arguments" in explain(shop, "--as", "ann", "--role", "support")[1]


def test_an_internal_operation_is_allowed_to_the_service_that_names_it(shop: Any) -> None:
    def ask(*arguments: str) -> Any:
        result = shop.run("policy", "explain", "ledger.book", "--app", "refunds:app", "--json", *FIFTY, *arguments)
        return json.loads(result.output)["status"]

    assert ask("--peer", "refunds") == 200
    assert ask("--as", "root", "--role", "support", "--scope", "ledger") == 404
    assert ask("--peer", "mail") == 403


def test_a_name_that_is_none_is_told_with_those_there_are(shop: Any) -> None:
    result = shop.run("policy", "explain", "refunds.refnd", "--app", "refunds:app")
    assert result.exit_code != 0
    assert "refunds.refund" in result.output
    assert "it has: id, amount" in explain(shop, "--argument", "sum=3")[1]
    assert "amount" in explain(shop, "--argument", "amount=3")[1]


def test_the_app_decides_by_its_policies(shop: Any) -> None:
    async def run() -> None:
        app = load_app("refunds:app")
        refunds: Any = app.services[1]
        ledger: Any = app.services[0]
        async with Stage(app) as stage:
            ann = stage.acting("ann", roles=["support"])
            amount = refunds.refund.__globals__["Money"].of
            await ann.of(refunds).refund("1", amount(50, "EUR"))
            with pytest.raises(Forbidden, match="No policy allows"):
                await ann.of(refunds).refund("1", amount(50, "USD"))
            with pytest.raises(Forbidden, match="rule may_refund"):
                await ann.of(refunds).refund("1", amount(51, "EUR"))
            with pytest.raises(Forbidden, match="No policy allows"):
                await stage.of(ledger).book(amount(1, "EUR"))  # tests are a peer here, and no policy knows them

    asyncio.run(run())
