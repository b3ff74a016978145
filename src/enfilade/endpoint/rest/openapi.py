"""The description of the API: OpenAPI 3.1, from the contracts and from nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from enfilade.contract.need import AllOf, AnyOf, Need, Scope, anyone, outside
from enfilade.contract.operation import Contract, Operation, Parameter
from enfilade.contract.shape import shape
from enfilade.contract.signature import is_stream
from enfilade.endpoint.rest.arguments import is_paging
from enfilade.endpoint.rest.binding import body_parameter, is_file
from enfilade.endpoint.rest.problems import Reshape, reshaped_type
from enfilade.endpoint.rest.responses import responses
from enfilade.endpoint.rest.schemas import Schema, Schemas, public
from enfilade.endpoint.rest.text import KEY

_FILE: Schema = {"type": "string", "format": "binary"}


def describe(
    name: str,
    contracts: Sequence[Contract],
    *,
    prefix: str = "",
    scheme: str = "Bearer",
    problem: Reshape | None = None,
) -> Schema:
    """The OpenAPI document of the contracts' routes. Operations for peers only are none of a stranger's business."""
    problem_type = None if problem is None else reshaped_type(problem) or type(None)
    schemas = Schemas(contracts, problem_type)
    paths: dict[str, Schema] = {}
    for contract in contracts:
        for one in contract.operations:
            if public(one):
                path = _alike(paths, f"{prefix}{one.path}" if one.path != "/" else prefix or "/")
                paths.setdefault(path, {})[one.method.lower()] = _operation(contract, one, path, schemas, problem_type)
    prints = hashlib.sha256("".join(sorted(one.fingerprint for one in contracts)).encode())
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": prints.hexdigest()[:12]},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "tags": [_tag(one) for one in contracts if any(map(public, one.operations))],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "securitySchemes": {"token": _security_scheme(scheme)},
        },
    }


def encoded(document: Schema) -> bytes:
    """The document as it is served."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def _alike(paths: dict[str, Schema], path: str) -> str:
    """The path as it is written already: two that differ only in their placeholders' names are one path (4.8.8)."""
    form = _form(path)
    return next((one for one in paths if _form(one) == form), path)


def _form(path: str) -> list[str]:
    return ["{}" if segment.startswith("{") else segment for segment in path.split("/")]


def _tag(contract: Contract) -> Schema:
    tag = {"name": contract.name, "description": _text(contract.summary, contract.description)}
    if contract.owner:
        tag["x-enfilade-owner"] = contract.owner
    return {**tag, "x-enfilade-version": contract.version}


def _text(summary: str, description: str) -> str:
    return f"{summary}\n\n{description}" if description else summary


def _security_scheme(scheme: str) -> Schema:
    if scheme.lower() == "bearer":
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return {"type": "apiKey", "in": "header", "name": "Authorization", "description": f"`{scheme} <token>`"}


def _operation(contract: Contract, one: Operation, path: str, schemas: Schemas, problem_type: Any) -> Schema:
    made: Schema = {"operationId": one.id, "tags": [one.service], "summary": one.summary}
    if one.description:
        made["description"] = one.description
    if one.deprecated is not None:
        made["deprecated"] = True
    if parameters := _parameters(one, path, schemas):
        made["parameters"] = parameters
    if (body := _body(one, schemas)) is not None:
        made["requestBody"] = body
    made["responses"] = responses(one, schemas, problem_type)
    made["security"] = _security(one.needs)
    return made | _extensions(contract, one)


def _extensions(contract: Contract, one: Operation) -> Schema:
    made: Schema = {"x-enfilade-kind": one.kind, "x-enfilade-needs": str(one.needs), "x-enfilade-timeout": one.timeout}
    if contract.owner:
        made["x-enfilade-owner"] = contract.owner
    if one.rates:
        made["x-enfilade-rate"] = [{"limit": rate.limit, "per": rate.per, "cost": rate.cost} for rate in one.rates]
    if one.level is not None:
        made["x-enfilade-level"] = {"p99": one.level.p99, "availability": one.level.availability}
    if one.deprecated is not None and one.deprecated.sunset is not None:
        made["x-enfilade-sunset"] = one.deprecated.sunset.isoformat()
    return made


