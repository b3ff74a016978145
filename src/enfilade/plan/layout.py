"""An arrangement with nothing left open: which process has which services, and what said so.

Arrangements that extend one another are laid over one another. A service moves to the process that names it last, and a
process that has nothing left is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from enfilade.contract.message import Message
from enfilade.errors import Finding
from enfilade.plan.arrangement import REST, Arrangement, Process, Stores, chain
from enfilade.plan.edge import EDGE, Edge, said_of, upon
from enfilade.plan.vary import VARYING, unknown, varied


class Layout(Message):
    """What holds in an arrangement."""

    name: str
    processes: Mapping[str, Process]
    """By name; what each serves is named one by one."""
    service: Mapping[str, Mapping[str, Any]] = {}
    """Settings over those of enfilade.toml."""
    store: Stores = Stores()
    edge: Edge = Edge()
    authority: str = ""
    """Where other hosts ask for certificates."""
    hung: float = 10.0
    """Seconds without a sign of life after which a process is ended and started again; 0 is never. Long enough for
    what holds up a process that is well: a collection of garbage, a call that blocks, a machine with much to do."""
    origin: Mapping[str, str] = {}
    """What said it, by `process.<name>` (and its `.<key>`, of variants), `placed.<service>`, `service.<name>.<key>`,
    `store.<key>`, `edge.<key>`, `authority` and `hung`."""

    def of(self, service: str) -> str:
        """The primary process of a service; `""` where none of ours has it."""
        return next((name for name, one in self.processes.items() if service in one.services and not one.variant), "")

    def variants(self, service: str) -> Sequence[str]:
        """The processes that serve it, too, and otherwise."""
        return [name for name, one in self.processes.items() if service in one.services and one.variant]

    @property
    def front(self) -> str:
        """The process at the public address, or behind the edge there with all that is no operation."""
        return next(name for name, one in self.processes.items() if one.front)


def origin(process: str) -> str:
    """The name that a process had before any release: `payments` of `payments.3`."""
    return re.sub(r"\.\d+$", "", process)


def lay_out(
    name: str,
    found: Mapping[str, Arrangement],
    where: str,
    app: str,
    services: Sequence[str],
    address: Callable[[str], str],
) -> tuple[Layout, list[Finding]]:
    """The layout of an app's services, and all mistakes in it. Raises StartError where nothing can be laid out.

    `where` is the file; `address(service)` says where enfilade.toml has a service that is somebody else's.
    """
    work = _Work(where, services)
    for one in chain(name, found, where):
        if one == "one":
            work.lay(one, Arrangement(process={app: Process(services="*", front=True)}), "comes for free")
        elif one == "split":
            each = {service: Process(services=(service,)) for service in services}
            work.lay(one, Arrangement(process=each), "comes for free")
        if one in found:
            work.lay(one, found[one], "")
    foreign = {one for one in services if work.service.get(one, {}).get("at") or address(one)}
    work.settle(foreign)
    work.settle_edge()
    store = Stores(**work.store)
    layout = Layout(
        name=name,
        processes=work.processes,
        service=work.service,
        store=store,
        edge=work.edge,
        **work.plain,
        origin=work.origin,
    )
    return layout, work.findings


class _Work:
    def __init__(self, where: str, services: Sequence[str]) -> None:
        self._where = where
        self._services = services
        self._placed: dict[str, str] = {}
        """The process of each service that was named."""
        self._rest = ""
        """The process of all others."""
        self.processes: dict[str, Process] = {}
        self.service: dict[str, dict[str, Any]] = {}
        self.store: dict[str, Any] = {}
        self.edge = Edge()
        self.plain: dict[str, Any] = {}
        """What is said of the whole: `authority` and `hung`."""
        self.origin: dict[str, str] = {}
        self.findings: list[Finding] = []

    def lay(self, name: str, over: Arrangement, origin: str) -> None:
        """One arrangement over what there is."""
        here: dict[str, str] = {}
        rests: list[str] = []
        for process, said in over.process.items():
            where = origin or f"{self._where} [{name}.process.{process}]"
            self._name(where, process)
            self.origin[f"process.{process}"] = where
            self.origin.update({f"process.{process}.{key}": where for key in VARYING if getattr(said, key)})
            laid = self.processes[process] = _over(self.processes.get(process), said)
            if laid.variant:
                continue
            if said.services == REST:
                rests.append(process)
                continue
            for service in said.services:
                self._place(where, service, process, here)
        if len(rests) > 1:
            what = f'{" and ".join(rests)} both have services = "*".'
            self._miss(f"{self._where} [{name}]", what, "Let one of them have it.")
        if rests:  # it has all that is not named beside it
            self._placed, self._rest = here, rests[0]
        else:
            self._placed |= here
        self._lay_services(name, over)
        for key in _names(Stores):
            if value := getattr(over.store, key):
                self.store[key] = value
                self.origin[f"store.{key}"] = f"{self._where} [{name}.store]"
        self._lay_edge(name, over.edge)
        plain = {"authority": over.authority or None, "hung": over.hung}
        said = {key: value for key, value in plain.items() if value is not None}
        self.plain |= said
        self.origin.update(dict.fromkeys(said, f"{self._where} [{name}]"))

    def _place(self, where: str, service: str, process: str, here: dict[str, str]) -> None:
        if service in here:
            what = f"{service} is placed twice: in {here[service]} and in {process}."
            self._miss(where, what, "Let one process name it, and say replicas = 2 for more of that process.")
        elif service not in self._services:
            self.findings.append(unknown(where, service, self._services))
        here[service] = process
        self.origin[f"placed.{service}"] = where

    def _lay_edge(self, name: str, over: Edge) -> None:
        self.edge = upon(self.edge, over)
        self.origin.update({f"edge.{key}": f"{self._where} [{name}.edge]" for key in said_of(over)})
        self.origin.update({f"edge.route.{key}": f"{self._where} [{name}.edge.route.{key}]" for key in over.route})

    def _lay_services(self, name: str, over: Arrangement) -> None:
        for service, settings in over.service.items():
            where = f"{self._where} [{name}.service.{service}]"
            if service not in self._services:
                self.findings.append(unknown(where, service, self._services))
            self.service.setdefault(service, {}).update(settings)
            self.origin.update({f"service.{service}.{key}": where for key in settings})

    def settle(self, foreign: set[str]) -> None:
        """Each service where it belongs, one front, and nothing that is empty."""
        of: dict[str, list[str]] = {name: [] for name, one in self.processes.items() if not one.variant}
        for service in self._services:
            process = self._placed.get(service, self._rest)
            said = self.origin.get(f"placed.{service}", "")
            if service in foreign:
                if service in self._placed and said != "comes for free":
                    what = f"{service} is placed in {process}, and served at an address."
                    self._miss(said, what, f"Take it out of the process, or `at` out of [service.{service}].")
            elif not process:
                what = f"no process has {service}."
                self._miss(self._where, what, 'Name it in one, or let one have services = "*".')
            else:
                of[process].append(service)
                self.origin.setdefault(f"placed.{service}", self.origin[f"process.{process}"])
        for name, services in of.items():
            process = self.processes[name]
            if process.command and services:
                what = f"{name} has a command, and services."
                self._miss(self.origin[f"process.{name}"], what, "Let it be two processes.")
            if services or process.command or process.front or name in self._needed:
                self.processes[name] = _changed(process, services=tuple(services))
            else:
                del self.processes[name]
        self.findings += varied(self.processes, self._services, foreign, self.origin)
        fronts = [name for name, one in self.processes.items() if one.front]
        if len(fronts) > 1:
            what = f"{' and '.join(fronts)} are both the front."
            self._miss(self._where, what, "Let one of them have the public address.")
        if not fronts:
            front = self.processes.get("front", Process())
            self.processes["front"] = _changed(front, front=True)
            self.origin.setdefault("process.front", "comes for free")

    @property
    def _needed(self) -> tuple[str, ...]:
        """Processes that are there without a service."""
        return ("front", EDGE) if self.edge.run else ("front",)

    def settle_edge(self) -> None:
        """A process for it, where there is one."""
        if not self.edge.run:
            return
        said = self.processes.get(EDGE, Process())
        where = self.origin.setdefault(f"process.{EDGE}", self.origin["edge.run"])
        if said.services or said.command or said.front or said.replicas > 1:
            what = f"the process {EDGE} runs Envoy, alone and nothing else."
            self._miss(where, what, "Give the process another name; of Envoy say threads = 4.")
        self.processes[EDGE] = _changed(said, services=(), command=())

    def _name(self, where: str, process: str) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,39}", process):
            remedy = "Name it with at most 40 small letters, digits, `-`, `_` and `.`: its socket is named so."
            self._miss(where, f"{process!r} is no name of a process.", remedy)

    def _miss(self, where: str, what: str, remedy: str) -> None:
        self.findings.append(Finding(where, what, remedy, "plan"))


def _over(base: Process | None, said: Process) -> Process:
    """What the upper one says, and of the rest what the lower one says."""
    if base is None:
        return said
    plain = Process()
    return _changed(
        base, **{key: value for key in _names(Process) if (value := getattr(said, key)) != getattr(plain, key)}
    )


def _changed(process: Process, **fields: Any) -> Process:
    return msgspec.structs.replace(cast("Any", process), **fields)


def _names(kind: type) -> tuple[str, ...]:
    return cast("Any", kind).__struct_fields__
