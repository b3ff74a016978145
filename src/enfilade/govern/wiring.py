"""What serves each contract, and whether it can be given what it asks for; read without building anything."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from msgspec import Meta

from enfilade.clock import Clock
from enfilade.config import Config
from enfilade.contract.operation import Contract
from enfilade.contract.read import read
from enfilade.errors import Finding, StartError
from enfilade.identity import Passwords, Verifier
from enfilade.identity.provider.seal import Host
from enfilade.outbound import Http
from enfilade.service.find import beside, mismatches, place
from enfilade.service.inject import Want, unnamed, wants
from enfilade.service.pools import Processes, Threads
from enfilade.store import Database
from enfilade.store.blobs import Blobs
from enfilade.topic import handlers_of, schedules_of

if TYPE_CHECKING:
    from enfilade.app import App

_GIVEN = (Blobs, Clock, Database, Host, Http, Passwords, Processes, Threads, Verifier)
"""What the platform gives to every service that asks for it."""


@dataclass(frozen=True)
class Read:
    """An app as far as it can be read."""

    contracts: Mapping[str, Contract]
    """By service name."""
    builds: Mapping[str, Callable[..., Any]]
    """What serves each, by service name; not there where it is served elsewhere, or by nobody."""
    findings: tuple[Finding, ...]


def read_app(app: App, config: Config) -> Read:
    """Contracts and what serves them, with everything that would keep the app from starting."""
    contracts: dict[str, Contract] = {}
    builds: dict[str, Callable[..., Any]] = {}
    findings: list[Finding] = []
    for kind in app.services:
        try:
            contract = read(kind)
            contracts[contract.name] = contract
            build = app.builders.get(kind)
            if build is None and not config.at(contract.name):
                build = beside(contract)
            if build is not None:
                builds[contract.name] = build
        except StartError as wrong:
            findings += wrong.findings
    return Read(contracts, builds, tuple(findings))


def implementation(contract: Contract, cls: type) -> Iterator[Finding]:
    """Where a class does not keep to its contract, or its handlers to what they hear."""
    yield from mismatches(contract, cls)
    for reading in (handlers_of, schedules_of):
        try:
            reading(cls)
        except StartError as wrong:
            yield from wrong.findings
    for operation in contract.operations:
        said = inspect.getattr_static(contract.type, operation.name)
        done = inspect.unwrap(inspect.getattr_static(cls, operation.name))
        if done is not said:
            yield from _constraints(operation.name, said, done)


def _constraints(name: str, said: Any, done: Any) -> Iterator[Finding]:
    try:
        promised, kept = get_type_hints(said, include_extras=True), get_type_hints(done, include_extras=True)
    except NameError:  # a name that is imported for type checkers only
        return
    for parameter, hint in promised.items():
        lost = [one for one in _metas(hint) if one not in _metas(kept.get(parameter, hint))]
        if lost:
            what = f"{name}({parameter}) leaves out what its contract says of it: {', '.join(map(str, lost))}."
            remedy = "Write the contract's own type: what is checked is what the contract says."
            yield Finding(place(done), what, remedy, "constraint")


def _metas(hint: Any) -> list[Meta]:
    if isinstance(hint, Meta):
        return [hint]
    return [meta for one in get_args(hint) for meta in _metas(one)]


def injection(app: App, read: Read, config: Config) -> Iterator[Finding]:
    """What a constructor asks for and nobody can give."""
    for service, build in read.builds.items():
        yield from _Asking(app, read, config, service).of(build, ())


class _Asking:
    """What one service asks for."""

    def __init__(self, app: App, read: Read, config: Config, service: str) -> None:
        self._app = app
        self._config = config
        self._service = service
        self._contracts = [contract.type for contract in read.contracts.values()]
        self._roles = [role for contract in read.contracts.values() for role in contract.roles]

    def of(self, build: Callable[..., Any], inside: tuple[Any, ...]) -> Iterator[Finding]:
        if build in inside:
            chain = " -> ".join(_name(one) for one in (*inside, build))
            remedy = "Break the circle: let one of them not ask for the other."
            yield Finding(place(build), f"{chain} need one another.", remedy, "injection")
            return
        try:
            asked = wants(build)
        except StartError as wrong:
            yield from wrong.findings
            return
        except NameError as unknown:
            what = f"{_name(build)}: {unknown}."
            remedy = "Import it at the top of the module, and not for type checkers only: things are injected by type."
            yield Finding(place(build), what, remedy, "injection")
            return
        for want in asked:
            yield from self._want(build, want, (*inside, build))

    def _want(self, build: Callable[..., Any], want: Want, inside: tuple[Any, ...]) -> Iterator[Finding]:
        if want.type in self._app.provided:
            yield from self.of(self._app.provided[want.type], inside)
        elif want.kind == "settings":
            yield from self._settings(want)
        elif want.kind == "resource" and not _is_given(want.type):
            yield from self.of(want.type, inside)
        elif (why := self._why_not(want)) and not want.optional and not want.default:
            what = f"{_name(build)} asks for {want.name}: {_shown(want.type)}, and {why[0]}."
            yield Finding(place(build), what, why[1], "injection")

    def _why_not(self, want: Want) -> tuple[str, str] | None:
        """Why it cannot be given, and what to do; None where it can."""
        name = _shown(want.type)
        if want.kind == "contract":
            if want.type in self._contracts or self._roles.count(want.type) == 1:
                return None
            if want.type in self._roles:
                return "more than one service serves that role", f"Ask for one of their contracts instead of {name}."
            remedy = f"Add {name} to the services of the app, or one that plays that role, or ask for {name} | None."
            return "nobody serves that contract", remedy
        if want.kind == "secret" and want.secret is None:
            return "does not say which secret", unnamed(want.name)
        if want.kind == "other" and not _is_given(want.type):
            remedy = f"Provide it: app.provide({name}).by(build). Or ask for a contract, Table[Row], Topic[Event], "
            return "nothing of that type can be given", f"{remedy}Database, Http, Settings or a resource."
        return None

    def _settings(self, want: Want) -> Iterator[Finding]:
        try:
            self._config.settings(self._service, want.type)
        except StartError as wrong:
            yield from () if want.optional else wrong.findings


def _is_given(kind: Any) -> bool:
    return isinstance(kind, type) and any(one in kind.__mro__ for one in _GIVEN)


def _name(build: Any) -> str:
    return getattr(build, "__name__", str(build))


def _shown(kind: Any) -> str:
    if args := get_args(kind):
        return f"{_name(get_origin(kind))}[{', '.join(_shown(one) for one in args)}]"
    return _name(kind)
