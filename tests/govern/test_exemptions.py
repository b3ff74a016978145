"""Exemptions: one rule, one line, and why."""

from __future__ import annotations

RAISE = "            raise UnknownOrder()"


def test_a_line_may_break_a_rule_that_it_names_with_a_reason(program):
    program.edit(
        "orders/service.py", RAISE, "            raise Unsellable()  # enfilade: allow[undeclared-problem] old clients"
    )

    report = program.check()

    assert report.findings == ()
    assert report.exempted == 1


def test_an_exemption_may_stand_alone_above_the_line(program):
    program.edit(
        "orders/service.py",
        RAISE,
        "            # enfilade: allow[undeclared-problem] old clients\n            raise Unsellable()",
    )

    assert program.found() == []


def test_an_exemption_without_a_reason_exempts_nothing(program):
    program.edit("orders/service.py", RAISE, "            raise Unsellable()  # enfilade: allow[undeclared-problem]")

    assert [rule for rule, _ in program.found()] == ["exemption", "undeclared-problem"]


def test_an_exemption_that_nothing_needs_is_a_warning(program):
    program.edit("orders/service.py", RAISE, f"{RAISE}  # enfilade: allow[sql] once it was needed")

    finding = program.finding()

    assert finding.rule == "exemption"
    assert "allow[sql] exempts nothing" in finding.what
