"""What the edge refuses by itself, as the problem documents that services answer with (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from enfilade.contract.problem import MEDIA_TYPE, document
from enfilade.edge.model import Edge, Json
from enfilade.errors import (
    Forbidden,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooLarge,
    TooManyRequests,
    TooSlow,
    Unauthenticated,
)
from enfilade.identity.verify import INVALID

ABOUT: Final = "enfilade"
"""The route's metadata that refusals speak of."""
TRACE: Final = "enfilade-edge-trace"
"""The request's trace, where refusals find it; goes no further."""

_TRACE: Final = f"%REQ({TRACE})%"

_HEAD: Final = {
    "type": "/problems/head-too-large",
    "title": "The head of the request is larger than is taken.",
    "status": 431,
}
_OVERLOADED: Final = {
    "type": "/problems/overloaded",
    "title": "There is no room for this request now; nothing was done.",
    "status": 503,
}
_UNAVAILABLE: Final = {
    "type": "/problems/unavailable",
    "title": "Something that this needs does not answer; it may have been done all the same.",
    "status": 503,
}
_LATE: Final = {
    "type": "/problems/deadline-exceeded",
    "title": "The time for this request is over; it may have been done all the same.",
    "status": 504,
}


def answers(edge: Edge) -> Json:
    """Another body for each refusal; the first that fits is taken."""
    realm = f'{edge.scheme} realm="{edge.name}"'
    here = edge.url.rstrip("/") or "%REQ(:SCHEME)%://%REQ(:AUTHORITY)%"
    whom = f', resource_metadata="{here}{edge.resource}"' if edge.resource else ""
    again = {"retry-after": "1"}
    invalid = f'{realm}, error="invalid_token", error_description="{INVALID}"{whom}'
    scope = f'{realm}, error="insufficient_scope"%{_about("scope")}%{whom}'
    refused: list[tuple[Json, int, Json, dict[str, str]]] = [
        (_both(_status(401), _sent("authorization")), 401, _said(Unauthenticated()), {"www-authenticate": invalid}),
        (_status(401), 401, _said(Unauthenticated()), {"www-authenticate": realm + whom}),
        # A token for somebody else is no credential here, and Envoy alone calls it forbidden.
        (_both(_status(403), _flag("UAEX")), 401, _said(Unauthenticated()), {"www-authenticate": invalid}),
        (_status(403), 403, _said(Forbidden()) | {"detail": f"%{_about('needs')}%"}, {"www-authenticate": scope}),
        (_status(400), 400, _said(Malformed()), {}),
        (_status(404), 404, _said(NotFound()), {}),
        (_status(408), 408, _said(TooSlow()), {}),
        (_status(413), 413, _said(TooLarge()) | {"limit": f"%{_about('limit')}%"}, {}),
        (_status(429), 429, _said(TooManyRequests()), {}),
        (_status(431), 431, dict(_HEAD), {}),
        (_both(_status(503), _flag("UO", "OM")), 503, dict(_OVERLOADED), again),
        (_status(502), 503, dict(_UNAVAILABLE), again),
        (_status(503), 503, dict(_UNAVAILABLE), again),
        # A service that works says itself when the time is over, a second before this: one that does not hangs.
        (_both(_status(504), _flag("UT")), 503, dict(_UNAVAILABLE), again),
        (_status(504), 504, dict(_LATE), {}),
    ]
    return {"mappers": [_mapper(*each) for each in refused]}


def not_allowed(allow: Iterable[str]) -> Json:
    """The answer of an address that does not know the method, as a route's own."""
    return {"status": 405, "body_format": _body(_said(MethodNotAllowed(allow=tuple(allow))))}


def fields(said: dict[str, str]) -> list[Json]:
    """Header fields that are set, whatever they were."""
    return [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in said.items()
    ]


def refusal() -> dict[str, str]:
    """Header fields of every refusal."""
    return {"x-content-type-options": "nosniff", "cache-control": "no-store", "trace-id": _TRACE}


def _mapper(filter: Json, status: int, said: Json, more: dict[str, str]) -> Json:
    return {
        "filter": filter,
        "status_code": status,
        "body_format_override": _body(said),
        "headers_to_add": fields({**refusal(), **more}),
    }


def _body(said: Json) -> Json:
    at = {"instance": "%PATH(NQ)%", "trace_id": _TRACE}
    return {"json_format": {**said, **at}, "content_type": MEDIA_TYPE, "omit_empty_values": True}


def _said(problem: Problem) -> Json:
    return document(problem)


def _about(name: str) -> str:
    return f"METADATA(ROUTE:{ABOUT}:{name})"


def _status(code: int) -> Json:
    value = {"default_value": code, "runtime_key": f"enfilade.answers.{code}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _flag(*flags: str) -> Json:
    return {"response_flag_filter": {"flags": list(flags)}}


def _sent(name: str) -> Json:
    return {"header_filter": {"header": {"name": name, "present_match": True}}}


def _both(*filters: Json) -> Json:
    return {"and_filter": {"filters": list(filters)}}
