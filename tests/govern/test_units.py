"""Units of work: what is inside, what is outside, and how many there are."""

from __future__ import annotations

import pytest

BOTH = """if sku:
            await self._record(row)
        else:
            await self._record(row)
        return await self._record(row)  # planted"""
AGAIN = """while True:
            try:
                await self._record(row)
                break
            except Conflict:
                continue
        return row.into(Order)"""
EITHER = """if sku:
            await self._record(row)
        if not sku:
            await self._record(row)
        return row.into(Order)"""
RECORD = "        await self.orders.add(row)\n        order = row.into(Order)\n"


@pytest.mark.parametrize(
    "line",
    [
        "await self.catalog.product(row.sku)",
        'await self.http.request("GET", "https://x.example")',
        "await asyncio.sleep(1)",
    ],
)
def test_a_foreign_await_in_a_unit_of_work_is_found(program, line):
    guarded = f"        with contextlib.suppress(UnknownProduct):\n            {line}  # planted\n"
    program.edit("orders/service.py", RECORD, guarded + RECORD)

    finding = program.finding()

    assert (finding.rule, finding.where) == ("foreign-await", program.at("orders/service.py", "# planted"))
    assert "inside @atomic _record" in finding.what


def test_a_foreign_await_is_found_through_the_methods_that_lead_to_it(program):
    program.edit("orders/service.py", RECORD, f"        await self._product(row.sku)\n{RECORD}")

    finding = program.finding()

    assert finding.where == program.at("orders/service.py", "self.catalog.product(sku)")
    assert "(_record -> _product)" in finding.what


@pytest.mark.parametrize(
    "line",
    [
        "await self.orders.add(row)",
        "await self.orders.put(row)",
        'await self.orders.delete("id")',
        'await self.database.run("delete from \\"order\\"")',
        "await self.placed.publish(OrderPlaced(order=row.into(Order)))",
    ],
)
def test_a_write_outside_of_a_unit_of_work_is_found(program, line):
    program.edit(
        "orders/service.py",
        "        return await self._record(row)",
        f"        {line}  # planted\n        return row.into(Order)",
    )

    finding = program.finding()

    assert (finding.rule, finding.where) == ("write-outside-atomic", program.at("orders/service.py", "# planted"))
    assert "(place)" in finding.what


def test_a_write_in_a_handler_is_found_through_its_methods(program):
    program.method("""
@every("1h")
async def sweep(self) -> None:
    await self._drop("old")

async def _drop(self, id: str) -> None:
    await self.orders.delete(id)
""")

    finding = program.finding()

    assert finding.where == program.at("orders/service.py", "self.orders.delete(id)")
    assert "(sweep -> _drop)" in finding.what


@pytest.mark.parametrize(
    "body",
    [
        "await self._record(row)\n{i}return await self._record(row)  # planted",
        "for each in (row, row):\n{i}    await self._record(each)  # planted\n{i}return row.into(Order)",
        "await asyncio.gather(*(self._record(one) for one in (row, row)))  # planted\n{i}return row.into(Order)",
        BOTH,
        "await self._twice(row)\n{i}return await self._record(row)  # planted",
    ],
)
def test_a_second_unit_of_work_is_found(program, body):
    program.edit("orders/service.py", "        return await self._record(row)", "        " + body.format(i=" " * 8))
    program.method("async def _twice(self, row: OrderRow) -> None:\n    await self._record(row)")

    finding = program.finding()

    assert (finding.rule, finding.where) == ("second-commit", program.at("orders/service.py", "# planted"))
    assert "_record is a second unit of work in one call of place" in finding.what


@pytest.mark.parametrize(
    "body",
    [
        "if sku:\n{i}    return await self._record(row)\n{i}return await self._record(row)",
        "try:\n{i}    return await self._record(row)\n{i}except Conflict:\n{i}    return await self._record(row)",
        "for _ in range(3):\n{i}    return await self._record(row)\n{i}return row.into(Order)",
        "return await self._record(row) if sku else await self._record(row)",
        EITHER,
        AGAIN,
    ],
)
def test_one_of_two_units_of_work_is_one(program, body):
    program.edit("orders/service.py", "        return await self._record(row)", "        " + body.format(i=" " * 8))

    assert program.found() == []


def test_units_of_work_that_join_are_one(program):
    program.edit(
        "orders/service.py", RECORD, f"        await self._first(row)\n        await self._first(row)\n{RECORD}"
    )
    program.method("@atomic\nasync def _first(self, row: OrderRow) -> None:\n    await self.orders.put(row)")

    assert program.found() == []


def test_a_unit_of_work_that_only_reads_is_no_commit(program):
    program.edit(
        "orders/service.py",
        "        return await self._record(row)",
        "        await self._see()\n        return await self._record(row)",
    )
    program.method("@atomic\nasync def _see(self) -> int:\n    return await self.orders.count()")

    assert program.found() == []


def test_a_query_that_writes_is_found(program):
    program.edit(
        "orders/service.py", "        row = await self.orders.get(id)\n", "        row = await self._touch(id)\n"
    )
    program.method("""
@atomic
async def _touch(self, id: str) -> OrderRow | None:
    row = await self.orders.get(id)
    return row and await self.orders.put(row)
""")

    finding = program.finding()

    assert (finding.rule, finding.where) == ("write-in-query", program.at("orders/service.py", "self.orders.put(row)"))
    assert "(order -> _touch)" in finding.what


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("Threads", "await self.it(print, 1)"),
        ("Processes", "await self.it(print, 1)"),
        ("Passwords", 'await self.it.hash("secret")'),
        ("Clock", "await self.it.sleep(1)"),
        ("Blobs", "await self.it.drop(row)"),
    ],
)
def test_whatever_waits_for_something_else_is_foreign(program, kind, line):
    program.edit("orders/service.py", "    http: Http\n", f"    http: Http\n    it: {kind}\n")
    program.edit("orders/service.py", "import Database,", f"import {kind}, Database,")
    program.edit("orders/service.py", RECORD, f"        {line}  # planted\n{RECORD}")

    assert program.found() == [("foreign-await", program.at("orders/service.py", "# planted"))]


def test_what_two_ways_lead_to_is_found_once(program):
    program.method("""
@every("1h")
async def sweep(self) -> None:
    await self._drop("old")

@every("2h")
async def sweep_again(self) -> None:
    await self._drop("old")

async def _drop(self, id: str) -> None:
    await self.orders.delete(id)
""")

    assert program.found() == [("write-outside-atomic", program.at("orders/service.py", "self.orders.delete(id)"))]
