"""`enfilade clients`: the programs that may ask the app's provider for tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enfilade.cli.house import within
from enfilade.cli.refused import Refused
from enfilade.cli.table import table
from enfilade.cli.target import app_argument, app_option, json_option

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.config import Config
    from enfilade.identity.provider.clients import Clients
    from enfilade.store import Store

_GRANTS = ("code", "refresh", "machine", "device", "exchange")
tenant_option = click.option("--tenant", default="", help="The tenant whose it is; left out, everybody's.")


@click.group("clients")
def clients() -> None:
    """Add, list or remove programs that may ask for tokens."""


@clients.command("list")
@app_argument
@json_option
def list_(app: str | None, as_json: bool) -> None:
    """List the clients.

    Those of the settings, then those that were added, the oldest first.
    """
    from enfilade.identity.provider import Provider

    async def work(app: App, config: Config, store: Store) -> list[dict[str, str]]:
        known = _clients(config, store)
        return [
            {
                "id": one.id,
                "from": "settings" if one.id in known.declared else "added",
                "name": one.name,
                "tenant": one.realm,
                "proves": one.method,
                "grants": " ".join(_short(grant) for grant in one.grants),
                "scopes": " ".join(one.scopes),
                "redirects": " ".join(one.redirects),
            }
            for one in await known.all()
        ]

    found = within(app, Provider, work)
    click.echo(json.dumps(found, indent=2) if as_json else table(found, empty="There are no clients."))


@clients.command()
@click.argument("name")
@click.option("--redirect", "redirects", multiple=True, help="Where people may be sent back to; may be given again.")
@click.option("--logout", "logouts", multiple=True, help="Where they may be sent after a logout; may be given again.")
@click.option(
    "--grant",
    "grants",
    multiple=True,
    type=click.Choice(_GRANTS),
    help="How it may ask; may be given again. By default code and refresh, or machine where there is no --redirect.",
)
@click.option("--scope", "scopes", multiple=True, help="A scope that it may have; may be given again.")
@click.option("--resource", "resources", multiple=True, help="An audience, beside the app's own; may be given again.")
@click.option("--public", is_flag=True, help="It can keep no secret: it runs in a browser or on people's devices.")
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A key set (JWKS): it proves itself by a key of its own and has no secret.",
)
@click.option("--agent", is_flag=True, help="It is an agent, and no service.")
@click.option("--trusted", is_flag=True, help="It is our own: people are not asked whether it may.")
@tenant_option
@app_option
def add(
    name: str,
    redirects: tuple[str, ...],
    logouts: tuple[str, ...],
    grants: tuple[str, ...],
    scopes: tuple[str, ...],
    resources: tuple[str, ...],
    public: bool,
    keys: Path | None,
    agent: bool,
    trusted: bool,
    tenant: str,
    app: str | None,
) -> None:
    """Let the program NAME ask for tokens.

    Prints its id, and its secret, which is told once.
    """
    from enfilade.identity.provider import Provider
    from enfilade.identity.provider.clients import NAMES, NoSuchClient

    said = grants or (("code", "refresh") if redirects else ("machine",))
    names: dict[str, str] = {**NAMES}
    jwks = keys.read_text("utf-8") if keys else ""

    async def work(app: App, config: Config, store: Store) -> tuple[str, str]:
        row, secret = await _clients(config, store).add(
            name, realm=tenant, method="none" if public else "private_key_jwt" if keys else "client_secret",
            jwks=jwks, redirects=redirects, logouts=logouts,
            grants=tuple(names[one] for one in said), scopes=scopes, resources=resources, agent=agent,
            consent=not trusted,
        )  # fmt: skip
        return row.id, secret

    try:
        id, secret = within(app, Provider, work)
    except NoSuchClient as wrong:
        raise Refused(f"{wrong}.", "See `enfilade clients add --help`.") from wrong
    click.echo(f"client_id={id}")
    if secret:
        click.echo(f"client_secret={secret}")


@clients.command()
@click.argument("id")
@app_option
def remove(id: str, app: str | None) -> None:
    """Let the client ID ask for tokens no more.

    Those that it has stay good till they expire.
    """
    from enfilade.identity.provider import Provider

    async def work(app: App, config: Config, store: Store) -> bool:
        known = _clients(config, store)
        if id in known.declared:
            raise Refused(
                f"the client {id} is one of the settings.", f"Take it out of [[service.{store.service}.clients]]."
            )
        return await known.remove(id)

    if not within(app, Provider, work):
        raise Refused(f"there is no client {id}.", "List those that there are: enfilade clients list")
    click.echo("It is removed.")


@clients.command()
@tenant_option
@app_option
def invite(tenant: str, app: str | None) -> None:
    """Print a token that lets somebody register one client.

    Over HTTP (RFC 7591), within a week.
    """
    from enfilade.identity.provider import Provider

    async def work(app: App, config: Config, store: Store) -> str:
        return await _clients(config, store).invite(tenant)

    click.echo(within(app, Provider, work))


def _clients(config: Config, store: Store) -> Clients:
    from enfilade.clock import SystemClock
    from enfilade.identity.provider import ProviderSettings
    from enfilade.identity.provider.clients import Clients
    from enfilade.identity.provider.rows import ClientRow, InviteRow

    settings = config.settings(store.service, ProviderSettings)
    return Clients(store.table(ClientRow), store.table(InviteRow), settings, SystemClock())


def _short(grant: str) -> str:
    from enfilade.identity.provider.clients import NAMES

    return next((short for short, name in NAMES.items() if name == grant), grant)
