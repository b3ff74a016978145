"""Reading a contract: from a Protocol class with decorated methods to the model that the platform works from.

All mistakes are collected before anything is raised; each names its file and line and what to do.
"""
# The class that is read is of unknown type: that is what reflection is.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

import msgspec

from enfilade.contract.declare import SAID, ContractSaid, Defaults, OperationSaid
from enfilade.contract.fingerprint import contract_fingerprint, operation_fingerprint
from enfilade.contract.limit import FLOW, size
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.place import Findings, summary_of, where_is
from enfilade.contract.promise import check_promises
from enfilade.contract.route import Route, parse_route
from enfilade.contract.rule import check_rules
from enfilade.contract.shape import camel, shape
from enfilade.contract.signature import Signature, is_stream, read_signature, resolve, shape_of
from enfilade.errors import Finding, Problem, StartError, kebab

TIMEOUT = 10.0
"""Seconds: longer than any answer that a person waits for."""
IDLE = 30.0
"""Seconds: shorter than the minute after which most proxies close a silent connection."""
BODY = 1024 * 1024
"""Bytes: a thousand times an ordinary JSON body."""

_READ = "__enfilade_read__"


def read(contract: type) -> Contract:
    """What a contract says. Raises StartError with every mistake that is in it."""
    known = contract.__dict__.get(_READ)
    if known is None:
        known = _read(contract)
        setattr(contract, _READ, known)
    return cast("Contract", known)


def _read(cls: type) -> Contract:
    findings = Findings(where_is(cls))
    if not getattr(cls, "_is_protocol", False):
        findings.add("protocol", f"{cls.__name__} is not a Protocol", f"write `class {cls.__name__}(Protocol)`")
        raise StartError(findings.all)
    said = _said(cls)
    service = said.name or kebab(cls.__name__)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", service):
        findings.add("name", f"a service cannot be named {service!r}", "use small letters, digits and hyphens")
    if said.version < 1:
        findings.add("version", f"version {said.version}", "versions are whole numbers from 1")
    reading = _Reading(cls, said, service)
    bases = [base for base in cls.__mro__ if getattr(base, "_is_protocol", False) and base is not Protocol]
    for base in reversed(bases):
        notes = findings if base is cls else Findings(where_is(base))
        check_promises(_said(base), notes)
        reading.found += notes.all
        reading.members(base)
    if not reading.operations and not reading.found:
        findings.add("empty", f"{cls.__name__} has no operations", "decorate its methods with @query or @command")
        raise StartError(findings.all)
    if reading.found:
        raise StartError(tuple(dict.fromkeys(reading.found)))
    summary, description = summary_of(_doc(cls), kebab(cls.__name__).replace("-", " "))
    made = Contract(
        name=service,
        type=cls,
        owner=said.owner,
        version=said.version,
        names=said.names,
        summary=summary,
        description=description,
        operations=tuple(reading.operations),
        where=where_is(cls),
        roles=tuple(base for base in bases if base is not cls),
    )
    object.__setattr__(made, "fingerprint", contract_fingerprint(made))
    return made


def _said(cls: type) -> ContractSaid:
    return cls.__dict__.get(SAID, ContractSaid())


def _doc(cls: type) -> str | None:
    """The contract's docstring, or else that of its `contract.py`, which is about nothing else."""
    own = cls.__dict__.get("__doc__")
    if own or cls.__module__.rpartition(".")[2] != "contract":
        return own
    return getattr(sys.modules.get(cls.__module__), "__doc__", None)


class _Reading:
    """A contract while it is read: the operations so far, and the mistakes."""

    def __init__(self, cls: type, said: ContractSaid, service: str) -> None:
        self.cls = cls
        self.said = said
        self.service = service
        self.operations: list[Operation] = []
        self.found: list[Finding] = []
        self.taken: dict[str, str] = {}
        """Where each id and each form of a route stands."""

    def members(self, base: type) -> None:
        """Reads what one class has of its own: the contract, or a role that it includes."""
        for name, member in vars(base).items():
            if name.startswith("_") or inspect.getattr_static(self.cls, name) is not member:
                continue
            if not inspect.isfunction(member):
                self.no_method(base, name)
                continue
            findings = Findings(where_is(member))
            said = getattr(member, SAID, None)
            if isinstance(said, OperationSaid):
                self.operation(base, said, member, findings)
            else:
                remedy = "decorate it, or begin its name with _"
                findings.add("undecorated", f"{name} says neither @query nor @command", remedy)
            self.found += findings.all
        for name in inspect.get_annotations(base):
            if not name.startswith("_") and name not in vars(base):
                self.no_method(base, name)

    def no_method(self, base: type, name: str) -> None:
        findings = Findings(where_is(base))
        findings.add("member", f"{name} is no method", "a contract has operations only: write `async def`")
        self.found += findings.all

    def operation(self, base: type, said: OperationSaid, method: Callable[..., Any], findings: Findings) -> None:
        defaults = (said, _said(base), self.said)
        route = _route(said, findings)
        signature = read_signature(method, route, self.said.names, findings)
        check_promises(said, findings)
        _check_said(said, signature, findings)
        _check_raises(said, findings)
        self.alike(said.name or method.__name__, route, findings)
        if _first(defaults, "needs") is None:
            findings.add(
                "access",
                f"{method.__name__} does not say who may call it",
                "add needs= to the operation or to @contract: anyone, signed_in, peers, Scope(...), Role(...) or Owner",
            )
        else:
            check_rules(_first(defaults, "needs"), method.__name__, signature.parameters, findings)
        if findings.all or self.found:
            return
        self.operations.append(_operation(self, defaults, method, route, signature, findings.where))

    def alike(self, name: str, route: Route | None, findings: Findings) -> None:
        """Operations that could not be told apart."""
        other = self.taken.setdefault(name, findings.where)
        if other != findings.where:
            findings.add("duplicate", f"the name {name} is also that of {other}", "give one of them another name")
        if route is not None:
            other = self.taken.setdefault(route.form, findings.where)
            if other != findings.where:
                findings.add("route", f"{route.form} is also the form of {other}", "change one of the paths")


