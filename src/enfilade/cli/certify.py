"""Certificates of a plan's processes, while its supervisor runs: of an authority of its own, or of another host's."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enfilade.cli.refused import Refused

if TYPE_CHECKING:
    from enfilade.plan import Plan

JOIN: Final = "ENFILADE_JOIN"
"""The variable that has what `enfilade plan join` said on the plan's host."""


@contextlib.asynccontextmanager
async def certified(plan: Plan, said: str | None, run: Path) -> AsyncGenerator[None]:
    """Inside, each process here has a good certificate, where some process listens for other hosts.

    Raises Refused and StartError where that cannot be.
    """
    from enfilade.plan import hosts

    if not hosts.several(plan.layout):
        yield
        return
    async with contextlib.AsyncExitStack() as stack:
        keeping = await (_joined(plan, run) if os.environ.get(JOIN) else _issued(plan, said, run, stack))
        stack.callback(keeping.cancel)
        yield


async def _issued(plan: Plan, said: str | None, run: Path, stack: contextlib.AsyncExitStack) -> asyncio.Task[None]:
    """By an authority of our own, which others may ask."""
    from enfilade.cli.target import configuration_of
    from enfilade.clock import SystemClock
    from enfilade.identity.workload import Authority
    from enfilade.plan import hosts, joining
    from enfilade.supplies import secret_of

    held, clock, at = hosts.held(plan), SystemClock(), plan.layout.authority
    if plan.only and all(plan.layout.processes[name].elsewhere for name in plan.only):
        what = f"{', '.join(plan.only)} would have certificates of another authority than the others."
        raise Refused(what, f"Say as {JOIN} what the plan's host says to: {_asked(plan, plan.only)}")
    config = configuration_of(said)
    secret = secret_of(config)
    authority = Authority(hosts.trust_domain(plan), secret, Path(config.folder), clock)
    authority.renew(run, held)
    if at:
        try:
            await stack.enter_async_context(joining.serving(authority, secret, held, at, clock))
        except OSError as taken:
            what = f"{at} cannot be had for the authority: {taken.strerror or taken}."
            raise Refused(what, "Say an address of this host that is free: authority = ...") from taken
    return asyncio.create_task(authority.keep(run, held), name="certificates")


async def _joined(plan: Plan, run: Path) -> asyncio.Task[None]:
    """By the authority of another host."""
    from enfilade.clock import SystemClock
    from enfilade.plan import hosts
    from enfilade.plan.joining import Guest, Token

    mine = [name for name in hosts.held(plan) if hosts.here(plan, name)]
    remedy = f"Say what the plan's host says to: {_asked(plan, mine)}"
    try:
        token = Token.parse(os.environ[JOIN])
    except ValueError as wrong:
        raise Refused(f"{JOIN}: {wrong}.", remedy) from wrong
    if missing := sorted(set(mine) - set(token.processes)):
        raise Refused(f"{JOIN} is for {', '.join(token.processes)}, and not for {', '.join(missing)}.", remedy)
    if not plan.layout.authority:
        raise Refused(f"{JOIN} is said, and the plan has no authority.", 'Say it: authority = "10.0.0.1:7440".')
    guest = Guest(token, plan.layout.authority, run, SystemClock())
    await guest.join()
    return asyncio.create_task(guest.keep(), name="certificates")


def _asked(plan: Plan, processes: Sequence[str]) -> str:
    return f"enfilade plan join {plan.layout.name} {' '.join(processes)}"
