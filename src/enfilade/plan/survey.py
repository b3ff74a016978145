"""A plan in force: an arrangement, and what an app is made of, as far as its processes have to know it of one another.

All implementations are imported for that, once; the processes import their own only.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enfilade.config import Config
from enfilade.contract.message import Message, event_name
from enfilade.contract.read import read
from enfilade.errors import Finding, StartError
from enfilade.identity import Sessions
from enfilade.placement import Placed, Placement, Share
from enfilade.plan import edge, hosts
from enfilade.plan.arrangement import Process, read_file
from enfilade.plan.layout import Layout, lay_out
from enfilade.service.inject import wants

if TYPE_CHECKING:
    from enfilade.app import App


class Known(Message):
    """What every process knows of a service."""

    process: str = ""
    """Where it is; `""` where it is served by somebody else."""
    calls: tuple[str, ...] = ()
    """Services whose contracts its constructor names."""
    hears: tuple[str, ...] = ()
    """Names of events."""
    keeps: bool = False
    """Whether it has a store."""


class Plan(Message):
    """What `enfilade plan show` says, and what the processes of a plan are told."""

    app: str
    layout: Layout
    services: Mapping[str, Known]
    data: Mapping[str, str]
    """By service that keeps something: the URL of its database."""
    foreign: Mapping[str, str] = {}
    """By service that is served by somebody else: where."""
    sessions: bool = False
    """Whether some service lets people in by a cookie."""
    folder: str
    host: str
    port: int
    drain: float
    json: bool
    """Whether logs are."""
    toml: str = ""
    """Path of the enfilade.toml that holds, for processes whose code is elsewhere; `""` is the one they find."""
    only: tuple[str, ...] = ()
    """The processes that run on this host; where none is named, those that are not elsewhere."""

    @property
    def said(self) -> dict[str, Any]:
        """What the plan says over enfilade.toml."""
        store = self.layout.store
        over: dict[str, Any] = {"service": {name: dict(one) for name, one in self.layout.service.items()}}
        if store.data:
            over["stores"] = dict(self.data)
        return over | {key: value for key in ("events", "blobs") if (value := getattr(store, key))}


def plan_of(
    app: App, name: str, file: Path, settings: Callable[[Mapping[str, Any]], Config], toml: Path | None = None
) -> Plan:
    """The plan of this name for an app. Raises StartError with all that is wrong.

    `file` is plan.toml, whether it exists or not; `settings(over)` is the configuration with the plan's word over it,
    and `toml` the enfilade.toml that it is of.
    """
    found, findings = read_file(file)
    names: list[str] = []
    for kind in app.services:
        try:
            names.append(read(kind).name)
        except StartError as wrong:
            findings.extend(wrong.findings)
    plain = settings({})
    layout, wrong = lay_out(name, found, str(file), app.name, names, plain.at)
    findings += wrong
    primary = [one for one in layout.processes.values() if not one.variant]
    services, wrong = _placed(app, layout, primary, settings)
    findings += wrong
    ways: list[Mapping[str, Placed]] = [services]
    """The services as each process has them that does otherwise."""
    for process, said in layout.processes.items():
        where = layout.origin.get(f"process.{process}", "")
        if said.from_:
            findings += _code(said.from_, where)
        elif said.variant and not findings:
            placed, wrong = _placed(app, layout, [said], settings)
            findings += [Finding(where, one.what, one.remedy, one.rule) for one in wrong]
            ways.append({one: placed[one] for one in said.services if one in placed})
    data = {one: _data(layout, one, plain) for one, placed in services.items() if placed.keeps}
    findings += _shared(layout, data, str(file), plain)
    findings += _edge(layout, plain)
    known = {
        one: Known(
            process=layout.of(one),
            calls=tuple(sorted({name for way in ways if one in way for name in way[one].calls})),
            hears=_heard(placed),
            keeps=placed.keeps,
        )
        for one, placed in services.items()
    }
    if not findings:
        findings += hosts.apart(layout, known, data)
    if findings:
        raise StartError(findings)
    return Plan(
        app=app.name,
        layout=layout,
        services=known,
        data=data,
        foreign={one: placed.at for one, placed in services.items() if placed.at},
        sessions=any(_wants(placed, Sessions) for placed in services.values()),
        folder=plain.folder,
        host=plain.host,
        port=plain.port,
        drain=plain.drain,
        json=(plain.log or ("console" if plain.development else "json")) == "json",
        toml="" if toml is None else str(toml),
    )


def _placed(
    app: App, layout: Layout, processes: Sequence[Process], settings: Callable[[Mapping[str, Any]], Config]
) -> tuple[Mapping[str, Placed], list[Finding]]:
    """The app's services as these processes have them, and what is wrong with them."""
    said = {one: dict(of) for one, of in layout.service.items()}
    use: dict[str, str] = {}
    for process in processes:
        if process.from_:
            continue  # its classes are known there
        use.update(process.use)
        for one, own in process.service.items():
            said[one] = {**said.get(one, {}), **own}
    try:
        config = settings({"service": said})
        services = Placement(app.services, app.builders, config, Share(use=use)).services
        return services, _settings(services, config, layout, said)
    except StartError as wrong:
        return {}, list(wrong.findings)


