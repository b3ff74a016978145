"""Processes on several hosts: which of them run here, where the others are reached, what cannot be between them.

Each host runs the same plan; what runs elsewhere is reached where it listens, by certificates.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from enfilade.errors import Finding
from enfilade.plan.arrangement import Process
from enfilade.plan.layout import Layout, origin

if TYPE_CHECKING:
    from enfilade.identity.workload import Workload
    from enfilade.plan.survey import Known, Plan


def here(plan: Plan, process: str) -> bool:
    """Whether a process runs under this supervisor; a version of it runs where it does."""
    if plan.only:
        return origin(process) in plan.only or process in plan.only
    return not plan.layout.processes[process].elsewhere


def away(plan: Plan, process: str) -> str:
    """Where a process of another host is reached; `""` for one of this host, which has its socket."""
    listen = plan.layout.processes[process].listen
    return f"https://{listen}" if listen and not here(plan, process) else ""


def several(layout: Layout) -> bool:
    """Whether there are certificates: some process listens for other hosts."""
    return any(one.listen for one in layout.processes.values())


def held(plan: Plan) -> Mapping[str, Collection[str]]:
    """What the certificate of each process says that it holds: its services, and the front what comes from outside."""
    from enfilade.identity.workload import OUTSIDE

    return {
        name: (*one.services, OUTSIDE) if one.front else one.services
        for name, one in plan.layout.processes.items()
        if not one.command
    }


def workload(plan: Plan, process: str) -> Workload | None:
    """What a process here shows those of other hosts; None where nobody listens for such. Raises StartError."""
    if not several(plan.layout):
        return None
    from enfilade.clock import SystemClock
    from enfilade.identity.workload import Workload
    from enfilade.identity.workload.files import file_of
    from enfilade.plan.sockets import run_folder

    run = run_folder(plan.folder)
    # A version has the certificate of the process that it is one of.
    name = process if file_of(run, process).exists() else origin(process)
    return Workload(trust_domain(plan), name, run, SystemClock())


def trust_domain(plan: Plan) -> str:
    """The name of the app in certificates."""
    from enfilade.identity.workload import domain_of

    return domain_of(plan.app)


def apart(layout: Layout, services: Mapping[str, Known], data: Mapping[str, str]) -> Iterator[Finding]:
    """All mistakes in what is said of hosts."""
    for name, one in layout.processes.items():
        where = layout.origin.get(f"process.{name}", "")
        yield from (Finding(where, what, remedy, "plan") for what, remedy in _said(name, one))
        if one.elsewhere:
            yield from (Finding(where, what, remedy, "plan") for what, remedy in _far(layout, name, services, data))
    if layout.authority and not _address(layout.authority):
        where = layout.origin.get("authority", "")
        yield Finding(where, f"authority: {layout.authority!r} is no address.", 'Write "10.0.0.1:7440".', "plan")
    far = [name for name, one in layout.processes.items() if one.elsewhere]
    if far and not layout.authority:
        where = layout.origin.get(f"process.{far[0]}", "")
        what = f"{far[0]} runs elsewhere, and could get no certificate there."
        remedy = 'Say where it is to ask for one, an address of this host: authority = "10.0.0.1:7440".'
        yield Finding(where, what, remedy, "plan")


def _said(name: str, process: Process) -> Iterator[tuple[str, str]]:
    if process.listen and not _address(process.listen):
        yield f"{name} cannot listen at {process.listen!r}.", 'Write it as listen = "10.0.0.2:7443".'
    if process.listen and not process.services:
        yield f"{name} listens, and has no services.", "Leave out listen: nobody calls it."
    if not process.elsewhere:
        return
    if not process.listen:
        yield f"{name} runs elsewhere, and is not reached there.", 'Say where: listen = "10.0.0.2:7443".'
    if process.front or process.command or name == "edge":
        yield f"{name} cannot run elsewhere.", "Leave out elsewhere: only processes of services can."


def _far(
    layout: Layout, name: str, services: Mapping[str, Known], data: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What a process on another host cannot reach."""
    mine = layout.processes[name].services
    called = {one for service in mine for one in services[service].calls}
    heard = {} if layout.store.events else {one: set(_sources(known)) & set(mine) for one, known in services.items()}
    for other in sorted(called | {one for one, sources in heard.items() if sources}):
        process = services[other].process
        if process not in ("", name) and not layout.processes[process].listen:
            says = f"calls {other}" if other in called else f"says events that {other} hears"
            yield f"{name} runs elsewhere and {says}.", f'Let {process} listen, too: listen = "10.0.0.1:7443".'
    for url in sorted({data[one] for one in mine if one in data} | {layout.store.events}):
        if url.startswith(("postgresql:", "nats:")) and "//" not in url:
            yield f"{name} runs elsewhere and cannot reach {url!r} of this host.", "Say an address with `//`."


def _sources(known: Known) -> Iterator[str]:
    """The services whose events it hears."""
    return (topic.partition(".")[0] for topic in known.hears)


def _address(said: str) -> bool:
    match = re.fullmatch(r"([^\s:/]+|\[[0-9a-fA-F:]+\]):(\d{1,5})", said)
    return match is not None and 0 < int(match[2]) < 65536
