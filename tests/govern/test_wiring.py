"""What serves each contract, and whether it can be given what it asks for."""

from __future__ import annotations

INIT = """
    def __init__(
        self, catalog: Catalog, database: Database, orders: Table[OrderRow], placed: Topic[OrderPlaced]
    ) -> None:
        self.catalog = catalog
        self.database = database
        self.orders = orders
        self.placed = placed
"""


def test_a_contract_that_nobody_serves_is_found(program):
    (program.folder / "orders/service.py").unlink()

    finding = program.finding()

    assert finding.rule == "no-implementation"
    assert f"{program.name}/orders/service.py" in finding.remedy


def test_a_method_that_is_missing_is_found_among_other_things(program):
    program.edit("orders/service.py", "    async def order(self", "    async def ordr(self")
    program.edit("orders/service.py", "            raise Unsellable() from unknown", "            raise")

    assert [rule for rule, _ in program.found()] == ["missing-method", "undeclared-problem"]


def test_another_default_and_other_names_are_found(program):
    program.edit("orders/service.py", "quantity: Quantity = 1", "quantity: Quantity = 2")
    program.edit(
        "orders/service.py", "    async def order(self, id: str)", "    async def order(self, key: str, id: str = '')"
    )

    assert [rule for rule, _ in program.found()] == ["default", "parameters"]


def test_a_constraint_that_the_service_leaves_out_is_found(program):
    program.edit("orders/service.py", "quantity: Quantity = 1", "quantity: int = 1")

    finding = program.finding()

    assert finding.rule == "constraint"
    assert "place(quantity)" in finding.what
    assert "ge=1" in finding.what


def test_a_service_that_asks_for_what_nobody_gives_is_found(program):
    program.edit("app.py", "services=[Catalog, Orders]", "services=[Orders]")
    program.edit("orders/service.py", "    http: Http\n", "    http: Http\n    limit: int\n")

    findings = program.check().findings

    assert [one.rule for one in findings] == ["injection", "injection"]
    assert "asks for catalog: Catalog, and nobody serves that contract" in findings[0].what
    assert "Add Catalog to the services of the app" in findings[0].remedy
    assert "asks for limit: int" in findings[1].what


def test_what_may_be_absent_may_be_absent(program):
    program.edit("app.py", "services=[Catalog, Orders]", "services=[Orders]")
    program.edit("orders/service.py", "    catalog: Catalog\n", "    catalog: Catalog | None\n")
    program.edit(
        "orders/service.py",
        "            return await self.catalog.product(sku)\n",
        "            raise UnknownProduct()\n",
    )

    assert program.found() == []


def test_settings_that_are_missing_are_found(program):
    program.edit(
        "orders/service.py",
        "class Sales(Message)",
        "from enfilade.service import Settings\n\n\nclass Limits(Settings):\n    most: int\n\n\nclass Sales(Message)",
    )
    program.edit("orders/service.py", "    http: Http\n", "    http: Http\n    limits: Limits\n")

    assert [rule for rule, _ in program.found()] == ["settings"]


def test_things_that_need_one_another_are_found(program):
    program.edit(
        "orders/service.py",
        "class Sales(Message)",
        """class Ring:
    def __init__(self, other: "Ring") -> None: ...
    async def __aenter__(self) -> "Ring": ...
    async def __aexit__(self, *error: object) -> None: ...


class Sales(Message)""",
    )
    program.edit("orders/service.py", "    http: Http\n", "    http: Http\n    ring: Ring\n")

    finding = program.finding()

    assert finding.rule == "injection"
    assert "OrdersService -> Ring -> Ring need one another" in finding.what


def test_a_service_by_init_is_read_like_a_dataclass(program):
    program.edit("orders/service.py", "@final\n@dataclass\n", "@final\n")
    for field in ("catalog: Catalog", "http: Http", "database: Database", "orders: Table[OrderRow]"):
        program.edit("orders/service.py", f"    {field}\n", "")
    program.edit("orders/service.py", "    placed: Topic[OrderPlaced]\n", INIT)
    program.edit("orders/service.py", "            raise Unsellable() from unknown", "            raise")

    assert program.found() == [("undeclared-problem", program.at("orders/service.py", "self.catalog.product(sku)"))]


def test_a_contract_that_cannot_be_read_is_found_with_all_its_mistakes(program):
    program.edit("orders/contract.py", '@contract(needs=Scope("orders"))\n', "")
    program.edit(
        "orders/contract.py",
        "    async def order(self, id: str) -> Order:",
        "    async def order(self, id: list[str]) -> Order:",
    )

    assert len(program.check().findings) >= 2


def test_handlers_that_take_what_they_do_not_hear_are_found(program):
    program.edit(
        "orders/service.py",
        "    async def count(self, event: OrderPlaced) -> None:",
        "    async def count(self, event: Order) -> None:",
    )

    assert [rule for rule, _ in program.found()] == ["handler-event"]


def test_a_service_that_cannot_be_imported_is_a_finding(program):
    program.edit("orders/service.py", "import asyncio\n", "import asyncio\nimport nowhere_at_all\n")

    finding = program.finding()

    assert (finding.rule, finding.where) == ("import", program.at("orders/service.py", "nowhere_at_all"))
    assert "nowhere_at_all" in finding.what
