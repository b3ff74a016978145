"""Fingerprints: what a peer relies on, as sixteen letters.

Built from names, types, constraints, defaults, routes and problems; the same in every process, whatever the order of
definitions and the words of docstrings. Two fingerprints are equal when the wire is.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from enfilade.contract.message import Event, event_name
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.shape import Shape, shape
from enfilade.errors import Problem

_CONSTRAINTS = ("ge", "gt", "le", "lt", "multiple_of", "pattern", "min_length", "max_length", "tz")


def fingerprint(type_: Any) -> str:
    """Of a message, or of any type that a contract may use."""
    return _hash(_shape(shape(type_)))


def event_fingerprint(event: type[Event]) -> str:
    """Of an event: its message, its name, and how it is ordered and kept."""
    options = [getattr(event, f"event_{name}") for name in ("key", "keep", "public")]
    return _hash([event_name(event), options, _shape(shape(event))])


def operation_fingerprint(operation: Operation) -> str:
    """Of an operation: route, parameters, result and problems. Not its limits: they may change under a caller."""
    parameters = sorted(
        [one.name, one.wire, one.place, _type(one.type), _value(one.default)] for one in operation.parameters
    )
    return _hash(
        [
            operation.id,
            operation.kind,
            operation.method,
            operation.path,
            operation.status,
            operation.style,
            operation.returns,
            operation.names,
            operation.idempotent,
            parameters,
            _type(operation.result),
            sorted(_problem(one) for one in operation.raises),
        ]  # fmt: skip
    )


def contract_fingerprint(contract: Contract) -> str:
    """Of a contract: its name, its version and all of its operations."""
    return _hash([contract.name, contract.version, sorted(one.fingerprint for one in contract.operations)])


def _hash(what: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(what)).hexdigest()[:16]


def _type(annotation: Any) -> Any:
    found = shape(annotation)
    return "bytes stream" if found.kind == "wrong" else _shape(found)


def _problem(problem: type[Problem]) -> str:
    members = sorted([name, _type(kind)] for name, kind in problem.member_types().items())
    return msgspec.json.encode([problem.type, problem.status, members]).decode()


def _shape(found: Shape, within: tuple[int, ...] = ()) -> Any:
    """Plain lists that say the same for the same wire. A message inside itself is told by how far up it was."""
    said: list[Any] = [found.kind, found.maybe, [[name, str(found.constraint(name))] for name in _CONSTRAINTS]]
    said.append(sorted(repr(mark) for mark in found.marks if mark.name in ("named", "version")))
    said.append(sorted(repr(value) for value in found.values))
    if found.struct is None:
        parts = [_shape(part, within) for part in found.parts]
        said.append(sorted(parts, key=msgspec.json.encode) if found.kind == "union" else parts)
        return said
    if id(found.struct) in within:
        return [*said, len(within) - within.index(id(found.struct))]
    inside = (*within, id(found.struct))
    members = sorted(
        [one.name, one.encode, _value(one.default), msgspec.json.encode(_shape(one.shape, inside)).decode()]
        for one in found.fields
    )
    return [*said, found.struct.cls.__name__, str(found.struct.tag), found.struct.tag_field, members]


def _value(default: Any) -> str:
    if default is msgspec.NODEFAULT or default is msgspec.UNSET:
        return repr(default)
    return msgspec.json.encode(default, order="deterministic").decode()
