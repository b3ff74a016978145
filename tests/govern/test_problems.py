"""Problems that leave an operation undeclared."""

from __future__ import annotations


def test_a_problem_that_is_raised_and_not_declared_is_found(program):
    program.edit("orders/service.py", "            raise UnknownOrder()", "            raise Unsellable()  # planted")

    finding = program.finding()

    assert (finding.rule, finding.where) == ("undeclared-problem", program.at("orders/service.py", "# planted"))
    assert "orders.order may answer with Unsellable" in finding.what
    assert "raises= of Orders.order" in finding.remedy


def test_a_problem_of_a_called_operation_is_found_with_the_way_it_came(program):
    program.edit(
        "orders/service.py", "        except UnknownProduct as unknown:", "        except Unsellable as unknown:"
    )

    finding = program.finding()

    assert finding.rule == "undeclared-problem"
    assert finding.where == program.at("orders/service.py", "self.catalog.product(sku)")
    assert "UnknownProduct" in finding.what
    assert "(place -> _product -> catalog.product)" in finding.what


def test_a_problem_that_is_caught_by_a_base_or_suppressed_is_none(program):
    program.edit(
        "orders/service.py",
        "        row = await self.orders.get(id)\n        if row is None:\n",
        "        try:\n            await self.catalog.product(id)\n        except Exception:\n            pass\n"
        "        with contextlib.suppress(UnknownProduct):\n            await self.catalog.product(id)\n"
        "        await asyncio.gather(self.catalog.product(id), return_exceptions=True)\n"
        "        row = await self.orders.get(id)\n        if row is None:\n",
    )

    assert program.found() == []


def test_a_problem_that_is_raised_again_is_found(program):
    program.edit("orders/service.py", "            raise Unsellable() from unknown", "            raise")

    assert program.found() == [("undeclared-problem", program.at("orders/service.py", "self.catalog.product(sku)"))]


def test_a_problem_raised_again_by_its_name_is_found(program):
    program.edit("orders/service.py", "            raise Unsellable() from unknown", "            raise unknown")

    assert program.found() == [("undeclared-problem", program.at("orders/service.py", "self.catalog.product(sku)"))]


def test_a_problem_comes_through_functions_of_the_folder_and_inner_functions(program):
    program.write(
        "orders/price.py",
        "from PKG.orders.contract import UnknownOrder\n\n\ndef price():\n    raise UnknownOrder()  # far\n",
    )
    program.edit("orders/service.py", "import asyncio\n", "import asyncio\nfrom PKG.orders import price\n")
    program.edit(
        "orders/service.py",
        "        product = await self._product(sku)\n",
        "        async def one() -> Product:\n            return await self.catalog.product(sku)  # near\n\n"
        "        price.price()\n        product = await one()\n",
    )

    assert program.found() == [
        ("undeclared-problem", program.at("orders/price.py", "# far")),
        ("undeclared-problem", program.at("orders/service.py", "# near")),
    ]


def test_a_declared_base_covers_its_kinds(program):
    program.edit(
        "orders/contract.py",
        "class Unsellable(Problem",
        "class Sold(Problem, status=422):\n    pass\n\n\nclass Unsellable(Sold",
    )
    program.edit("orders/contract.py", "raises=[Unsellable]", "raises=[Sold]")

    assert program.found() == []


def test_the_platforms_own_problems_need_no_word(program):
    program.edit("orders/service.py", "            raise UnknownOrder()", "            raise Conflict()")

    assert program.found() == []


def test_a_kind_of_a_platform_problem_is_declared_like_any_other(program):
    program.edit("orders/service.py", "            raise UnknownOrder()", "            raise Gone()  # planted")
    program.edit(
        "orders/service.py",
        "class Sales(Message)",
        "class Gone(Conflict, status=410):\n    pass\n\n\nclass Sales(Message)",
    )

    assert program.found() == [("undeclared-problem", program.at("orders/service.py", "# planted"))]


def test_handlers_may_raise_what_they_like(program):
    program.method("""
@on(OrderPlaced)
async def again(self, event: OrderPlaced) -> None:
    await self.catalog.product(event.order.sku)
    raise Unsellable()
""")

    assert program.found() == []
