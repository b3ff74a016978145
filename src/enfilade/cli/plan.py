"""`enfilade plan`: which services share a process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enfilade.cli.refused import Refused, start_errors
from enfilade.cli.steer import in_force
from enfilade.cli.table import table
from enfilade.cli.target import (
    app_argument,
    app_option,
    configuration,
    configuration_of,
    json_option,
    load_beside,
    near,
)

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.plan import Plan
    from enfilade.plan.build import Build


@click.group()
def plan() -> None:
    """See which services share a process.

    Plans are arrangements in plan.toml; `one` and `split` come for free. `enfilade run --plan NAME` runs one.
    """


@plan.command("list")
@app_argument
@json_option
def list_(app: str | None, as_json: bool) -> None:
    """List the plans of an app."""
    from enfilade.placement import refuse
    from enfilade.plan import FREE, read_file

    _, beside = load_beside(app)
    file = near(beside, "plan.toml")
    with start_errors():
        found, findings = read_file(file)
        refuse(findings)
    records = [
        {
            "plan": name,
            "extends": found[name].extends if name in found else "",
            "said by": str(file) if name in found else "comes for free",
        }
        for name in dict.fromkeys((*FREE, *found))
    ]
    click.echo(json.dumps(records, indent=2) if as_json else table(records))


@plan.command()
@click.argument("name", default="one")
@app_option
@click.option("--origin", is_flag=True, help="Say which file or variable said so.")
@click.option("--force", is_flag=True, help="The plan that runs, with all that was changed since it started.")
@click.option("--contracts", is_flag=True, help="In JSON, with what others rely on: for `enfilade release`.")
@json_option
def show(name: str, app: str | None, origin: bool, force: bool, contracts: bool, as_json: bool) -> None:
    """Show what holds in a plan.

    Its processes, services and stores. Finds all that is wrong with it, and starts nothing.
    """
    import msgspec

    from enfilade.plan.shown import lines

    if contracts:
        click.echo(msgspec.json.encode(_build(app, name)).decode())
        return
    found = in_force(app) if force else _plan(app, name)
    click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(lines(found, origin=origin)))


@plan.command()
@click.argument("a")
@click.argument("b")
@app_option
@json_option
def diff(a: str, b: str, app: str | None, as_json: bool) -> None:
    """Show what changes from plan A to plan B."""
    from enfilade.plan.shown import changes

    found = changes(_plan(app, a), _plan(app, b))
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(_differing(found, a, b)) or "Nothing.")


@plan.command()
@click.argument("name")
@click.argument("processes", nargs=-1, required=True)
@app_option
def join(name: str, processes: tuple[str, ...], app: str | None) -> None:
    """Tell the key by which another host joins.

    With it as ENFILADE_JOIN, and the same plan, `enfilade run --plan NAME --only PROCESS` gets certificates for these
    processes there. It is a secret, and the same each time.
    """
    from enfilade.plan.joining import Token
    from enfilade.supplies import secret_of

    known = _plan(app, name).layout.processes
    for one in processes:
        if one not in known:
            raise Refused(f"the plan {name} has no process {one}.", f"It has: {', '.join(known)}.")
    with start_errors():
        click.echo(str(Token.of(secret_of(configuration_of(app)), processes)))


def _differing(found: Sequence[Mapping[str, str]], a: str, b: str) -> Iterator[str]:
    """What is no longer so with a minus, and what is from now on with a plus."""
    width = max((len(one["what"]) for one in found), default=0)
    for one in found:
        for name, sign, colour in ((a, "-", "red"), (b, "+", "green")):
            if one[name]:
                yield click.style(f"{sign} {one['what']:{width}}  {one[name]}", fg=colour)


def _plan(said: str | None, name: str) -> Plan:
    return _loaded(said, name)[-1]


def _build(said: str | None, name: str) -> Build:
    from enfilade.contract.compare import asked
    from enfilade.placement import Placement, Share
    from enfilade.plan.build import Build

    app, beside, plan = _loaded(said, name)
    use = {name: of for one in plan.layout.processes.values() if not one.variant for name, of in one.use.items()}
    with start_errors():
        placement = Placement(app.services, app.builders, configuration(beside, plan.said), Share(use=use))
    contracts = {name: asked(one.contract) for name, one in placement.services.items()}
    return Build(plan=plan, contracts=contracts, talk=placement.talk(app.provided))


def _loaded(said: str | None, name: str) -> tuple[App, Path, Plan]:
    from enfilade.plan import plan_of
    from enfilade.plan.share import code

    app, beside = load_beside(said, code())
    file, toml = near(beside, "plan.toml"), near(beside, "enfilade.toml")
    with start_errors():
        return app, beside, plan_of(app, name, file, lambda over: configuration(beside, over), toml)
