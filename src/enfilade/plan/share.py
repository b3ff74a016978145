"""What a process of a plan is told: written down by the supervisor, read by each of its children."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from enfilade.contract.message import Message
from enfilade.errors import Finding, StartError
from enfilade.placement import Share, Way
from enfilade.plan.sockets import address_of
from enfilade.plan.survey import Plan


class Told(Message):
    """`<folder>/run/plan.json`."""

    plan: Plan
    over: Mapping[str, Any]
    """What the plan says over enfilade.toml, with the addresses of what it runs itself."""


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
        at={
            name: tuple(address_of(folder, name, replica + 1) for replica in range(said.replicas))
            for name, said in processes.items()
        },
        ways={name: (Way(process=known.process),) for name, known in plan.services.items() if known.process},
        calls={name: frozenset(known.calls) for name, known in plan.services.items()},
        hears=hears,
        sessions=plan.sessions,
    )
