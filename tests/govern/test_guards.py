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


def test_rows_that_belong_to_nobody_are_a_warning_where_every_caller_finds_them_by_an_id(program):
    program.edit("orders/contract.py", ", needs=Owner)", ", needs=signed_in)")
    program.edit("orders/contract.py", "import Event, ", "import signed_in, Event, ")
    program.edit("orders/service.py", "    customer: Owned[str]\n", "    customer: str\n")

    assert program.found() == [("forgotten-owner", program.at("orders/contract.py", "async def order("))]


def test_an_id_that_is_not_in_the_path_is_one_all_the_same(program):
    program.edit(
        "orders/contract.py",
        '"GET /orders/{id}", raises=[UnknownOrder], needs=Owner',
        '"GET /order", raises=[UnknownOrder]',
    )

    assert program.found() == [("forgotten-owner", program.at("orders/contract.py", "async def order("))]


def test_a_rule_about_the_caller_and_the_id_is_a_guard(program):
    program.edit("orders/contract.py", ", needs=Owner)", ", needs=Scope('orders') & mine)")
    program.edit("orders/contract.py", "import Event, ", "import Principal, rule, Event, ")
    program.edit(
        "orders/contract.py",
        "class Order(Message):",
        "@rule\ndef mine(caller: Principal, id: str) -> bool:\n    return id != caller.kind\n\n\nclass Order(Message):",
    )

    assert program.found() == []


def test_what_crosses_tenants_and_does_not_say_who_may_is_an_error(program):
    program.edit("orders/contract.py", ", needs=Owner)", ", needs=Owner & any_tenant)")
    program.edit("orders/contract.py", "import Event, ", "import any_tenant, Event, ")

    finding = program.finding()
    assert (finding.rule, severity(finding)) == ("any-tenant-alone", "error")
    assert finding.where == program.at("orders/contract.py", "async def order(")


def test_what_crosses_tenants_for_a_role_or_for_services_is_none(program):
    program.edit(
        "orders/contract.py", ", needs=Owner)", ", needs=Owner | (Role('op') & any_tenant) | (peers & any_tenant))"
    )
    program.edit("orders/contract.py", "import Event, ", "import Role, any_tenant, peers, Event, ")

    assert program.found() == []


def test_an_operation_without_a_guard_is_found(program):
    program.edit("orders/contract.py", '@contract(needs=Scope("orders"))', "@contract()")

    assert [rule for rule, _ in program.found()] == ["access"]


def test_a_rule_that_asks_for_what_the_operation_does_not_take_is_found(program):
    program.edit("orders/contract.py", ", needs=Owner)", ", needs=Owner & small)")
    program.edit("orders/contract.py", "import Event, ", "import rule, Event, ")
    program.edit(
        "orders/contract.py",
        "class Order(Message):",
        "@rule\ndef small(amount: int) -> bool:\n    return amount < 3\n\n\nclass Order(Message):",
    )

    finding = program.finding()
    assert (finding.rule, finding.where) == ("rule", program.at("orders/contract.py", "async def order("))


def test_a_bad_central_policy_is_found_with_its_place(program):
    program.edit("app.py", "services=[Catalog, Orders])", "services=[Catalog, Orders], policy=cedar('policies'))")
    program.edit(
        "app.py", "from enfilade import App\n", "from enfilade import App\nfrom enfilade.policy import cedar\n"
    )
    policies = program.folder.parent / "policies"
    policies.mkdir()
    (policies / "all.cedar").write_text(
        'permit (principal, action, resource);\nforbid (principal, action == Action::"orders.plac", resource);'
    )

    assert set(program.found()) == {("policy", "policies/all.cedar:2")}
    (policies / "all.cedar").write_text("permit (principal, action, resource);")
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
