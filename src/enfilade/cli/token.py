"""`enfilade token`: a token of the development issuer, to try an app with."""

from __future__ import annotations

from pathlib import Path

import click

from enfilade.cli.refused import Refused
from enfilade.cli.target import app_option, config_of, load_app


@click.command()
@click.argument("subject")
@click.option("--scope", "scopes", multiple=True, help="A scope that the token carries; may be given again.")
@click.option("--role", "roles", multiple=True, help="A role that the token carries; may be given again.")
@click.option("--tenant", default="", help="The tenant that the caller belongs to.")
@click.option("--ttl", default="1h", show_default=True, help="How long it is good: 90s, 10m, 1h, 7d.")
@app_option
def token(
    subject: str, scopes: tuple[str, ...], roles: tuple[str, ...], tenant: str, ttl: str, app: str | None
) -> None:
    """Print a token, to try an app with.

    It names SUBJECT as the caller, and is signed by the development issuer of the working folder: an app outside
    development does not believe it.
    """
    from enfilade.clock import SystemClock
    from enfilade.contract.limit import period
    from enfilade.identity import DevelopmentIssuer, Tokens

    try:
        seconds = period(ttl)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--ttl") from wrong
    if not 1 <= seconds < float("inf"):
        raise click.BadParameter("a token is good for a second at least, and not for ever", param_hint="--ttl")
    loaded = load_app(app)
    config = config_of(loaded)
    if not config.development:
        what = f"{loaded.name} is not in development, so it believes no tokens of this machine."
        raise Refused(what, "Ask its issuer for a token, or set `development = true` in enfilade.toml.")
    issuer = DevelopmentIssuer(Path(config.folder), config.audience or loaded.name)
    click.echo(Tokens(issuer, SystemClock()).issue(subject, scopes=scopes, roles=roles, tenant=tenant, ttl=seconds))
