"""`enfilade variants`: how variants do, beside the processes whose calls are made to them again."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING

import click

from enfilade.cli.refused import Refused, start_errors
from enfilade.cli.table import table
from enfilade.cli.target import app_option, configuration, json_option, load_beside

if TYPE_CHECKING:
    from enfilade.endpoint.mirror import Compared
    from enfilade.endpoint.rpc import Link
    from enfilade.plan.share import Told


@click.command()
@app_option
@json_option
def variants(app: str | None, as_json: bool) -> None:
    """Show how variants answer the calls that are mirrored.

    Asks the processes of the plan that runs. What they count begins with their start.
    """
    from enfilade.plan import share

    _, beside = load_beside(app)
    folder = configuration(beside).folder
    with start_errors():
        found = asyncio.run(_compared(share.read(folder), folder))
    outcomes: dict[tuple[str, str], Counter[str]] = {}
    paths: dict[tuple[str, str], Counter[str]] = {}
    for one in found:
        at = one.variant, one.operation
        outcomes.setdefault(at, Counter()).update(one.outcomes)
        paths.setdefault(at, Counter()).update(one.paths)
    if as_json:
        records = [
            {"variant": at[0], "operation": at[1], "outcomes": said, "paths": paths[at]}
            for at, said in outcomes.items()
        ]
        click.echo(json.dumps(records, indent=2))
        return
    told = [
        {
            "variant": at[0],
            "operation": at[1],
            "outcomes": ", ".join(f"{count} {outcome}" for outcome, count in said.most_common()),
            "at": " ".join(path for path, _ in paths[at].most_common()),
        }
        for at, said in outcomes.items()
    ]
    click.echo(table(told, empty="Nothing was mirrored yet."))


async def _compared(told: Told, folder: str) -> list[Compared]:
    """What the processes say whose calls are mirrored."""
    from enfilade.endpoint.rpc import Link
    from enfilade.plan.share import ways_of
    from enfilade.plan.sockets import address_of

    plan = told.plan
    ways = [ways_of(plan, service) for service, known in plan.services.items() if known.process]
    asked = dict.fromkeys(primary.process for primary, *others in ways if any(way.mirror for way in others))
    found: list[Compared] = []
    for process in asked:
        for replica in range(plan.layout.processes[process].replicas):
            async with Link(address_of(folder, process, replica + 1), patience=0.0) as link:
                found += await _ask(link, process)
    return found


async def _ask(link: Link, process: str) -> tuple[Compared, ...]:
    from enfilade.call import Call
    from enfilade.clock import SystemClock
    from enfilade.endpoint.mirror import VARIANTS
    from enfilade.endpoint.rpc import connect
    from enfilade.errors import Unavailable

    (operation,) = VARIANTS.operations
    clock = SystemClock()
    try:
        ask = connect(VARIANTS, link)[operation.id]
        return await ask(Call(operation, {}, clock, clock.monotonic() + operation.timeout))
    except Unavailable as away:
        raise Refused(f"{process} does not answer: {away}.", "Run the plan: enfilade run --plan NAME") from away
