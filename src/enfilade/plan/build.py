"""What another build of the app is: asked for in a process that imports it, and compared with what runs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from enfilade.contract.compare import Told, breaks
from enfilade.contract.message import Message
from enfilade.errors import Finding, StartError
from enfilade.plan.share import code_at
from enfilade.plan.survey import Plan

_ASKED: Final = 60.0
"""Seconds that a build may take to tell what it is."""

Contracts = Mapping[str, Mapping[str, Told]]
"""By service and operation, what others rely on."""


class Build(Message):
    """An app, as its code has it."""

    plan: Plan
    contracts: dict[str, dict[str, dict[str, Any]]]


async def ask(code: str, said: str | None, plan: Plan) -> Build:
    """The build in a folder, in this plan. Raises StartError with what is wrong there."""
    command = ["-m", "enfilade.cli", "plan", "show", plan.layout.name, "--json", "--contracts"]
    asked = await asyncio.create_subprocess_exec(
        sys.executable, *command, *(["--app", said] if said else []),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **code_at(code, plan.folder)},
    )  # fmt: skip
    wrong = b""
    try:
        async with asyncio.timeout(_ASKED):
            wrote, wrong = await asked.communicate()
        # The app's modules may write what they like: the build is the last line.
        return msgspec.json.decode(wrote.splitlines()[-1], type=Build)
    except (TimeoutError, msgspec.MsgspecError, IndexError) as error:
        if asked.returncode is None:
            asked.kill()
        why = wrong.decode("utf-8", "replace").strip()[-2000:] or repr(error)
        what = f"it does not say what it is: {why}"
        raise StartError([Finding(code or "the working folder", what, "Mend it, and try again.", "release")]) from error


def broken(plan: Plan, process: str, build: Build, running: Mapping[str, Contracts]) -> Iterator[str]:
    """Who would break if the services of a process came from that build, and why, a line each.

    `running` are the contracts that each process has now, by its name.
    """
    for service in plan.layout.processes[process].services:
        if service not in build.contracts:
            yield f"there is no {service} in it"
            continue
        new = build.contracts[service]
        for other, contracts in running.items():
            users = [one for one in plan.layout.processes[other].services if service in plan.services[one].calls]
            if other != process and users:
                yield from _told(f"{', '.join(users)} would break", service, breaks(contracts.get(service, {}), new))
        outside = running.get(plan.layout.front, {}).get(service, {})
        yield from _told("clients outside would break", service, breaks(outside, new, outside=True))
        for called in build.plan.services[service].calls:
            yield from _itself(plan, process, service, called, build, running)


def _itself(
    plan: Plan, process: str, service: str, called: str, build: Build, running: Mapping[str, Contracts]
) -> Iterator[str]:
    """Whether it can call what runs."""
    there = plan.layout.of(called)
    if called not in plan.services:
        yield f"{service} would break: it calls {called}, which is not there"
    elif there in running and there != process:
        yield from _told(
            f"{service} would break", called, breaks(build.contracts[called], running[there].get(called, {}))
        )  # fmt: skip


def _told(who: str, service: str, why: Sequence[str]) -> Iterator[str]:
    return (f"{who}: {service}.{one}" for one in why)
