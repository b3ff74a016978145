"""What Cedar is told of a call: who calls as the principal, the operation as the action, and the arguments as context.

    principal   Caller::"<subject>", or Nobody::""
    action      Action::"orders.place", in Action::"orders"
    resource    Object::"orders/<path parameters>", with the service, the tenant, and the owner where the operation
                shows a caller his own rows only
    context     peer, address, now (microseconds since 1970), rules (the names of those that hold), arguments

Arguments are told as far as Cedar has a type for them. What is `Sensitive` is not.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from enfilade.call import Call
from enfilade.contract.need import parts
from enfilade.contract.operation import Operation
from enfilade.contract.principal import Principal
from enfilade.contract.rule import Rule
from enfilade.contract.shape import Shape, shape
from enfilade.contract.signature import is_stream
from enfilade.store.owner import own_rows_only

SCHEMA: Final = """\
entity Nobody;
entity Caller = {
    kind: String, tenant: String, issuer: String, client: String, actors: Set<String>,
    scopes: Set<String>, roles: Set<String>, authenticated: Long, assurance: String,
};
entity Object = { service: String, tenant: String, owner?: Caller };
"""
NOBODY: Final = {"type": "Nobody", "id": ""}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TEXT: Final = frozenset(("str", "uuid", "decimal", "datetime", "date", "time", "timedelta"))

Json: TypeAlias = dict[str, Any]
_encode: Final = msgspec.json.Encoder().encode


class _Told(NamedTuple):
    """How a value of some type is told."""

    type: str
    pick: Callable[[Any], Any]
    """From the value's builtins what Cedar gets."""
    optional: bool = False


class Facts:
    """Of one operation: what is told of its calls."""

    def __init__(self, operation: Operation) -> None:
        self._service, self._id = operation.service, operation.id
        self._path = tuple(one.name for one in operation.parameters if one.place == "path")
        self._rules = tuple(part for part in parts(operation.needs) if isinstance(part, Rule))
        taken = [one for one in operation.parameters if not one.sensitive and not is_stream(one.type)]
        told = {one.name: _told(shape(one.type), frozenset()) for one in taken}
        self._arguments = {name: one for name, one in told.items() if one is not None}
        self.action: Json = {"type": "Action", "id": self._id}
        self._hierarchy: Json = {
            "uid": self.action, "attrs": {}, "parents": [{"type": "Action", "id": self._service}],
        }  # fmt: skip

    def schema(self) -> str:
        """The action, as Cedar's schema declares it."""
        arguments = ", ".join(f"{_key(name)}: {one.type}" for name, one in self._keys())
        context = f"peer: String, address: String, now: Long, rules: Set<String>, arguments: {{{arguments}}}"
        return (
            f'action "{self._id}" in [Action::"{self._service}"] appliesTo {{\n'
            f"    principal: [Caller, Nobody], resource: [Object],\n    context: {{ {context} }},\n}};\n"
        )

    def request(self, call: Call) -> tuple[Json, str]:
        """(request, entities as JSON): the request names them; the caller's is made by `caller`."""
        resource = {
            "type": "Object",
            "id": "/".join((self._service, *(str(call.arguments.get(one, "")) for one in self._path))),
        }
        principal = NOBODY if call.caller is None else {"type": "Caller", "id": call.caller.subject}
        known: Json = {"service": self._service, "tenant": call.tenant}
        if call.caller is not None and own_rows_only(call):
            known["owner"] = {"__entity": principal}
        context: Json = {
            "peer": call.peer,
            "address": call.address,
            "now": (call.now - _EPOCH) // _MICROSECOND,
            "rules": [one.name for one in self._rules if one.met(call)],
            "arguments": self._said(call.arguments),
        }
        entities = _encode([{"uid": resource, "attrs": known, "parents": []}, self._hierarchy]).decode()
        request = {
            "principal": principal, "action": self.action, "resource": resource, "context": _encode(context).decode(),
        }  # fmt: skip
        return request, entities

    def _keys(self) -> list[tuple[str, _Told]]:
        return [(f"{name}?" if one.optional else name, one) for name, one in self._arguments.items()]

    def _said(self, arguments: Json) -> Json:
        said: Json = {}
        for name, one in self._arguments.items():
            value = arguments.get(name)
            if value is not None and value is not msgspec.UNSET:
                said[name] = one.pick(value if type(value) in (str, int, bool) else msgspec.to_builtins(value))
        return said


def caller(principal: Principal) -> str:
    """The caller as an entity, in JSON."""
    return _encode(
        [
            {
                "uid": {"type": "Caller", "id": principal.subject},
                "attrs": {
                    "kind": principal.kind, "tenant": principal.tenant, "issuer": principal.issuer,
                    "client": principal.client, "actors": principal.actors, "scopes": sorted(principal.scopes),
                    "roles": sorted(principal.roles), "authenticated": int(principal.authenticated * 1_000_000),
                    "assurance": principal.assurance,
                },
                "parents": [],
            }
        ]
    ).decode()  # fmt: skip


def _told(of: Shape, within: frozenset[type]) -> _Told | None:
    """None where Cedar has no type for it, or nobody is to read it."""
    if any(mark.name == "sensitive" for mark in of.marks):
        return None
    match of.kind:
        case "bool":
            return _Told("Bool", _same)
        case "int":
            return _Told("Long", _same)
        case "enum" | "literal":
            kinds: set[type] = {type(value) for value in of.values}
            return _Told("String", _same) if kinds == {str} else _Told("Long", _same) if kinds == {int} else None
        case "array":
            item = _told(of.parts[0], within)
            return None if item is None else _Told(f"Set<{item.type}>", _each(item.pick))
        case "union":
            options = [part for part in of.parts if part.kind != "none"]
            found = _told(options[0], within) if len(options) == 1 else None
            return None if found is None else found._replace(optional=True)
        case "struct":
            return _record(of, within)
        case kind:
            return _Told("String", _same) if kind in _TEXT else None


def _record(of: Shape, within: frozenset[type]) -> _Told | None:
    struct = of.struct
    if struct is None or struct.cls in within:
        return None
    within |= {struct.cls}
    told = {field.encode: _told(field.shape, within) for field in struct.fields}
    known = {name: one for name, one in told.items() if one is not None}
    members = ", ".join(f"{_key(f'{name}?' if one.optional else name)}: {one.type}" for name, one in known.items())

    def pick(value: Json) -> Json:
        return {name: one.pick(value[name]) for name, one in known.items() if value.get(name) is not None}

    return _Told(f"{{{members}}}", pick)


def _each(pick: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def picked(value: list[Any]) -> list[Any]:
        return [pick(one) for one in value]

    return picked


def _key(name: str) -> str:
    """A member's name, in quotes, for any name may stand there; `?` says that it may be missing."""
    bare = name.removesuffix("?")
    return f'"{bare}"{"?" if name.endswith("?") else ""}'


def _same(value: Any) -> Any:
    return value
