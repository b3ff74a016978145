"""Addresses that an answer names: the pages beside it, what was made, what comes after an old operation (RFC 8288)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from email.utils import format_datetime
from typing import Any, TypeAlias, get_origin
from urllib.parse import quote, urlencode

from enfilade.call import Call
from enfilade.contract.operation import Operation
from enfilade.contract.page import Offset, Page, Slice
from enfilade.contract.shape import shape
from enfilade.endpoint.http import Request
from enfilade.endpoint.rest.fields import Line, line
from enfilade.endpoint.rest.text import pairs

Links: TypeAlias = Callable[[Request, Call, Any], list[Line]]
"""Fields that an answer has because of its result."""


def page_links(operation: Operation) -> Links | None:
    """`Link` fields of an answer that is one page of several; None where it is not."""
    if operation.style == "page":
        return _next_page
    if get_origin(operation.result) is Slice or operation.result is Slice:
        name = next((one.name for one in operation.parameters if shape(one.type).type is Offset), None)
        return None if name is None else lambda request, call, value: _slices(request, call.arguments[name], value)
    return None


def location(operation: Operation, prefix: str, readable: frozenset[str]) -> Links | None:
    """`Location` of what a command made: where `POST /orders` gives a result with an `id` and `GET /orders/{id}` is.

    `readable` are the paths that can be read.
    """
    if operation.status != 201 or "{" in operation.path or operation.style != "value":
        return None
    found = shape(operation.result)
    names = [one.name for one in found.fields] if found.struct is not None else []
    name = next((one for one in names if f"{prefix}{operation.path}/{{{one}}}" in readable), None)
    if name is None:
        return None
    base = f"{prefix}{operation.path}/"

    def locate(request: Request, call: Call, value: Any) -> list[Line]:
        id = str(getattr(value, name))
        plain = id.isascii() and id.replace("_", "").isalnum()  # ids are: what need not be quoted is not
        return [(b"location", (base + (id if plain else quote(id, safe=""))).encode())]

    return locate


def lifecycle(operation: Operation) -> list[Line]:
    """`Deprecation` (RFC 9745), `Sunset` (RFC 8594) and the successor, for an operation that will go."""
    said = operation.deprecated
    if said is None:
        return []
    since = datetime.combine(said.since, time(), UTC)
    lines = [line("deprecation", f"@{int(since.timestamp())}")]
    if said.sunset is not None:
        sunset = datetime.combine(said.sunset, time(), UTC)
        lines.append(line("sunset", format_datetime(sunset, usegmt=True)))
    if said.successor:
        lines.append(_link(said.successor, "successor-version"))
    return lines


def _next_page(request: Request, call: Call, page: Page[Any]) -> list[Line]:
    return [_link(_with(request, after=page.next), "next")] if page.next else []


def _slices(request: Request, at: Offset, found: Slice[Any]) -> list[Line]:
    last = max(0, (found.total - 1) // at.limit * at.limit)
    wanted = {"first": 0, "prev": max(0, at.offset - at.limit), "next": at.offset + at.limit, "last": last}
    if at.offset == 0:
        del wanted["prev"]
    if wanted["next"] >= found.total:
        del wanted["next"]
    return [_link(_with(request, offset=str(offset)), relation) for relation, offset in wanted.items()]


def _with(request: Request, **changed: str) -> str:
    """The request's own address with some of its query changed."""
    query = {name: values for name, values in pairs(request.query).items() if name not in changed}
    return f"{request.path}?{urlencode({**query, **changed}, doseq=True, quote_via=quote)}"


def _link(address: str, relation: str) -> Line:
    return line("link", f'<{address}>; rel="{relation}"')
