"""`enfilade dead-letters`: events that a service was told of and could not take in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from enfilade.cli.refused import Refused, start_errors
from enfilade.cli.table import table
from enfilade.cli.target import app_argument, app_option, config_of, json_option, load_app

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.contract.message import Event
    from enfilade.store import Dead, Store

T = TypeVar("T")


@click.group("dead-letters", invoke_without_command=True)
@click.pass_context
def dead_letters(context: click.Context) -> None:
    """List, retry or drop events that were given up."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@dead_letters.command("list")
@app_argument
@json_option
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many of each service.")
def list_(app: str | None, as_json: bool, limit: int) -> None:
    """List the events that were given up, the oldest first."""
    found = _with_stores(app, lambda stores: _listed(stores, limit))
    if as_json:
        events = _events(load_app(app))
        click.echo(json.dumps([_document(service, one, events) for service, one in found], indent=2))
        return
    rows = [
        {
            "id": one.id,
            "service": service,
            "event": one.entry.topic,
            "key": one.entry.key,
            "tries": str(one.tries),
            "given up": f"{one.at:%Y-%m-%d %H:%M:%S}",
            "error": one.error.partition("\n")[0][:80],
        }
        for service, one in found
    ]
    click.echo(table(rows, empty="There are no dead letters."))


@dead_letters.command()
@click.argument("id")
@app_option
def retry(id: str, app: str | None) -> None:
    """Let the event ID be heard again, from its first try. A running app takes it up in a moment."""
    _change(app, id, lambda store: store.inbox.revive(id), "It will be heard again.")


@dead_letters.command()
@click.argument("id")
@app_option
def drop(id: str, app: str | None) -> None:
    """Forget the event ID: it will not be heard."""
    _change(app, id, lambda store: store.inbox.drop(id), "It is forgotten.")


def _change(app: str | None, id: str, change: Callable[[Store], Awaitable[bool]], done: str) -> None:
    async def first(stores: dict[str, Store]) -> bool:
        for store in stores.values():
            if await change(store):
                return True
        return False

    if not _with_stores(app, first):
        raise Refused(f"there is no dead letter {id}.", "List those that there are: enfilade dead-letters list")
    click.echo(done)


async def _listed(stores: dict[str, Store], limit: int) -> list[tuple[str, Dead]]:
    return [(name, one) for name, store in stores.items() for one in await store.inbox.dead(limit)]


def _with_stores(app: str | None, do: Callable[[dict[str, Store]], Awaitable[T]]) -> T:
    from enfilade.cli.stores import stores_of

    loaded = load_app(app)

    async def work() -> T:
        async with stores_of(loaded) as stores:
            return await do(stores)

    with start_errors():
        return asyncio.run(work())


def _events(app: App) -> dict[str, type[Event]]:
    """The types of the events that the app's services hear, by topic."""
    from enfilade.placement import Placement
    from enfilade.topic import handlers_of

    placed = Placement(app.services, app.builders, config_of(app)).services.values()
    builds = [one.build for one in placed if isinstance(one.build, type)]
    return {heard.topic: heard.event for build in builds for heard in handlers_of(build)}


def _document(service: str, one: Dead, events: dict[str, type[Event]]) -> dict[str, Any]:
    from enfilade.topic.dead import readable

    return {
        "id": one.id,
        "service": service,
        "event": one.entry.topic,
        "event_id": one.entry.id,
        "source": one.entry.source,
        "key": one.entry.key,
        "tries": one.tries,
        "given_up": one.at.isoformat(),
        "error": one.error,
        "body": readable(one, events.get(one.entry.topic)),
    }