def _code(said: str, where: str) -> list[Finding]:
    """Where code is said to be that is not here: a folder, or what git knows."""
    if Path(said).is_dir():
        return []
    try:
        command = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{said}^{{commit}}"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:  # noqa: S603  (asks git only)
            return []
    except OSError:
        pass
    what = f"from = {said!r} is no folder, and no commit that git knows here."
    return [Finding(where, what, "Name a folder, or a commit, branch or tag of this repository.", "plan")]


def _settings(services: Mapping[str, Placed], config: Config, layout: Layout, said: Mapping[str, Any]) -> list[Finding]:
    """Settings that no settings class knows, or of another type."""
    findings: list[Finding] = []
    for name in said:
        placed = services.get(name)
        if placed is None or placed.build is None:
            continue
        for want in wants(placed.build):
            if want.kind == "settings":
                try:
                    config.settings(name, want.type)
                except StartError as wrong:
                    origin = next((at for key, at in layout.origin.items() if key.startswith(f"service.{name}.")), "")
                    findings += [Finding(origin or one.where, one.what, one.remedy, one.rule) for one in wrong.findings]
    return findings


def _data(layout: Layout, service: str, config: Config) -> str:
    said = "" if os.environ.get("ENFILADE_DATA") else layout.store.data
    url = said.get(service, said.get("*", "")) if isinstance(said, Mapping) else said
    return (url or config.data_of(service)).replace("{service}", service)


def _edge(layout: Layout, config: Config) -> list[Finding]:
    """What is wrong with the edge, and with what stands behind it that is not ours."""
    if not layout.edge.run:
        return []
    from enfilade.plan.beyond import wrong_with  # asks for all of the edge

    found = (*edge.mistakes(layout.edge, config.url), *wrong_with(layout.edge))
    return [Finding(layout.origin.get(f"edge.{key}", ""), what, remedy, "plan") for key, what, remedy in found]


def _shared(layout: Layout, data: Mapping[str, str], where: str, config: Config) -> list[Finding]:
    """Files that two services would write, and memory that two processes would share."""
    findings: list[Finding] = []
    of: dict[str, list[str]] = {}
    for service, url in data.items():
        if url.startswith("sqlite:") and url != "sqlite::memory:":
            of.setdefault(str(Path(url.removeprefix("sqlite:").removeprefix("//")).resolve()), []).append(service)
        elif url == "sqlite::memory:" and (
            layout.processes[layout.of(service)].replicas > 1 or layout.variants(service)
        ):
            what = f"{service} keeps its rows in the memory of one process, and has several."
            findings.append(Finding(where, what, "Say a place for data that they share.", "plan"))
    origin = layout.origin.get("store.data", "data of enfilade.toml")
    for path, services in of.items():
        if len(services) > 1:
            what = f"{' and '.join(services)} would share the database file {path}."
            remedy = 'Let its name have the service\'s in it: "sqlite:data/{service}.db".'
            findings.append(Finding(origin, what, remedy, "plan"))
    said = layout.store.data
    for service in said if isinstance(said, Mapping) else ():
        if service != "*" and service not in data:
            what = f"{service} is no service that keeps rows."
            findings.append(Finding(origin, what, f"These do: {', '.join(data)}.", "plan"))
    return findings


def _heard(placed: Placed) -> tuple[str, ...]:
    return tuple(sorted({event_name(one) for one in placed.hears}))


def _wants(placed: Placed, kind: type) -> bool:
    asked = wants(placed.build) if placed.build is not None else ()
    return any(isinstance(one.type, type) and issubclass(one.type, kind) for one in asked)