def _security(need: Need) -> list[Schema]:
    """One requirement an alternative; the names in it are the scopes that it takes."""
    if need is anyone:
        return [{}, {"token": []}]
    return [{"token": scopes} for scopes in _alternatives(outside(need) or need)]


def _alternatives(need: Need) -> list[list[str]]:
    if isinstance(need, AnyOf):
        return [one for each in need.needs for one in _alternatives(each)]
    if isinstance(need, AllOf):
        found: list[list[str]] = [[]]
        for each in need.needs:
            found = [[*one, *more] for one in found for more in _alternatives(each)]
        return found
    return [[need.name]] if isinstance(need, Scope) else [[]]


def _parameters(one: Operation, path: str, schemas: Schemas) -> list[Schema]:
    own = [segment for segment in one.path.split("/") if segment.startswith("{")]
    written = [segment for segment in path.split("/") if segment.startswith("{")]
    named = {mine[1:-1]: theirs[1:-1] for mine, theirs in zip(own, written, strict=True)}
    made: list[Schema] = []
    for each in one.parameters:
        if each.place == "path":
            schema = _path_schema(schemas.of(each.type, one.names))
            made.append({"name": named[each.wire], "in": "path", "required": True, "schema": schema})
        elif is_paging(each):
            made.extend(_paging(each))
        elif each.place in ("query", "header"):
            schema = {**_said(schemas.of(each.type, one.names)), **_default(each)}
            made.append({"name": each.wire, "in": each.place, "required": each.required, "schema": schema})
        elif each.place == "if-match":
            schema = {"type": "string", "pattern": '^"[0-9]{1,18}"$'}
            about = "The version that is to be changed, as the ETag of an answer says it."
            made.append(
                {"name": "If-Match", "in": "header", "required": each.required, "schema": schema, "description": about}
            )
    if one.kind == "command":
        about = "Sent again with the same key, the command is not done again: the first answer is given."
        schema = {"type": "string", "pattern": KEY}
        made.append({"name": "Idempotency-Key", "in": "header", "schema": schema, "description": about})
    return made


def _path_schema(schema: Schema) -> Schema:
    return {"minLength": 1, **schema} if schema.get("type") == "string" and "enum" not in schema else schema


def _said(schema: Schema) -> Schema:
    """The schema of what a text can say: null cannot be said but by saying nothing."""
    options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if not options:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**options[0], **rest} if len(options) == 1 else {**rest, "anyOf": options}


def _default(parameter: Parameter) -> Schema:
    if parameter.required or parameter.default in (None, msgspec.UNSET):
        return {}
    from enfilade.contract.codec import codec

    return {"default": msgspec.json.decode(codec(parameter.type).encode(parameter.default))}


def _paging(parameter: Parameter) -> list[Schema]:
    from enfilade.contract.schema import components

    found = shape(parameter.type)
    assert found.struct is not None
    first = found.struct.cls() if parameter.required else parameter.default
    made: list[Schema] = []
    for field in found.fields:
        (schema,), _ = components([field.shape.type])
        if value := getattr(first, field.name):
            schema["default"] = value
        made.append({"name": field.name, "in": "query", "required": False, "schema": schema})
    return made


def _body(one: Operation, schemas: Schemas) -> Schema | None:
    message = schemas.body(one)
    if message is not None:
        required = any(each.required for each in one.parameters if each.place == "member")
        return {"required": required, "content": {"application/json": {"schema": schemas.of(message, one.names)}}}
    whole = body_parameter(one)
    if whole is None:
        return None
    if is_stream(whole.type):
        return {"required": False, "content": {"application/octet-stream": {"schema": _FILE}}}  # no bytes are a stream
    if is_file(whole):
        form: Schema = {"type": "object", "properties": {whole.wire: _FILE}, "additionalProperties": False}
        if whole.required:
            form["required"] = [whole.wire]
        content = {"application/octet-stream": {"schema": _FILE}, "multipart/form-data": {"schema": form}}
        return {"required": whole.required, "content": content}
    schema = schemas.of(whole.type, one.names)
    return {"required": whole.required, "content": {"application/json": {"schema": schema}}}
