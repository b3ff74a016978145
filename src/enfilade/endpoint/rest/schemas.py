"""The schemas of an API description: of every message, and of every problem."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from enfilade.contract.declare import Names
from enfilade.contract.need import outside
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.problem import member_types, spelled
from enfilade.contract.schema import components
from enfilade.contract.signature import is_stream
from enfilade.endpoint.rest.binding import body_message
from enfilade.endpoint.rest.reply import result_type
from enfilade.errors import FieldError, Problem

Schema: TypeAlias = dict[str, Any]

REF = "#/components/schemas/"
_STANDARD: Schema = {
    "type": {"type": "string", "format": "uri-reference"},
    "title": {"type": "string"},
    "status": {"type": "integer"},
    "detail": {"type": "string"},
    "instance": {"type": "string", "format": "uri-reference"},
    "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}


def public(one: Operation) -> bool:
    """Whether somebody outside can ever call it: what services say to one another is nobody else's business."""
    return bool(one.path) and outside(one.needs) is not None


class Schemas:
    """Gathers the types of all operations, and then knows the schema of each.

    Types of contracts that spell names alike are gathered in one go, so that a message has one component however many
    contracts use it.
    """

    def __init__(self, contracts: Iterable[Contract], shape: Any) -> None:
        self.components: dict[str, Schema] = {}
        self._schemas: dict[tuple[Names, Any], Schema] = {}
        self._problems: dict[type[Problem], str] = {}
        contracts = tuple(contracts)
        self._bodies = {one.id: body_message(one) for each in contracts for one in each.operations if public(one)}
        for names in ("snake", "camel"):
            found = {one for each in contracts if each.names == names for one in self._types(each)}
            if names == "snake":
                found |= {FieldError, *(() if shape in (None, type(None)) else (shape,))}
            self._gather(names, sorted(found, key=str))
        self._platform(shape)

    def of(self, type_: Any, names: Names) -> Schema:
        """The schema of one of the gathered types, by reference where it is a message."""
        return dict(self._schemas[names, type_])

    def body(self, operation: Operation) -> Any:
        """The message of a body's members, or None."""
        return self._bodies[operation.id]

    def problem(self, problem: type[Problem], names: Names) -> Schema:
        """A declared problem, by reference."""
        name = self._problems.get(problem)
        if name is None:
            name = f"{problem.__name__}Problem"
            while name in self.components:
                name += "_"
            self._problems[problem] = name
            members = {spelled(one, names): self.of(kind, names) for one, kind in member_types(problem).items()}
            self.components[name] = {
                "type": "object",
                "description": problem.title,
                "properties": {
                    **_STANDARD,
                    "type": {"const": problem.type},
                    "status": {"const": problem.status},
                    **members,
                },
                "required": ["type", "title", "status", *members],
            }
        return {"$ref": REF + name}

    def _types(self, contract: Contract) -> Iterable[Any]:
        for one in filter(public, contract.operations):
            yield from (each.type for each in one.parameters if not is_stream(each.type))
            yield from (kind for problem in one.raises for kind in member_types(problem).values())
            if one.style not in ("nothing", "bytes"):
                yield result_type(one)
            if (message := self._bodies[one.id]) is not None:
                yield message

    def _gather(self, names: Names, types: list[Any]) -> None:
        schemas, found = components(types, names)
        renamed = {name: f"{name}_" for name, schema in found.items() if self.components.get(name, schema) != schema}
        for name, schema in found.items():
            self.components[renamed.get(name, name)] = _renamed(schema, renamed)
        for type_, schema in zip(types, schemas, strict=True):
            self._schemas[names, type_] = _renamed(schema, renamed)

    def _platform(self, shape: Any) -> None:
        if shape is None:
            errors: Schema = {"type": "array", "items": self.of(FieldError, "snake")}
            self.components["Problem"] = {
                "type": "object",
                "description": "A refusal or a failure (RFC 9457).",
                "properties": {**_STANDARD, "errors": errors},
                "required": ["type", "title", "status"],
            }
        elif shape is not type(None):
            self.components["Problem"] = self.of(shape, "snake")


def _renamed(schema: Any, renamed: dict[str, str]) -> Any:
    """The schema with references to renamed components."""
    if not renamed:
        return schema
    if isinstance(schema, dict):
        return {  # pyright: ignore[reportUnknownVariableType]
            key: REF + renamed.get(value.removeprefix(REF), value.removeprefix(REF))
            if isinstance(value, str) and value.startswith(REF)
            else _renamed(value, renamed)
            for key, value in schema.items()  # pyright: ignore[reportUnknownVariableType]
        }
    if isinstance(schema, list):
        return [_renamed(one, renamed) for one in schema]  # pyright: ignore[reportUnknownVariableType]
    return schema
