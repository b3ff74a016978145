"""`enfilade secrets`: the secrets of a project, in a file of its repository that only some can read."""

from __future__ import annotations

import os
import secrets as chance
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enfilade.cli.refused import Refused, start_errors
from enfilade.cli.table import table
from enfilade.cli.target import app_argument, app_option, config_of, load_app

if TYPE_CHECKING:
    from enfilade.secrets.age import AgeFile

file_option = click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), help="The encrypted file; by default as configured."
)


@click.group("secrets")
def secrets() -> None:
    """Keep secrets in the repository, encrypted."""


@secrets.command()
@file_option
def init(file: Path | None) -> None:
    """Make a key for you, and the encrypted file.

    Your public key is added to those that may read. Where the file is there already, somebody who can read it lets you
    in with `enfilade secrets rotate`.
    """
    with _opened(file) as kept:
        key, public = kept.init(os.environ.get("USER", "somebody"))
        click.echo(f"Your key: {key} (keep it, and keep it to yourself)")
        click.echo(f"In {kept.recipients_path}: {public}")
        if kept.path.exists():
            click.echo(f"{kept.path} is there: let somebody who can read it run `enfilade secrets rotate`.")
            return
        kept.write({})
        click.echo(f'{kept.path} is new. Name it in enfilade.toml: secrets = ["env", "age:{kept.path}"]')


@secrets.command("set")
@click.argument("name")
@file_option
def set_(name: str, file: Path | None) -> None:
    """Give a secret a value.

    It is asked for, or read from standard input; never from the command line, which others can see.
    """
    with _opened(file) as kept:
        values = kept.read()
        if sys.stdin.isatty():
            value: str = click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True)
        else:
            value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        if not value:
            raise Refused("there is no value.", f"Write it: enfilade secrets set {name} < file")
        kept.write({**values, _named(name): value})


@secrets.command()
@click.argument("name")
@click.option("--show", is_flag=True, help="Also where the output is no terminal.")
@file_option
def get(name: str, show: bool, file: Path | None) -> None:
    """Show the value of a secret, on a terminal."""
    if not show and not sys.stdout.isatty():
        raise Refused("the output is no terminal.", "Say --show where it may be written.")
    with _opened(file) as kept:
        values = kept.read()
        if name not in values:
            raise Refused(f"{kept.path} has no {name}.", f"It has {', '.join(values) or 'nothing'}.")
        click.echo(values[name])


@secrets.command("list")
@file_option
@app_option
def list_(file: Path | None, app: str | None) -> None:
    """List the names in the file, or those an app needs.

    With --app: what its services ask for, and whether its sources have it. Exit code 1 where one is missing.
    """
    if app is None:
        with _opened(file) as kept:
            for name in kept.read():
                click.echo(name)
        return
    import asyncio

    needed = asyncio.run(_needed(app))
    click.echo(table([{"secret": name, "state": state} for name, state in needed.items()]))
    if "missing" in needed.values():
        raise click.exceptions.Exit(1)


@secrets.command()
@click.argument("name", required=False)
@file_option
def rotate(name: str | None, file: Path | None) -> None:
    """Encrypt the file anew, or make a new value.

    Without NAME the file is encrypted to those who may read it now. With NAME that secret gets a new value, made of
    chance; `enfilade/data-key` keeps its old keys beside the new one, since they still read what they wrote.
    """
    with _opened(file) as kept:
        values = kept.read()
        if name is not None:
            from enfilade.secrets.seal import DATA_KEY, next_key

            before = values.get(_named(name), "")
            values[name] = next_key(before) if name == DATA_KEY else chance.token_urlsafe(32)
        kept.write(values)


@secrets.command()
@app_argument
def rewrap(app: str | None) -> None:
    """Wrap encrypted fields by the newest data key.

    The values are not touched, only the small keys that they are encrypted with. Calls may go on meanwhile. When it has
    nothing left to do, older versions can be taken out of `enfilade/data-key`.
    """
    import asyncio

    with start_errors():
        for service, count in asyncio.run(_rewrapped(app)).items():
            click.echo(f"{service}: {count} value{'' if count == 1 else 's'} wrapped anew")


@contextmanager
def _opened(file: Path | None) -> Generator[AgeFile]:
    from enfilade.secrets import Unreadable
    from enfilade.secrets.age import AgeFile

    try:
        with start_errors():
            yield AgeFile(file or _configured(), os.environ)
    except Unreadable as wrong:
        raise Refused(f"{wrong.what}.", wrong.remedy) from wrong
    except OSError as wrong:
        raise Refused(f"{wrong}.", "Make it a place where this user may read and write.") from wrong


def _configured() -> Path:
    """The file that enfilade.toml of the working folder names."""
    from enfilade.config import load

    ages = [entry for entry in load().secret_sources if entry.startswith("age:")]
    return Path(ages[0].removeprefix("age:") if ages else "secrets.age")


def _named(name: str) -> str:
    from enfilade.errors import Misuse
    from enfilade.secrets import Secret

    try:
        return Secret(name).name
    except Misuse as wrong:
        raise click.BadParameter(str(wrong), param_hint="NAME") from wrong


async def _needed(said: str) -> dict[str, str]:
    """The names that an app asks for, and what is known of each."""
    from enfilade.clock import SystemClock
    from enfilade.placement import Placement
    from enfilade.secrets import Secrets
    from enfilade.secrets.source import sources_of
    from enfilade.service.inject import secrets_of

    app = load_app(said)
    config = config_of(app)
    clock = SystemClock()
    with start_errors():
        services = Placement(app.services, app.builders, config).services.values()
        asked = [
            one for placed in services if placed.build is not None for one in secrets_of(placed.build, app.provided)
        ]
        found = Secrets(sources_of(config.secret_sources, clock), clock)
    try:
        await found.missing(asked)
    finally:
        await found.aclose()
    return {
        name: "there" if name not in found.absent else "absent" if optional else "missing"
        for _, name, optional in sorted(asked, key=lambda one: not one[2])
    }


async def _rewrapped(said: str | None) -> dict[str, int]:
    """By service, how many values were wrapped by an older data key."""
    from enfilade.cli.stores import stores_of
    from enfilade.clock import SystemClock
    from enfilade.secrets import Secrets
    from enfilade.secrets.seal import DATA_KEY, DataKeys, Unsealable
    from enfilade.secrets.source import sources_of

    app = load_app(said)
    clock = SystemClock()
    found = Secrets(sources_of(config_of(app).secret_sources, clock), clock)
    try:
        key = await found.find(DATA_KEY)
    finally:
        await found.aclose()
    if key is None:
        raise Refused(f"no source has {DATA_KEY}.", "Say in enfilade.toml where secrets are, or set its variable.")
    counts: dict[str, int] = {}
    async with stores_of(app) as stores:
        for name, store in stores.items():
            try:
                store.home.keys = DataKeys(key)
                if store.seals:
                    counts[name] = await store.rewrap()
            except (ValueError, Unsealable) as wrong:
                raise Refused(f"{name}: {wrong}.", f"Look at the versions in {DATA_KEY}; nothing was lost.") from wrong
    return counts
