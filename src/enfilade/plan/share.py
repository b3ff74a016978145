"""What a process of a plan is told: written down by the supervisor, read by each of its children."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from enfilade.contract.message import Message
from enfilade.errors import Finding, StartError
from enfilade.placement import Share, Way
from enfilade.plan import hosts
from enfilade.plan.checkout import code as code_in
from enfilade.plan.sockets import address_of
from enfilade.plan.survey import Plan

_FROM: Final = "ENFILADE_FROM"
"""The variable that says in which folder the code of a process is."""


class Told(Message):
    """`<folder>/run/plan.json`."""

    plan: Plan
    over: Mapping[str, Any]
    """What the plan says over enfilade.toml, with the addresses of what it runs itself."""
    revision: int = 0
    """How often the plan in force has changed; see `force`."""


def write(told: Told, run: Path) -> None:
    """Write it into the folder where the processes meet, whole or not at all."""
    new = run / "plan.new"
    new.touch(0o600)
    new.write_bytes(msgspec.json.format(msgspec.json.encode(told)))
    new.replace(run / "plan.json")


def read(folder: str) -> Told:
    """What was written. Raises StartError where there is nothing."""
    path = Path(folder) / "run" / "plan.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Told)
    except (OSError, msgspec.MsgspecError) as wrong:
        remedy = "Processes of a plan are started together: enfilade run --plan NAME"
        raise StartError([Finding(str(path), f"this cannot be read: {wrong}.", remedy, "plan")]) from wrong


def share_of(told: Told, replica: str, folder: str) -> Share:
    """The share of one process: `orders`, or `orders@2`, its second replica. Raises StartError."""
    process = replica.partition("@")[0]
    plan, processes = told.plan, told.plan.layout.processes
    if process not in processes:
        what, known = f"the plan {plan.layout.name} has no process {process}.", ", ".join(processes)
        raise StartError([Finding("plan", what, f"It has: {known}.", "plan")])
    hears: dict[str, frozenset[str]] = {}
    for known in plan.services.values():
        if known.hears and known.process not in ("", process):
            hears[known.process] = hears.get(known.process, frozenset()) | frozenset(known.hears)
    return Share(
        process=process,
        replica=replica,
        front=processes[process].front,
        edge=bool(plan.layout.edge.run),
        at={
            name: (far,)
            if (far := hosts.away(plan, name))
            else tuple(address_of(folder, name, replica + 1) for replica in range(said.replicas))
            for name, said in processes.items()
        },
        ways={name: ways_of(plan, name) for name, known in plan.services.items() if known.process},
        calls={name: frozenset(known.calls) for name, known in plan.services.items()},
        hears=hears,
        sessions=plan.sessions,
        use=processes[process].use,
    )


def ways_of(plan: Plan, service: str) -> tuple[Way, ...]:
    """The processes that serve a service of ours: the primary one, which has what its variants leave, and those."""
    processes = plan.layout.processes
    variants = [
        Way(process=name, share=one.share, mirror=one.mirror, compare=one.compare, ignore=one.ignore)
        for name in plan.layout.variants(service)
        if (one := processes[name])
    ]
    return Way(process=plan.services[service].process, share=100 - sum(one.share for one in variants)), *variants


def over_of(told: Told, process: str) -> Mapping[str, Any]:
    """What the plan says over enfilade.toml, for one process: the settings of its services may be its own."""
    own = told.plan.layout.processes[process].service
    services = told.over.get("service", {})
    return {**told.over, "service": {**services, **{name: {**services.get(name, {}), **own[name]} for name in own}}}


def code_of(plan: Plan, process: str) -> Mapping[str, str]:
    """The variables by which a process knows that its code is in another folder than the plan."""
    said = plan.layout.processes[process].from_
    return code_at(str(code_in(said, plan.folder, f"process {process}")), plan.folder) if said else {}


def code_at(folder: str, platform: str) -> Mapping[str, str]:
    """The same for a folder of code, and the one where the platform keeps its files."""
    return {_FROM: folder, "ENFILADE_FOLDER": platform}


def code() -> Path | None:
    """The folder of this process's code; None where it is the working folder."""
    return Path(folder) if (folder := os.environ.get(_FROM)) else None
