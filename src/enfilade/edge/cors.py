"""Pages of other origins (the Fetch standard, CORS protocol), told the same by the edge as by a service.

A filter of Envoy's marks answers of services and refusals of filters; what the route table answers by itself it does
not see, so the table has an entry for pages that may call and another for everybody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from enfilade.edge.answers import fields
from enfilade.edge.model import Edge, Json, Route

EXPOSED: Final = (
    "Content-Disposition, Deprecation, ETag, Idempotency-Replayed, Link, Location, RateLimit, RateLimit-Policy, "
    "Retry-After, Sunset, Trace-Id, WWW-Authenticate"
)
"""Fields of answers that such a page may see."""
ASKED: Final = (
    "Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "If-Range",
    "Last-Event-ID", "Range", "traceparent", "tracestate",
)  # fmt: skip
"""Fields of requests that it may send."""


def policy(edge: Edge) -> Json:
    """What the filter is told; preflights of our own addresses are answered before it."""
    if edge.cors is None:
        return {}
    matched = [{"safe_regex": {"regex": _regex(edge.cors.origins)}}]
    made: Json = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": matched,
        "allow_credentials": edge.cors.credentials,
        "allow_methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "allow_headers": ", ".join((*ASKED, *edge.cors_headers)),
        "expose_headers": EXPOSED,
        "max_age": str(edge.cors.max_age),
    }
    return {"envoy.filters.http.cors": made}


def left_alone(edge: Edge, route: Route) -> Json:
    """What the filter is told about a route whose answers speak for themselves."""
    config = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
    return {} if route.rest or edge.cors is None else {"envoy.filters.http.cors": config}


def answered(edge: Edge, match: Json, answer: Json, said: dict[str, str]) -> Iterator[Json]:
    """Entries that answer by themselves: for pages that may call, and for everybody else."""
    if edge.cors is not None:
        marked = {**_leave(edge), "access-control-expose-headers": EXPOSED}
        yield _entry(_with(match, _origin(edge)), answer, {**said, **marked})
    yield _entry(match, answer, said)


def options(edge: Edge, match: Json, allow: Iterable[str]) -> Iterator[Json]:
    """What `OPTIONS` is answered with: a preflight of a page that may call, and anything else."""
    plain = {"allow": ", ".join(allow), "x-content-type-options": "nosniff"}
    asked = _with(match, {"name": ":method", "string_match": {"exact": "OPTIONS"}})
    if edge.cors is not None:
        preflight = {"name": "access-control-request-method", "present_match": True}
        leave = {
            "access-control-allow-methods": plain["allow"],
            "access-control-allow-headers": ", ".join((*ASKED, *edge.cors_headers)),
            "access-control-max-age": str(edge.cors.max_age),
        }
        yield _entry(_with(asked, _origin(edge), preflight), {"status": 204}, {**plain, **_leave(edge), **leave})
    yield _entry(asked, {"status": 204}, plain)


def _entry(match: Json, answer: Json, said: dict[str, str]) -> Json:
    return {"match": match, "direct_response": answer, "response_headers_to_add": fields(said)}


def _with(match: Json, *headers: Json) -> Json:
    return {**match, "headers": [*match.get("headers", ()), *headers]}


def _origin(edge: Edge) -> Json:
    assert edge.cors is not None
    return {"name": "origin", "string_match": {"safe_regex": {"regex": _regex(edge.cors.origins)}}}


def _regex(origins: tuple[str, ...]) -> str:
    return ".+" if "*" in origins else "|".join(map(re.escape, origins))


def _leave(edge: Edge) -> dict[str, str]:
    assert edge.cors is not None
    said = {"access-control-allow-origin": "*" if "*" in edge.cors.origins else "%REQ(ORIGIN)%", "vary": "Origin"}
    return {**said, **({"access-control-allow-credentials": "true"} if edge.cors.credentials else {})}
