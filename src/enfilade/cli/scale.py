"""`enfilade scale orders=3`: how many there are of a process."""

from __future__ import annotations

import click

from enfilade.cli.steer import dry_option, steer
from enfilade.cli.target import app_option


class _Count(click.ParamType[tuple[str, int]]):
    name = "NAME=COUNT"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        name, equals, count = value.partition("=") if isinstance(value, str) else (value[0], "=", str(value[1]))
        if not (name and equals and count.isdigit()):
            self.fail(f"{value!r} is not written as orders=3.", param, ctx)
        return name, int(count)


@click.command()
@click.argument("counts", type=_Count(), nargs=-1, required=True, metavar="NAME=COUNT...")
@app_option
@dry_option
def scale(counts: tuple[tuple[str, int], ...], app: str | None, dry_run: bool) -> None:
    """Change how many there are of a process.

    NAME is a process of the plan that runs, or a service in it. No request is lost, and it holds until it is changed
    again, after a restart of the plan as well.
    """
    steer(app, lambda control: control.scale(dict(counts), dry_run))
