"""What commands that change the plan in force have in common: they ask the supervisor, and show how it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

from enfilade.cli.refused import Refused, start_errors
from enfilade.cli.table import table
from enfilade.cli.target import configuration_of

if TYPE_CHECKING:
    from enfilade.contract.blob import Stream
    from enfilade.plan import Plan
    from enfilade.plan.control import Control, Progress

T = TypeVar("T")

without_option = click.option(
    "--without", metavar="PROCESS", multiple=True, help="Go without knowing what this one relies on, if it is silent."
)
dry_option = click.option("--dry-run", is_flag=True, help="Only say what it would change.")


def steer(said: str | None, change: Callable[[Control], Stream[Progress]]) -> None:
    """Have the supervisor change the plan in force. Raises Refused with what it says where it does not."""
    _supervisor(said, lambda control: _shown(change(control)))


def in_force(said: str | None) -> Plan:
    """The plan that runs, as it is now. Raises Refused where there is none."""
    import msgspec

    from enfilade.plan import Plan

    return msgspec.json.decode(_supervisor(said, lambda control: control.plan()), type=Plan)


def _supervisor(said: str | None, work: Callable[[Control], Awaitable[T]]) -> T:
    """What the supervisor in the folder of an app answers."""
    from enfilade.errors import Unavailable
    from enfilade.plan.control import Unchanged, address, asking
    from enfilade.plan.sockets import accepts

    folder = configuration_of(said).folder

    async def ask() -> T:
        async with asking(folder) as control:
            return await work(control)

    with start_errors():
        if not accepts(address(folder).removeprefix("unix:")):
            raise Refused(f"no plan runs in {folder}.", "Start one: enfilade run --plan split")
        try:
            return asyncio.run(ask())
        except Unchanged as refused:
            raise Refused(refused.detail, "The plan in force is as it was.") from refused
        except Unavailable as lost:
            raise Refused(f"the supervisor does not answer any more: {lost}", "Look at what it wrote.") from lost


async def _shown(progress: Stream[Progress]) -> None:
    async for one in progress:
        if one.differences:
            click.echo(table([{"what": each.what, "now": each.before, "then": each.after} for each in one.differences]))
        if one.text:
            click.echo(click.style(one.text, fg="red") if one.wrong else one.text)
