"""What an operation may answer, status by status: its result, its own problems, and those of the platform."""

from __future__ import annotations

from typing import Any

from enfilade.contract.need import anyone, signed_in
from enfilade.contract.operation import Operation
from enfilade.endpoint.rest.events import EVENTS, LINES
from enfilade.endpoint.rest.problems import Bug, NoAnswer, NoRoom, TimeOver
from enfilade.endpoint.rest.schemas import REF, Schema, Schemas
from enfilade.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KeyReused,
    Malformed,
    NotAcceptable,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    RangeNotSatisfiable,
    TooLarge,
    TooManyRequests,
    TooSlow,
    Unauthenticated,
    UnsupportedMedia,
)


def responses(operation: Operation, schemas: Schemas, problem_type: Any) -> Schema:
    """The `responses` of an operation. `problem_type` is another shape for problems; None is the usual one."""
    made: Schema = {str(operation.status): _good(operation, schemas)}
    if operation.method == "GET" and operation.style not in ("stream", "bytes"):
        made["304"] = {"description": "The client has this version already."}
    if operation.style == "blob":
        made["206"] = {"description": "The part that was asked for.", "content": {"*/*": {"schema": {}}}}
    by_status: dict[int, list[type[Problem]]] = {}
    for one in (*operation.raises, *platform_problems(operation)):
        by_status.setdefault(one.status, []).append(one)
    for status, problems in sorted(by_status.items()):
        made[str(status)] = _refusal(operation, problems, schemas, problem_type)
    return made


def platform_problems(operation: Operation) -> list[type[Problem]]:
    """Problems that an operation may answer with and need not declare."""
    found: list[type[Problem]] = [Malformed, Unauthenticated, NotAcceptable, PreconditionFailed, Invalid]
    places = {one.place for one in operation.parameters}
    if operation.needs not in (anyone, signed_in):
        found.append(Forbidden)
    if "path" in places or operation.style == "blob":
        found.append(NotFound)
    if places & {"body", "member"}:
        found += [TooSlow, TooLarge, UnsupportedMedia]
    if operation.kind == "command":
        found += [Conflict, KeyReused]
    if "if-match" in places:
        found.append(PreconditionRequired)
    if operation.style == "blob":
        found.append(RangeNotSatisfiable)
    if operation.rates:
        found.append(TooManyRequests)
    return [*found, Bug, NoRoom, NoAnswer, TimeOver]


def _good(operation: Operation, schemas: Schemas) -> Schema:
    made: Schema = {"description": operation.summary, "headers": _headers(operation)}
    if operation.style == "nothing":
        return made
    if operation.style == "blob":
        return {**made, "content": {"*/*": {"schema": {}}}}
    if operation.style == "bytes":
        return {**made, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    from enfilade.endpoint.rest.reply import result_type

    schema = schemas.of(result_type(operation), operation.names)
    if operation.style == "stream":
        return {**made, "content": {EVENTS: {"schema": _event(schema)}, LINES: {"schema": _line(schema)}}}
    if operation.returns:
        schema = {
            "type": "object",
            "properties": {operation.returns: schema},
            "required": [operation.returns],
            "additionalProperties": False,
        }
    return {**made, "content": {"application/json": {"schema": schema}}}


def _event(item: Schema) -> Schema:
    """One of the events that an answer of type text/event-stream has."""
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": item}
    text = {"type": "string"}
    return {
        "type": "object",
        "properties": {"data": data, "event": text, "id": text},
        "required": ["data"],
        "x-enfilade-item": item,
    }


def _line(item: Schema) -> Schema:
    return {"type": "string", "x-enfilade-item": item}


def _headers(operation: Operation) -> Schema:
    said = {"Trace-Id": "The trace of this answer, as logs and traces know it."}
    if operation.method == "GET" and operation.style not in ("stream", "bytes"):
        said["ETag"] = "The version of this answer."
    if operation.style == "page":
        said["Link"] = "The next page, where there is one (RFC 8288)."
    if operation.deprecated is not None:
        said["Deprecation"] = "Since when this should not be used any more (RFC 9745)."
        said["Sunset"] = "When it will be gone (RFC 8594)."
    return {name: {"description": about, "schema": {"type": "string"}} for name, about in said.items()}


def _refusal(operation: Operation, problems: list[type[Problem]], schemas: Schemas, problem_type: Any) -> Schema:
    made: Schema = {"description": " ".join(dict.fromkeys(one.title for one in problems))}
    if problem_type is type(None):
        return made
    if problem_type is not None:
        return {**made, "content": {"application/json": {"schema": {"$ref": f"{REF}Problem"}}}}
    declared = [schemas.problem(one, operation.names) for one in problems if one in operation.raises]
    general = [] if len(declared) == len(problems) else [{"$ref": f"{REF}Problem"}]
    options = [*declared, *general]
    schema = options[0] if len(options) == 1 else {"anyOf": options}
    return {**made, "content": {"application/problem+json": {"schema": schema}}}
