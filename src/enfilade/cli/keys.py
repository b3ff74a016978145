"""`enfilade keys`: the keys that the app's provider signs with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from enfilade.cli.house import within
from enfilade.cli.refused import Refused
from enfilade.cli.table import table
from enfilade.cli.target import app_argument, app_option, json_option

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.config import Config
    from enfilade.identity.provider.ring import Ring
    from enfilade.store import Store


@click.group("keys")
def keys() -> None:
    """List or rotate the keys that the app's provider signs with."""


@keys.command("list")
@app_argument
@json_option
def list_(app: str | None, as_json: bool) -> None:
    """List the keys that are published, the newest first."""
    from enfilade.identity.provider import Provider

    async def work(app: App, config: Config, store: Store) -> list[dict[str, str]]:
        return [
            {
                "kid": one.kid,
                "algorithm": one.algorithm,
                "state": one.state,
                "since": f"{one.since:%Y-%m-%d %H:%M:%S}",
                "until": f"{one.until:%Y-%m-%d %H:%M:%S}" if one.until else "",
            }
            for one in await _ring(app, config, store).rows()
        ]

    found = within(app, Provider, work)
    click.echo(json.dumps(found, indent=2) if as_json else table(found, empty="There are no keys yet."))


@keys.command()
@click.option("--now", is_flag=True, help="The key got out: believe no token that it signed, from now on.")
@app_option
def rotate(now: bool, app: str | None) -> None:
    """Let the next key sign, and make another next one.

    Tokens of the key before stay good till they expire. Running processes follow within half a minute.
    """
    from enfilade.identity.provider import Provider
    from enfilade.identity.provider.ring import TooSoon

    async def work(app: App, config: Config, store: Store) -> str:
        ring = _ring(app, config, store)
        await ring.make()
        return (await ring.rotate(now=now)).kid

    try:
        click.echo(f"{within(app, Provider, work)} signs from now on.")
    except TooSoon as soon:
        raise Refused(f"{soon}.", "Wait, or say --now if the key that signs got out.") from soon


def _ring(app: App, config: Config, store: Store) -> Ring:
    from enfilade.clock import SystemClock
    from enfilade.identity.provider import ProviderSettings
    from enfilade.identity.provider.ring import Ring
    from enfilade.identity.provider.rows import KeyRow
    from enfilade.supplies import host_of

    settings = config.settings(store.service, ProviderSettings)
    return Ring(store.table(KeyRow), settings, host_of(config, app.name).seal, SystemClock())