def _operation(
    reading: _Reading,
    defaults: tuple[OperationSaid, ContractSaid, ContractSaid],
    method: Callable[..., Any],
    route: Route | None,
    signature: Signature,
    where: str,
) -> Operation:
    said = defaults[0]
    summary, description = summary_of(method.__doc__, method.__name__)
    idempotent = said.idempotent
    made = Operation(
        id=f"{reading.service}.{said.name or method.__name__}",
        service=reading.service,
        name=method.__name__,
        kind=said.kind,
        summary=summary,
        description=description,
        method=route.method if route else "",
        path=route.path if route else "",
        parameters=signature.parameters,
        defaults={one.name: one.default for one in signature.parameters if not one.required},
        request=_request(reading, method.__name__, signature),
        result=signature.result,
        style=signature.style,
        returns=said.returns,
        status=said.status or (204 if signature.style == "nothing" else 200),
        raises=said.raises,
        needs=_first(defaults, "needs"),
        rates=_first(defaults, "rate") or (),
        timeout=_first(defaults, "timeout") or TIMEOUT,
        idle=_first(defaults, "idle") or IDLE,
        body_limit=size(_first(defaults, "body") or BODY),
        flow=_first(defaults, "flow") or FLOW,
        idempotent=route is not None and route.method in ("PUT", "DELETE") if idempotent is None else idempotent,
        deprecated=_first(defaults, "deprecated"),
        level=_first(defaults, "level"),
        names=reading.said.names,
        where=where,
    )
    object.__setattr__(made, "fingerprint", operation_fingerprint(made))
    return made


def _first(said: Iterable[Defaults], name: str) -> Any:
    """The nearest that was said: by the operation, by the contract that has it, by the one that includes it."""
    return next((value for one in said if (value := getattr(one, name)) is not None), None)


def _route(said: OperationSaid, findings: Findings) -> Route | None:
    if not said.route:
        return None
    try:
        route = parse_route(said.route)
    except ValueError as error:
        findings.add("route", f"the route {said.route!r} cannot be served", str(error))
        return None
    if said.kind == "query" and route.method not in ("GET", "POST"):
        findings.add(
            "method", f"a query is not a {route.method}", "use GET, or POST where the question is long; or @command"
        )
    if said.kind == "command" and route.method == "GET":
        findings.add(
            "method", "a command is not a GET, which anyone may repeat", "use POST, PUT, PATCH or DELETE; or @query"
        )
    return route


def _check_said(said: OperationSaid, signature: Signature, findings: Findings) -> None:
    if said.returns and signature.style in ("nothing", "stream", "bytes", "blob"):
        findings.add("returns", f"returns={said.returns!r} names a result that has no members", "remove returns=")
    if said.flow is not None and signature.style not in ("stream", "bytes"):
        findings.add("flow", f"flow={said.flow!r}, and there is no stream", "remove flow=, or return Stream[...]")
    if said.status is not None and not 200 <= said.status <= 299:
        findings.add("status", f"status={said.status} is not a success", "use 200 to 299; refusals are Problems")
    if said.status in (204, 205) and signature.style != "nothing":
        findings.add(
            "status", f"status={said.status} has no body, and there is a result", "return None, or use 200 or 201"
        )
    if said.name and not said.name.isidentifier():
        findings.add("name", f"an operation cannot be named {said.name!r}", "use a name such as a method has")


def _check_raises(said: OperationSaid, findings: Findings) -> None:
    types: set[str] = set()
    for one in cast("tuple[Any, ...]", said.raises):
        if not (isinstance(one, type) and issubclass(one, Problem)):
            findings.add(
                "raises",
                f"{getattr(one, '__name__', one)} in raises= is not a Problem",
                "write `class X(Problem, status=...)`",
            )
            continue
        if one.type in types:
            findings.add("raises", f"two problems have the type {one.type}", "give one of them another name or type=")
        types.add(one.type)
        findings.all += _problem(one)


def _problem(problem: type[Problem]) -> list[Finding]:
    """What is wrong with the members of a problem."""
    findings = Findings(where_is(problem))
    hints: dict[str, Any] = {}
    for base in reversed(problem.__mro__):
        if issubclass(base, Problem):
            hints |= resolve(base, findings)
    for name in problem.members:
        if name in hints:
            shape_of(f"{problem.__name__}.{name}", hints[name], findings, maybe=False)
    return findings.all


def _request(reading: _Reading, name: str, signature: Signature) -> type[msgspec.Struct]:
    taken = [one for one in signature.parameters if not is_stream(one.type)]
    camels = reading.said.names == "camel"
    wires = {
        one.name: one.wire if one.place in ("query", "member") else camel(one.name) if camels else one.name
        for one in taken
    }
    title = "".join(word.capitalize() for word in re.split(r"[-_]+", f"{reading.service}_{name}"))
    return msgspec.defstruct(
        f"{title}Request",
        [(one.name, shape(one.type).type, *(() if one.required else (one.default,))) for one in taken],
        module=reading.cls.__module__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        rename=wires,
    )
