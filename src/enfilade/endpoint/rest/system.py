"""What every app answers besides its contracts: whether it lives, whether it is ready, its numbers, and what it offers.

/healthz                    the process answers
/readyz                     the app has all that it needs; 503 names what it waits for
/metrics                    Prometheus text; keep it from strangers at the edge
/.well-known/api-catalog    where the description is (RFC 9727)
/openapi.json, /docs        the description, for programs and for people

/.well-known/oauth-protected-resource    whom to ask for a token (RFC 9728)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from enfilade.endpoint.http import Headers, Request, Response
from enfilade.endpoint.rest.conditional import CODED, tag_of, unchanged
from enfilade.endpoint.rest.fields import NO_STORE, NOSNIFF, line
from enfilade.endpoint.rest.negotiate import takes_gzip
from enfilade.endpoint.rest.problems import Problems
from enfilade.endpoint.rest.resource import Resource
from enfilade.endpoint.rest.routes import Exchange
from enfilade.endpoint.site import Site
from enfilade.errors import Malformed, PreconditionFailed, Problem
from enfilade.trace.metrics import CONTENT_TYPE

Page: TypeAlias = Callable[[], bytes]


class Unready(Problem, status=503, type="/problems/unready"):
    """The app is not ready."""

    waiting: tuple[str, ...]
    """What it still waits for."""


def live() -> Exchange:
    async def answer(request: Request, values: list[str]) -> Response:
        return _now(b'{"status":"live"}', "application/json")

    return answer


def ready(site: Site, problems: Problems) -> Exchange:
    async def answer(request: Request, values: list[str]) -> Response:
        waiting = (*site.unready(), *(await site.others() if site.others is not None else ()))
        if waiting:
            return problems.answer(Unready(waiting=waiting), request)
        return _now(b'{"status":"ready"}', "application/json")

    return answer


def metrics(site: Site) -> Exchange:
    async def answer(request: Request, values: list[str]) -> Response:
        return _now(site.recorder.metrics.exposition(), CONTENT_TYPE)

    return answer


def resource(resource: Resource, problems: Problems) -> Exchange:
    async def answer(request: Request, values: list[str]) -> Response:
        said = resource.metadata(request)
        if said is None:
            return problems.answer(Malformed(detail="The request does not say which host it is for."), request)
        return _now(said, "application/json")

    return answer


def catalog(prefix: str) -> Exchange:
    """The linkset of RFC 9727 and 9264."""
    links = {
        "anchor": f"{prefix}/",
        "service-desc": [{"href": f"{prefix}/openapi.json", "type": "application/openapi+json"}],
        "service-doc": [{"href": f"{prefix}/docs", "type": "text/html"}],
        "status": [{"href": "/readyz", "type": "application/json"}],
    }
    linkset = msgspec.json.encode({"linkset": [links]})
    media_type = 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'
    return fixed(lambda: linkset, media_type, [line("link", '</.well-known/api-catalog>; rel="api-catalog"')])


def fixed(page: Page, media_type: str, extra: Headers) -> Exchange:
    """A page that is made once, when it is first asked for, and never changes."""
    made: list[tuple[bytes, bytes, bytes]] = []
    common: Headers = [
        line("content-type", media_type),
        NOSNIFF,
        (b"cache-control", b"no-cache"),
        (b"vary", b"Accept-Encoding"),
        *extra,
    ]

    async def answer(request: Request, values: list[str]) -> Response:
        if not made:
            plain = page()
            made.append((plain, zlib.compress(plain, 9, wbits=31), tag_of(plain)))
        plain, small, tag = made[0]
        try:
            if unchanged(request, tag):
                return Response(304, [*common[1:], (b"etag", tag)])
        except PreconditionFailed:
            return Response(412, common[1:])
        if takes_gzip(request.fields.get(b"accept-encoding", b"")):
            coded = (b"content-encoding", b"gzip"), (b"etag", tag[:-1] + CODED + b'"')
            return Response(200, [*common, *coded], small)
        return Response(200, [*common, (b"etag", tag)], plain)

    return answer


def _now(body: bytes, media_type: str) -> Response:
    return Response(200, [line("content-type", media_type), NOSNIFF, NO_STORE], body)
