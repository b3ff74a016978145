"""What the provider and the users keep, opened by itself: an app may run meanwhile, or not at all."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

from enfilade.cli.refused import Refused, start_errors
from enfilade.cli.target import config_of, load_app

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.config import Config
    from enfilade.store import Store

T = TypeVar("T")


def within(said: str | None, contract: type, work: Callable[[App, Config, Store], Awaitable[T]]) -> T:
    """Do some work in one unit of work of the service of a contract. Raises Refused."""
    from enfilade.cli.stores import stores_of
    from enfilade.contract.read import read

    app = load_app(said)
    config, name = config_of(app), read(contract).name
    if contract not in app.services:
        raise Refused(
            f"{app.name} has no {contract.__name__}.", f"Add {contract.__name__} to its services: see docs/provider.md."
        )

    async def inside() -> T:
        async with stores_of(app) as stores:
            if name not in stores:
                raise Refused(f"{name} is served elsewhere.", f"Ask there: {config.at(name)}")
            store = stores[name]
            await store.migrate(apply=config.development)
            async with store.unit():
                return await work(app, config, store)

    with start_errors():
        return asyncio.run(inside())


def password() -> str:
    """A password: asked for twice, or a line of standard input; never from the command line, which others can see."""
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline().rstrip("\n")
