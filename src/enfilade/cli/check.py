"""`enfilade check`: the second type checker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from enfilade.cli.refused import start_errors
from enfilade.cli.target import app_argument, config_of, json_option, load_app, module_beside

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.errors import Finding
    from enfilade.govern import Report
    from enfilade.govern.access import Matrix


@click.command()
@app_argument
@json_option
@click.option("--strict", is_flag=True, help="Let warnings fail, too.")
@click.option("--access", is_flag=True, help="Run the app, and try who gets in: docs/access.md.")
@click.pass_context
def check(context: click.Context, app: str | None, as_json: bool, strict: bool, access: bool) -> None:
    """Find what type checkers cannot.

    Broken boundaries, undeclared problems, wrong SQL, misused units of work, forgotten guards: docs/check.md has all.

    Exit code 0: nothing found; 1: something to mend; 2: the command was not understood.
    """
    from enfilade.govern import check as run

    loaded = load_app(app)
    if access:
        matrix = _examined(loaded, module_beside(app, "access"))
        click.echo(_json(matrix.findings) if as_json else _summary(matrix))
        context.exit(1 if matrix.findings else 0)
    report = run(loaded, config_of(loaded))
    click.echo(_json(report.findings) if as_json else _text(report))
    context.exit(1 if report.errors or (strict and report.warnings) else 0)


def _examined(app: App, beside: Any) -> Matrix:
    """The app, on stores in memory, with the `story` and the `stage` of the module `access` beside it."""
    from enfilade.govern.access import examine
    from enfilade.testing import Stage

    app.config = None  # a stage has its own
    with start_errors():
        return asyncio.run(examine(app, getattr(beside, "story", None), stage=getattr(beside, "stage", Stage)))


def _summary(matrix: Matrix) -> str:
    lines: list[str] = []
    for one in matrix.findings:
        rule = click.style(f"error[{one.rule}]", fg="red")
        lines += [f"{click.style(one.where, bold=True)}: {rule} {one.what}", f"    {one.remedy}"]
    if matrix.shared:
        lines.append(f"Shared within a tenant, by contract: {', '.join(sorted(matrix.shared))}.")
    if matrix.untold:
        lines.append(f"Name an object, and do not occur in the story: {', '.join(sorted(matrix.untold))}.")
    if not matrix.told:
        lines.append("There is no story, so nobody tried another's objects: write access.py beside app.py.")
    lines.append(
        f"{matrix.operations} operations by {matrix.callers} callers, {matrix.told} calls of a story by 4 others, "
        f"in process and over HTTP: {matrix.calls} calls, {len(matrix.findings) or 'no'} finding"
        f"{'' if len(matrix.findings) == 1 else 's'}."
    )
    return "\n".join(lines)


def _json(findings: Sequence[Finding]) -> str:
    from enfilade.govern import severity

    return json.dumps(
        [
            {"where": one.where, "rule": one.rule, "severity": severity(one), "what": one.what, "remedy": one.remedy}
            for one in findings
        ],
        indent=2,
    )


def _text(report: Report) -> str:
    from enfilade.govern import severity

    lines: list[str] = []
    for file, findings in groupby(report.findings, key=lambda one: one.where.rpartition(":")[0] or one.where):
        lines.append(click.style(file, bold=True))
        for one in findings:
            kind = severity(one)
            rule = click.style(f"{kind}[{one.rule}]", fg="red" if kind == "error" else "yellow")
            line = one.where.rpartition(":")[2]
            lines.append(f"  {line if line.isdigit() else '-'}: {rule} {one.what}")
            lines.append(f"      {one.remedy}")
        lines.append("")
    errors, warnings = len(report.errors), len(report.warnings)
    services = f"{report.services} service{'' if report.services == 1 else 's'} read"
    exempted = f", {report.exempted} exempted" if report.exempted else ""
    found = f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
    return "\n".join([*lines, f"{found if errors or warnings else 'Nothing found'}: {services}{exempted}."])
