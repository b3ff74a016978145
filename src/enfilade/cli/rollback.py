"""`enfilade rollback payments`: the version before, while the plan runs."""

from __future__ import annotations

import click

from enfilade.cli.steer import dry_option, steer, without_option
from enfilade.cli.target import app_option


@click.command()
@click.argument("name")
@without_option
@app_option
@dry_option
def rollback(name: str, without: tuple[str, ...], app: str | None, dry_run: bool) -> None:
    """Bring the version before back.

    NAME is a process of the plan that runs, or a service in it. The version is started again from where its code was,
    gets all calls at once, and what it replaces is kept nowhere.
    """
    steer(app, lambda control: control.rollback(name, dry_run, without))
