"""Fields of `replace` and `into`."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("row = row.replace(stat='paid')", "OrderRow has no field stat to replace"),
        ("row = (await self.orders.find())[0].replace(stat='paid')", "OrderRow has no field stat to replace"),
        ("for each in await self.orders.find():\n            each.replace(stat='paid')", "no field stat"),
        ("[each.replace(stat='paid') async for each in self.orders.each()]", "no field stat"),
        ("(self.orders and row).replace(stat='paid') if row else None", ""),
        ("row.into(Order, totl=1)", "Order has no field totl"),
        ("row.into(Sales)", "OrderRow has no field count, which Sales needs"),
        ("row.into(Sales, count=1)", ""),
        ("row.into(Sales, **{'count': 1})", ""),
        ("row.replace(state='paid')", ""),
        ("[one for row in await self.catalogs()]; row.replace(stat=1)", "no field stat"),
        (
            "for row in await self.orders.find():\n            row = row.replace(state='paid').replace(stat=1)",
            "no field stat",
        ),
        ("for row in [1, 2]:\n            row.replace(stat=1)", ""),
        ("current().me.replace('a', 'b')", ""),
    ],
)
def test_fields_that_are_not_there_are_found(program, line, what):
    program.edit("orders/service.py", "        if row is None:\n", f"        {line}\n        if row is None:\n")

    findings = program.check().findings

    assert [one.rule for one in findings] == (["row-fields"] if what else [])
    assert all(what in one.what for one in findings)


def test_a_row_whose_type_is_not_plain_is_left_alone(program):
    program.edit(
        "orders/service.py",
        "        if row is None:\n",
        "        other = row if id else self\n        other.replace(stat=1)\n        if row is None:\n",
    )

    assert program.found() == []
