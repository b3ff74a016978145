"""A request becomes the arguments of an operation: what its head says, and what its body does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from enfilade.contract.blob import Blob
from enfilade.contract.codec import Codec, codec
from enfilade.contract.operation import Operation, Parameter
from enfilade.contract.signature import is_stream
from enfilade.endpoint.http import Request
from enfilade.endpoint.rest.arguments import Found, HeadReader, head_reader
from enfilade.endpoint.rest.body import json_body, json_here, pieces
from enfilade.endpoint.rest.upload import upload
from enfilade.errors import Invalid, TooSlow
from enfilade.store.blobs import Blobs

Bind: TypeAlias = Callable[[Request, list[str]], Awaitable[Found]]
"""Raises Invalid with all that is wrong, or what else can be wrong with a request."""
BodyReader: TypeAlias = Callable[[Request], Awaitable[Found]]


def binder(operation: Operation, blobs: Blobs, *, unknown: Any) -> Bind:
    """What makes the arguments of an operation of a request and the values of its path. All plans are made here."""
    head = head_reader(operation, refuse_unknown=unknown == "refuse")
    message = body_message(operation)
    if message is not None:
        return _members(operation, head, codec(message, names=operation.names, unknown=unknown))
    read = body_reader(operation, blobs, unknown=unknown)

    async def bind(request: Request, values: list[str]) -> Found:
        if read is None:
            return head(request, values)
        try:
            found = head(request, values)
        except Invalid as invalid:
            raise await _with_body(invalid, read(request)) from None
        found.update(await read(request))
        return found

    return bind


def _members(operation: Operation, head: HeadReader, members: Codec[Any]) -> Bind:
    """The usual command: its arguments are members of a JSON body."""
    limit, seconds = operation.body_limit, operation.timeout
    decode, arguments = members.decode, msgspec.structs.asdict

    async def read(request: Request) -> Found:
        return arguments(decode(await json_body(request, limit, seconds) or b"{}"))

    async def bind(request: Request, values: list[str]) -> Found:
        try:
            found = head(request, values)
        except Invalid as invalid:
            raise await _with_body(invalid, read(request)) from None
        data = json_here(request, limit)
        if data is None:
            data = await json_body(request, limit, seconds)
        found.update(arguments(decode(data or b"{}")))
        return found

    return bind


async def _with_body(invalid: Invalid, body: Awaitable[Found]) -> Invalid:
    """What is wrong in the head, and in the body too."""
    try:
        await body
    except Invalid as more:
        return Invalid(errors=(*invalid.errors, *more.errors))
    return invalid


def body_parameter(operation: Operation) -> Parameter | None:
    """The parameter that is the whole body."""
    return next((one for one in operation.parameters if one.place == "body"), None)


def is_file(parameter: Parameter) -> bool:
    """Whether it is a file, sent raw or in a form."""
    return not is_stream(parameter.type) and Blob in (parameter.type, *getattr(parameter.type, "__args__", ()))


def body_message(operation: Operation) -> Any:
    """The message that has the body's members; None where the operation has none."""
    members = [one for one in operation.parameters if one.place == "member"]
    if not members:
        return None
    return msgspec.defstruct(
        operation.request.__name__.removesuffix("Request") + "Body",
        [(one.name, one.type) if one.required else (one.name, one.type, one.default) for one in members],
        module=operation.request.__module__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        rename={one.name: one.wire for one in members},
    )


def body_reader(operation: Operation, blobs: Blobs, *, unknown: Any) -> BodyReader | None:
    """What reads the parameter that is the whole body; None where there is none, and then no body is looked at."""
    parameter = body_parameter(operation)
    if parameter is None:
        return None
    if is_stream(parameter.type):
        return _raw(operation, parameter)
    if is_file(parameter):
        return _file(operation, parameter, blobs, strict=unknown == "refuse")
    return _whole(operation, parameter, codec(parameter.type, names=operation.names, unknown=unknown))


def _whole(operation: Operation, parameter: Parameter, whole: Codec[Any]) -> BodyReader:
    limit, seconds = operation.body_limit, operation.timeout

    async def read(request: Request) -> Found:
        data = json_here(request, limit)
        if data is None:
            data = await json_body(request, limit, seconds)
        if not data and not parameter.required:
            return {parameter.name: parameter.default}
        return {parameter.name: whole.decode(data or b"{}")}

    return read


def _raw(operation: Operation, parameter: Parameter) -> BodyReader:
    async def read(request: Request) -> Found:
        return {parameter.name: pieces(request, operation.body_limit)}

    return read


def _file(operation: Operation, parameter: Parameter, blobs: Blobs, *, strict: bool) -> BodyReader:
    async def read(request: Request) -> Found:
        try:
            async with asyncio.timeout(operation.timeout):
                blob = await upload(request, blobs, parameter, operation.body_limit, strict=strict)
        except TimeoutError:
            raise TooSlow(detail=f"The file was not complete after {operation.timeout:g} seconds.") from None
        return {parameter.name: parameter.default if blob is None else blob}

    return read
