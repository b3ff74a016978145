"""Fingerprints: what a peer relies on, as sixteen letters.

Built from names, types, constraints, defaults, routes and problems; the same in every process, whatever the order of
definitions, their file and the words of docstrings. Who may call and how often is no part of it: that may change under
a caller.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import msgspec

from enfilade.contract.message import Event, event_name
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.shape import Shape, Struct, shape
from enfilade.errors import Problem

_CONSTRAINTS = ("ge", "gt", "le", "lt", "multiple_of", "pattern", "min_length", "max_length", "tz")
_MARKS = ("named", "version")
"""Marks that a peer sees."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def fingerprint(type: Any) -> str:
    """Of a message, or of any type that a contract may use."""
    return _hash(tell(type))


def tell(type: Any) -> Any:
    """Of a type all that its fingerprint is made of, in plain lists."""
    return _Telling().shape(shape(type))


def event_fingerprint(event: type[Event]) -> str:
    """Of an event: its name, its message, and how it is ordered and kept."""
    options = [getattr(event, f"event_{name}") for name in ("key", "keep", "public")]
    return _hash([event_name(event), options, tell(event)])


def operation_fingerprint(operation: Operation) -> str:
    """Of an operation: its route, parameters, result and problems."""
    parameters = sorted(
        [one.name, one.wire, one.place, fingerprint(one.type), _value(one.default)] for one in operation.parameters
    )
    route = [operation.id, operation.kind, operation.method, operation.path, operation.idempotent]
    result = [operation.status, operation.style, operation.returns, operation.names, fingerprint(operation.result)]
    return _hash([route, parameters, result, sorted(problem_fingerprint(one) for one in operation.raises)])


def problem_fingerprint(problem: type[Problem]) -> str:
    """Of a problem: its type, status and members."""
    members = sorted([name, fingerprint(kind)] for name, kind in problem.member_types().items())
    return _hash([problem.type, problem.status, members])


def contract_fingerprint(contract: Contract) -> str:
    """Of a contract: its name, its version and all of its operations."""
    return _hash([contract.name, contract.version, sorted(one.fingerprint for one in contract.operations)])


def _hash(told: Any) -> str:
    return hashlib.sha256(_encode(told)).hexdigest()[:16]


class _Telling:
    """Tells a shape in plain lists. Each message is told once and afterwards by its number, so recursion ends."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def shape(self, one: Shape) -> Any:
        constraints = {name: str(said) for name in _CONSTRAINTS if (said := one.constraint(name)) is not None}
        marks = sorted([mark.name, mark.value] for mark in one.marks if mark.name in _MARKS)
        head = [one.kind, one.maybe, constraints, marks, sorted(repr(value) for value in one.values)]
        if one.struct is not None:
            return [head, self.struct(one.struct)]
        parts = sorted(one.parts, key=_order) if one.kind == "union" else one.parts
        return [head, [self.shape(part) for part in parts]]

    def struct(self, struct: Struct) -> Any:
        if id(struct) in self.numbers:
            return self.numbers[id(struct)]
        self.numbers[id(struct)] = len(self.numbers)
        fields = sorted(struct.fields, key=lambda field: field.name)
        members = [[one.name, one.encode, _value(one.default), self.shape(one.shape)] for one in fields]
        return [struct.cls.__name__, struct.tag, struct.tag_field, members]


def _order(option: Shape) -> tuple[str, str]:
    """Options of a union differ in kind or, when they are messages, in their tags."""
    return option.kind, "" if option.struct is None else str(option.struct.tag)


def _value(default: Any) -> str:
    if default is msgspec.NODEFAULT or default is msgspec.UNSET:
        return repr(default)
    return _encode(_sorted(default)).decode()


def _sorted(value: Any) -> Any:
    """The value with its sets in an order; names of objects get theirs when they are written."""
    if isinstance(value, msgspec.Struct):
        said = {name: getattr(value, name) for name in value.__struct_fields__}
        return {name: _sorted(one) for name, one in said.items() if one is not msgspec.UNSET}
    if isinstance(value, tuple | frozenset):
        items = [_sorted(item) for item in cast("tuple[Any, ...]", value)]
        return sorted(items, key=_encode) if isinstance(value, frozenset) else items
    return value
