"""SQL in the program."""

from __future__ import annotations

import importlib

import pytest

from enfilade.config import Config
from enfilade.govern import check


def plant(program, line):
    program.edit(
        "orders/service.py", "        if row is None:\n", f"        {line}  # planted\n        if row is None:\n"
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('await self.orders.find("stat = :state", state="open")', "no such column: stat"),
        ('await self.orders.find("state = ")', "syntax error"),
        ('await self.orders.count("total = 1")', "no such column: total"),
        ('await self.orders.find(order="sate desc")', "no such column: sate"),
        ('await self.orders.find(where("stat = ?", "open"))', "no such column: stat"),
        ('await self.orders.page(FIRST, order="length(sku)")', "pages of order are ordered by columns"),
        ('await self.database.value(int, "select count(*) from orders")', "no such table: orders"),
        ('await self.database.run("update \\"order\\" set stat = 1")', "no such column: stat"),
    ],
)
def test_sql_that_cannot_be_prepared_is_found(program, line, what):
    plant(program, line)
    report = [one for one in program.check().findings if not one.rule.startswith("write")]

    assert [(one.rule, one.where) for one in report] == [("sql", program.at("orders/service.py", "# planted"))]
    assert what in report[0].what
    assert "order: id, customer, sku, total_minor, total_currency, state" in report[0].remedy


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('await self.orders.find("state = :state")', "asks for :state, which has no value"),
        ('await self.orders.find("state = :state", state="open", sku="tea")', "has no :sku"),
        ('await self.orders.find("state = :state" if id else "", state="open")', "has no :state"),
        ('await self.orders.find(where("state = ? or sku = ?", "open"))', "has 2 `?`, and 1 values"),
        ('await self.database.value(int, "select :count")', "asks for :count"),
    ],
)
def test_values_that_do_not_fit_are_found(program, line, what):
    plant(program, line)

    finding = program.finding()

    assert (finding.rule, finding.where) == ("sql-values", program.at("orders/service.py", "# planted"))
    assert what in finding.what


@pytest.mark.parametrize(
    "line",
    [
        "await self.orders.find(f\"state = '{id}'\")",
        'await self.orders.find("state = \'" + id + "\'")',
        "await self.orders.find(\"state = '%s'\" % id)",
        "await self.orders.find(\"state = '{}'\".format(id))",
        "await self.orders.find(where(f\"state = '{id}'\"))",
        "text = f\"state = '{id}'\"; await self.orders.find(text)",
        'await self.orders.find(order=f"{id} desc")',
    ],
)
def test_sql_that_is_put_together_is_found(program, line):
    plant(program, line)

    assert program.found() == [("sql-built", program.at("orders/service.py", "# planted"))]


@pytest.mark.parametrize(
    "line",
    [
        'await self.orders.find("state = :state", state="open", order="sku desc, total_minor", limit=2)',
        'await self.orders.find("state IN :states and customer = :me and :now > 1", states=("open",))',
        'await self.orders.find(*[where("state = ?", "open"), where("sku NOT IN ?", ("tea",))])',
        'await self.orders.find("state = " + "\'open\'", OPEN, f"{OPEN} and 1")',
        'await self.orders.find("" if id else OPEN)',
        'await self.orders.find("state = :state", **{"state": "open"})',
        "await self.orders.find(str(id))",
        'await self.database.rows(Sales, "select sku, 1 as count from \\"order\\" where state = :state", state="open")',
        "await self.database.rows(Sales, \"with a as (select 1 as count) select 'x' as sku, count from a\")",
    ],
)
def test_sql_that_is_right_or_not_plain_is_left_alone(program, line):
    program.edit("orders/service.py", "class Sales(Message)", "OPEN = \"state = 'open'\"\n\n\nclass Sales(Message)")
    plant(program, line)

    assert program.found() == []


def test_an_answer_without_a_column_that_the_message_needs_is_found(program):
    plant(program, 'await self.database.rows(Sales, "select sku, count(*) as number from \\"order\\"")')

    finding = program.finding()

    assert finding.rule == "sql-columns"
    assert "answers with no column count, a column number too many for Sales" in finding.what


def test_sql_that_makes_tables_is_found(program):
    program.edit(
        "orders/service.py",
        "        return await self._record(row)",
        "        return await self._record(row)\n\n    @atomic\n    async def _index(self) -> None:\n"
        '        await self.database.run("create virtual table if not exists found using fts5(sku)")',
    )

    finding = program.finding()
    assert finding.rule == "sql"
    assert "tables are made by row types" in finding.what


@pytest.mark.parametrize(
    "planted",
    [
        'await self.database.value(int, "select count(*) from main.\\"order\\"")',
        'await self.database.value(int, "select count(*) from enfilade_outbox")',
        'await self.database.value(int, "select count(*) from sqlite_master")',
    ],
)
def test_sql_beyond_the_rows_of_a_tenant_is_found(program, planted):
    plant(program, planted)

    finding = program.finding()
    assert finding.rule == "sql"


def test_sql_of_an_operation_that_crosses_tenants_is_known(program):
    plant(program, 'await self.database.value(int, "select count(distinct tenant) from \\"order\\"")')

    assert program.found() == []


def test_sqlite_is_not_asked_about_the_sql_of_another_engine(program):
    plant(program, 'await self.database.value(int, "select 1 for update")')
    app = importlib.import_module(f"{program.name}.app").app

    assert check(app, Config(data="postgresql://x@y/z")).findings == ()
