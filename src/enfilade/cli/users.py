"""`enfilade users`: the platform's own people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from enfilade.cli.house import password as asked
from enfilade.cli.house import within
from enfilade.cli.refused import Refused
from enfilade.cli.table import table
from enfilade.cli.target import app_argument, app_option, json_option

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.config import Config
    from enfilade.identity.users.service import UserRow, UsersService
    from enfilade.store import Store

tenant_option = click.option("--tenant", default="", help="The tenant that they belong to.")


@click.group("users")
def users() -> None:
    """Add, list or remove people that the platform keeps."""


@users.command("list")
@app_argument
@tenant_option
@json_option
def list_(app: str | None, tenant: str, as_json: bool) -> None:
    """List the users of a tenant, the oldest first."""
    from enfilade.identity.users import Users

    async def work(app: App, config: Config, store: Store) -> list[dict[str, str]]:
        rows = await _service(store).rows.find("realm = :realm", realm=tenant, order="since, id")
        return [
            {"id": one.id, "login": one.login, "name": one.name, "email": one.email, "roles": " ".join(one.roles)}
            for one in rows
        ]

    found = within(app, Users, work)
    click.echo(json.dumps(found, indent=2) if as_json else table(found, empty="There are no users."))


@users.command()
@click.argument("login")
@click.option("--name", default="", help="What they are called.")
@click.option("--email", default="", help="Their e-mail address.")
@click.option("--role", "roles", multiple=True, help="A role that they have; may be given again.")
@tenant_option
@app_option
def add(login: str, name: str, email: str, roles: tuple[str, ...], tenant: str, app: str | None) -> None:
    """Let LOGIN sign in. The password is asked for, or read from standard input."""
    from enfilade.identity.users import Users
    from enfilade.identity.users.contract import LoginTaken

    secret = _password()

    async def work(app: App, config: Config, store: Store) -> str:
        made = await _service(store).add(login, secret, realm=tenant, name=name, email=email, roles=roles)
        return made.id

    try:
        click.echo(within(app, Users, work))
    except LoginTaken as taken:
        raise Refused(f"{login} is taken.", "List the users: enfilade users list") from taken


@users.command()
@click.argument("login")
@tenant_option
@app_option
def password(login: str, tenant: str, app: str | None) -> None:
    """Give LOGIN another password, asked for or piped in."""
    from enfilade.identity.users import Users

    secret = _password()

    async def work(app: App, config: Config, store: Store) -> None:
        service = _service(store)
        await service.change_password((await _row(service, login, tenant)).id, secret)

    within(app, Users, work)
    click.echo("It is changed.")


@users.command()
@click.argument("login")
@tenant_option
@app_option
def remove(login: str, tenant: str, app: str | None) -> None:
    """Let LOGIN sign in no more. Tokens that are out stay good till they expire."""
    from enfilade.identity.users import Users

    async def work(app: App, config: Config, store: Store) -> None:
        service = _service(store)
        await service.remove((await _row(service, login, tenant)).id)

    within(app, Users, work)
    click.echo("It is removed.")


def _password() -> str:
    secret = asked()
    if not 8 <= len(secret) <= 1024:
        raise Refused("a password has 8 characters at least, and 1024 at most.", "Take a longer one.")
    return secret


async def _row(service: UsersService, login: str, tenant: str) -> UserRow:
    row = await service.find(login, tenant)
    if row is None:
        raise Refused(f"there is no user {login}.", "List those that there are: enfilade users list")
    return row


def _service(store: Store) -> UsersService:
    from enfilade.clock import SystemClock
    from enfilade.identity import Passwords
    from enfilade.identity.users.service import LoginNameRow, UserRow, UsersService

    return UsersService(store.table(UserRow), store.table(LoginNameRow), Passwords(), SystemClock())
