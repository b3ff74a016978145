"""Guards that were probably forgotten."""

from __future__ import annotations

from enfilade.govern import severity


def test_rows_of_owners_that_any_caller_may_see_are_a_warning(program):
    program.edit("orders/contract.py", ", needs=Owner)", ")")

    finding = program.finding()

    assert (finding.rule, severity(finding)) == ("forgotten-owner", "warning")
    assert finding.where == program.at("orders/contract.py", "async def order(")
    assert "OrderRow" in finding.what


def test_a_service_that_asks_who_calls_guards_itself(program):
    program.edit("orders/contract.py", ", needs=Owner)", ")")
    program.edit(
        "orders/service.py", "        if row is None:\n", "        if row is None or row.customer != current().me:\n"
    )

    assert program.found() == []


def test_a_command_that_anyone_may_call_without_limit_is_a_warning(program):
    program.edit(
        "orders/contract.py", "status=201, raises=[Unsellable])", "status=201, raises=[Unsellable], needs=anyone)"
    )
    program.edit("orders/contract.py", "import Event, ", "import Rate, anyone, Event, ")

    assert program.found() == [("forgotten-rate", program.at("orders/contract.py", "async def place("))]


def test_a_command_with_a_rate_is_no_warning(program):
    program.edit(
        "orders/contract.py",
        "status=201, raises=[Unsellable])",
        'status=201, raises=[Unsellable], needs=anyone, rate=Rate("3/minute"))',
    )
    program.edit("orders/contract.py", "import Event, ", "import Rate, anyone, Event, ")

    assert program.found() == []


def test_a_budget_that_nothing_is_taken_from_is_a_warning(program):
    program.edit(
        "catalog/contract.py", "raises=[UnknownProduct])", 'raises=[UnknownProduct], rate=Rate("5 EUR/month"))'
    )
    program.edit("catalog/contract.py", "import Message, ", "import Rate, Message, ")

    finding = program.finding()

    assert (finding.rule, severity(finding)) == ("unspent-budget", "warning")
    assert finding.where == program.at("catalog/contract.py", "async def product(")


def test_a_budget_with_a_price_or_a_service_that_spends_is_no_warning(program):
    program.edit(
        "catalog/contract.py",
        "raises=[UnknownProduct])",
        'raises=[UnknownProduct], rate=[Rate("5 EUR/month", cost="0.01 EUR"), Rate("1MB/day"), Rate("9 looks/day")])',
    )
    program.edit("catalog/contract.py", "import Message, ", "import Rate, Message, ")
    program.edit("catalog/service.py", "import Money\n", "import Money, current\n")
    program.edit(
        "catalog/service.py", "        row = await", '        current().spend(1, "looks")\n        row = await'
    )

    assert program.found() == []
