"""`enfilade migrate`: what the rows say against what the databases have."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from enfilade.cli.refused import start_errors
from enfilade.cli.target import app_argument, json_option, load_app

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.store import Change


@click.command()
@app_argument
@click.option("--apply", is_flag=True, help="Make the changes; without it they are only shown.")
@click.option("--destructive", is_flag=True, help="With --apply: make also those that lose something.")
@json_option
@click.pass_context
def migrate(context: click.Context, app: str | None, apply: bool, destructive: bool, as_json: bool) -> None:
    """Show what the databases lack, or change them.

    Exit code 0: nothing is left to do; 1: something is, or it cannot be done.
    """
    if destructive and not apply:
        raise click.UsageError("--destructive goes with --apply: without it nothing is changed.")
    loaded = load_app(app)
    with start_errors():
        changes = asyncio.run(_migrate(loaded, apply, destructive))
    click.echo(_json(changes) if as_json else _text(changes))
    context.exit(0 if all(change.applied for each in changes.values() for change in each) else 1)


async def _migrate(app: App, apply: bool, destructive: bool) -> dict[str, list[Change]]:
    from enfilade.cli.stores import stores_of

    async with stores_of(app) as stores:
        return {name: await store.migrate(apply, destructive=destructive) for name, store in stores.items()}


def _json(changes: dict[str, list[Change]]) -> str:
    import msgspec

    found = [{"service": name, **msgspec.to_builtins(change)} for name, each in changes.items() for change in each]
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _text(changes: dict[str, list[Change]]) -> str:
    lines: list[str] = []
    for name, each in changes.items():
        for change in each:
            lines += [click.style(name, bold=True)] if change is each[0] else []
            lines.append(f"  {change}")
    left = [change for each in changes.values() for change in each if not change.applied]
    if not lines:
        return "Nothing to do: the databases have what the rows say."
    if any(change.kind == "additive" for change in left):
        lines.append("Make the additive changes: enfilade migrate --apply")
    elif any(change.kind == "destructive" for change in left):
        lines.append("What is left would lose data. To make it all the same: enfilade migrate --apply --destructive")
    return "\n".join(lines)
