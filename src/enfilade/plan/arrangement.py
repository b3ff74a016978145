"""What `plan.toml` may say: arrangements by name, each of processes, services and stores.

    [pair]                            # enfilade run --plan pair
    extends = "split"

    [pair.process.money]
    services = ["payments", "orders"]
    replicas = 2

    [pair.service.payments]           # settings of that service, over enfilade.toml
    retries = 3

    [pair.store]
    data = "postgresql:"              # supervised, from the wheel

    [pair.process.payments-next]      # another way to do the same, for some of the calls
    services = ["payments"]
    variant = true
    share = 10
    use = { payments = "shop.payments.fast" }

A name that comes for free (`one`, `split`) can be said as well, and is laid over what it is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, cast

import msgspec

from enfilade.errors import Finding, StartError
from enfilade.plan.edge import Beyond, Edge
from enfilade.settings import Settings

S = TypeVar("S", bound=Settings)

FREE: Final = ("one", "split")
"""Arrangements that need no file."""
REST: Final = "*"
"""All services that nothing else names."""

_Some = Annotated[int, msgspec.Meta(ge=1)]
_Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Name = Annotated[str, msgspec.Meta(min_length=1)]


class Process(Settings):
    """One process, or several that are alike."""

    services: tuple[_Name, ...] | Literal["*"] = ()
    """The services that share it; `"*"` are all that no other process names."""
    replicas: _Some = 1
    """How many there are of it; they share its socket, and its port where it is the front."""
    front: bool = False
    """Whether it listens at the app's public address. Where no process does, one named `front` is added."""
    memory: int = 0
    """Megabytes of private memory that each may have (Linux); 0 is no limit."""
    command: tuple[_Name, ...] = ()
    """Another program, started before the services and watched like them."""
    ready: str = ""
    """Where a command accepts connections once it is ready: `host:port`, or the path of a Unix socket."""
    environment: Mapping[str, str] = {}
    """Variables that it has besides."""
    listen: str = ""
    """Where it is called from other hosts, by certificates: `host:port`."""
    elsewhere: bool = False
    """Whether it runs on another host: only where `--only` names it."""
    variant: bool = False
    """Whether it serves what another process serves, too, and otherwise."""
    share: _Percent = 0.0
    """Of a variant: percent of the calls that go to it, and not to the primary process of a service."""
    mirror: _Percent = 0.0
    """Of a variant: percent of the other calls that are made to it again, in rehearsal."""
    compare: bool = False
    """Whether what becomes of them in rehearsal is compared with what became of them."""
    ignore: tuple[_Name, ...] = ()
    """What may differ, as paths into the answer: `/at`, `/items/*/id`."""
    from_: str = msgspec.field(default="", name="from")
    """Where its code is, if not here: a folder, or a git commit, branch or tag."""
    use: Mapping[str, _Name] = {}
    """By service: the module of the class that serves it, `module` or `module:Class`."""
    service: Mapping[str, Mapping[str, Any]] = {}
    """By service: settings that hold in this process, over those of the plan."""


class Stores(Settings):
    """Where rows, events and files live."""

    data: str | Mapping[str, str] = ""
    """As `data` of enfilade.toml, or `"postgresql:"` for one of the plan's own; or by service, with `"*"`."""
    events: str = ""
    """As `events` of enfilade.toml, or `"nats:"` for one of the plan's own."""
    blobs: str = ""
    """The folder of files that services keep."""


class Arrangement(Settings):
    """One table of plan.toml."""

    extends: str = ""
    """The arrangement that this one is laid over."""
    process: Mapping[str, Process] = {}
    service: Mapping[str, Mapping[str, Any]] = {}
    """By service: its settings, and `at` where it is served by somebody else."""
    store: Stores = Stores()
    edge: Edge = Edge()
    """What stands at the public address, before the processes."""
    authority: str = ""
    """Where other hosts ask for certificates, `host:port`: an address of the host that runs the plan."""
    hung: _Seconds | None = None
    """Seconds without a sign of life after which a process is ended and started again; 0 is never."""


def read_file(path: Path) -> tuple[Mapping[str, Arrangement], list[Finding]]:
    """All arrangements of a file, and what is wrong in it. No file is no arrangement. Raises StartError."""
    if not path.exists():
        return {}, []
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as wrong:
        raise StartError([Finding(str(path), f"this cannot be read: {wrong}.", "Mend it.", "plan")]) from wrong
    findings: list[Finding] = []
    found: dict[str, Arrangement] = {}
    for name, table in said.items():
        if isinstance(table, dict):
            found[name] = _arrangement(path, name, cast("dict[str, Any]", table), findings)
        else:
            what, remedy = f"{name} stands outside of any arrangement.", f"Write it below [{name}] or another name."
            findings.append(Finding(str(path), what, remedy, "plan"))
    return found, findings


def _arrangement(path: Path, name: str, table: dict[str, Any], findings: list[Finding]) -> Arrangement:
    """Read in pieces, so that the mistakes of each are found."""
    processes: dict[str, Process] = {}
    said = table.pop("process", {})
    for one, inner in (cast("dict[str, Any]", said) if isinstance(said, dict) else {"": said}).items():
        processes[one] = _piece(inner, Process, f"{path} [{name}.process.{one}]", findings)
    stores = _piece(table.pop("store", {}), Stores, f"{path} [{name}.store]", findings)
    edge = _edge(table.pop("edge", {}), f"{path} [{name}.edge", findings)
    rest = _piece(table, Arrangement, f"{path} [{name}]", findings)
    return msgspec.structs.replace(cast("Any", rest), process=processes, store=stores, edge=edge)


def _edge(said: Any, where: str, findings: list[Finding]) -> Edge:
    beyond: dict[str, Beyond] = {}
    routes: Any = cast("dict[str, Any]", said).pop("route", {}) if isinstance(said, dict) else {}
    for name, inner in (cast("dict[str, Any]", routes) if isinstance(routes, dict) else {"": routes}).items():
        try:
            beyond[name] = msgspec.convert(inner, Beyond)
        except msgspec.ValidationError as wrong:
            findings.append(_wrong(f"{where}.route.{name}]", wrong, Beyond))
    return msgspec.structs.replace(cast("Any", _piece(said, Edge, f"{where}]", findings)), route=beyond)


def _piece(said: Any, kind: type[S], where: str, findings: list[Finding]) -> S:
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as wrong:
        findings.append(_wrong(where, wrong, kind))
        return kind()


def _wrong(where: str, wrong: msgspec.ValidationError, kind: type[Settings]) -> Finding:
    known = ", ".join(cast("Any", kind).__struct_encode_fields__)
    return Finding(where, f"{wrong}.", f"It knows: {known}.", "plan")


def chain(name: str, found: Mapping[str, Arrangement], where: str) -> list[str]:
    """The names that an arrangement is made of, what is laid under first. Raises StartError."""
    names: list[str] = []
    at = name
    while at:
        if at in names:
            circle = " -> ".join([*names[names.index(at) :], at])
            raise StartError([Finding(f"{where} [{at}]", f"{circle} is a circle.", "Let one extend none.", "plan")])
        if at not in found and at not in FREE:
            what = f"there is no plan named {at}." if at == name else f"[{names[-1]}] extends {at}, which is not there."
            known = ", ".join(dict.fromkeys((*FREE, *found)))
            raise StartError([Finding(where, what, f"There are: {known}.", "plan")])
        names.append(at)
        at = found[at].extends if at in found else ""
    return names[::-1]
