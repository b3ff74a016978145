"""Reading a contract: from a Protocol class with decorated methods to the model that the platform works from.

All mistakes are collected before anything is raised; each names its file and line and what to do.
"""
# The class that is read is of unknown type: that is what reflection is.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec

from enfilade.contract.declare import SAID, ContractSaid, Defaults, OperationSaid
from enfilade.contract.fingerprint import contract_fingerprint, operation_fingerprint
from enfilade.contract.limit import size
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.place import Findings, summary_of, where_is
from enfilade.contract.promise import check_promises
from enfilade.contract.route import Route, parse_route
from enfilade.contract.shape import camel
from enfilade.contract.signature import Signature, is_stream, read_signature, resolve, shape_of
from enfilade.errors import Finding, Problem, StartError, kebab

V = TypeVar("V")

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
    said = cls.__dict__.get(SAID, ContractSaid())
    service = said.name or kebab(cls.__name__)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", service):
        findings.add("name", f"a service cannot be named {service!r}", "use small letters, digits and hyphens")
    if said.version < 1:
        findings.add("version", f"version {said.version}", "versions are whole numbers from 1")
    check_promises(said, findings)
    found = list(findings.all)
    operations: list[Operation] = []
    for base in reversed(_bases(cls)):
        for name, member in vars(base).items():
            if name.startswith("_") or vars(cls).get(name, member) is not member:
                continue
            notes = Findings(where_is(member) if inspect.isfunction(member) else where_is(base))
            made = _operation(cls, base, said, service, name, member, notes)
            found += notes.all
            if made is not None:
                operations.append(made)
    found += _alike(operations)
    if not operations and not found:
        findings.add("empty", f"{cls.__name__} has no operations", "decorate its methods with @query or @command")
        found = findings.all
    if found:
        raise StartError(found)
    summary, description = summary_of(cls.__dict__.get("__doc__"), kebab(cls.__name__).replace("-", " "))
    made = Contract(
        name=service,
        type=cls,
        owner=said.owner,
        version=said.version,
        names=said.names,
        summary=summary,
        description=description,
        operations=tuple(operations),
        where=where_is(cls),
        roles=tuple(base for base in _bases(cls) if base is not cls),
    )
    object.__setattr__(made, "fingerprint", contract_fingerprint(made))
    return made


def _bases(cls: type) -> list[type]:
    """The contract and the roles it includes."""
    return [base for base in cls.__mro__ if getattr(base, "_is_protocol", False) and base.__module__ != "typing"
            and base.__name__ != "Protocol"]  # fmt: skip


def _operation(
    cls: type, base: type, contract: ContractSaid, service: str, name: str, member: Any, findings: Findings
) -> Operation | None:
    if not inspect.isfunction(member):
        if isinstance(member, property | classmethod | staticmethod):
            findings.add("member", f"{name} is no method", "a contract has operations: write `async def`")
        return None
    said = getattr(member, SAID, None)
    if not isinstance(said, OperationSaid):
        findings.add("undecorated", f"{name} says neither @query nor @command", "decorate it, or begin its name with _")
        return None
    defaults = (said, base.__dict__.get(SAID, contract), contract)
    route = _route(said, findings)
    signature = read_signature(member, route, contract.names, findings)
    check_promises(said, findings)
    _check_said(said, signature, findings)
    _check_raises(said, findings)
    needs = _first(defaults, "needs")
    if needs is None:
        findings.add(
            "access",
            f"{name} does not say who may call it",
            "add needs= to the operation or to @contract: anyone, signed_in, peers, Scope(...), Role(...) or Owner",
        )
    if findings.all:
        return None
    summary, description = summary_of(member.__doc__, name)
    made = Operation(
        id=f"{service}.{said.name or name}",
        service=service,
        name=name,
        kind=said.kind,
        summary=summary,
        description=description,
        method=route.method if route else "",
        path=route.path if route else "",
        parameters=signature.parameters,
        defaults={one.name: one.default for one in signature.parameters if not one.required},
        request=_request(cls, service, name, signature, contract),
        result=signature.result,
        style=signature.style,
        returns=said.returns,
        status=said.status or (204 if signature.style == "nothing" else 200),
        raises=said.raises,
        needs=cast("Any", needs),
        rates=_first(defaults, "rate") or (),
        timeout=_first(defaults, "timeout") or TIMEOUT,
        idle=_first(defaults, "idle") or IDLE,
        body_limit=size(_first(defaults, "body") or BODY),
        idempotent=(route is not None and route.method in ("PUT", "DELETE"))
        if said.idempotent is None
        else said.idempotent,
        deprecated=_first(defaults, "deprecated"),
        level=_first(defaults, "level"),
        names=contract.names,
        where=findings.where,
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
        for member, annotation in problem_members(one, findings).items():
            shape_of(f"{one.__name__}.{member}", annotation, findings, maybe=False)


def problem_members(problem: type[Problem], findings: Findings) -> dict[str, Any]:
    """The typed members of a problem."""
    hints: dict[str, Any] = {}
    for base in reversed(problem.__mro__):
        if issubclass(base, Problem) and base is not Problem:
            hints |= resolve(base, findings)
    return {name: hints[name] for name in problem.members if name in hints}


def _request(cls: type, service: str, name: str, signature: Signature, contract: ContractSaid) -> type[msgspec.Struct]:
    taken = [one for one in signature.parameters if not is_stream(one.type)]
    wires = {one.name: one.wire if one.place in ("query", "member") else _spelled(one.name, contract) for one in taken}
    title = "".join(word.capitalize() for word in re.split(r"[-_]+", f"{service}_{name}"))
    return msgspec.defstruct(
        f"{title}Request",
        [(one.name, one.type) if one.required else (one.name, one.type, one.default) for one in taken],
        module=cls.__module__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        rename=wires,
    )


def _spelled(name: str, contract: ContractSaid) -> str:
    return camel(name) if contract.names == "camel" else name


def _alike(operations: list[Operation]) -> list[Finding]:
    """Operations that could not be told apart."""
    found: list[Finding] = []
    ids: dict[str, Operation] = {}
    forms: dict[str, Operation] = {}
    for one in operations:
        notes = Findings(one.where)
        if (other := ids.setdefault(one.id, one)) is not one:
            notes.add("duplicate", f"{one.id} is also the id of {other.where}", "give one of them another name")
        if one.method:
            form = parse_route(f"{one.method} {one.path}").form
            if (other := forms.setdefault(form, one)) is not one:
                notes.add(
                    "route",
                    f"{one.method} {one.path} cannot be told from {other.method} {other.path} at {other.where}",
                    "change one of the paths",
                )
        found += notes.all
    return found
