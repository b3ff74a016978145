"""`rest(...)`: the endpoint as a value, and at work."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from enfilade.contract.operation import Operation
from enfilade.endpoint.http import Request, Response
from enfilade.endpoint.rest import system
from enfilade.endpoint.rest.cors import Cors
from enfilade.endpoint.rest.docs import POLICY, page
from enfilade.endpoint.rest.exchange import exchange
from enfilade.endpoint.rest.fields import NOSNIFF, line
from enfilade.endpoint.rest.links import Links, location, page_links
from enfilade.endpoint.rest.openapi import describe, encoded
from enfilade.endpoint.rest.problems import Problems, Reshape
from enfilade.endpoint.rest.resource import Resource
from enfilade.endpoint.rest.routes import Exchange, Place, Routes
from enfilade.endpoint.rest.schemas import public
from enfilade.endpoint.site import Served, Site
from enfilade.errors import Malformed, MethodNotAllowed, NotFound, StartError

Unknown = Literal["refuse", "ignore"]


@dataclass(frozen=True, kw_only=True)
class Rest:
    """REST for all contracts of an app, as it was asked for; see `rest`."""

    prefix: str
    unknown: Unknown = "refuse"
    cors: Cors | None = None
    problem: Reshape | None = None
    scheme: str = "Bearer"
    docs: bool = True
    gzip: bool = True

    def serve(self, site: Site) -> Served:
        """At work for a site. Raises StartError where two routes cannot be told apart."""
        return _Served(self, site)


def rest(
    prefix: str = "/",
    *,
    unknown: Unknown = "refuse",
    cors: Cors | None = None,
    problem: Reshape | None = None,
    scheme: str = "Bearer",
    docs: bool = True,
    gzip: bool = True,
) -> Rest:
    """Serve every contract's routes below `prefix`: a value for the app's list of endpoints.

    `unknown="ignore"` lets callers send parameters and members that no contract has. `cors` says which pages of other
    origins may call. `problem` gives failures another shape. `scheme` is what `WWW-Authenticate` asks for. `docs=False`
    leaves out `/openapi.json` and `/docs`, `gzip=False` compression (where secrets and a stranger's text meet in one
    answer).
    """
    if not prefix.startswith("/"):
        raise ValueError(f"a prefix begins with a slash: rest('/{prefix}')")
    return Rest(
        prefix=prefix.rstrip("/"), unknown=unknown, cors=cors, problem=problem, scheme=scheme, docs=docs, gzip=gzip
    )


class _Served:
    """REST at work: finds the exchange that a request is for."""

    def __init__(self, rest: Rest, site: Site) -> None:
        self.prefix = rest.prefix
        self._resource = Resource(site, rest.prefix)
        self._problems = Problems(site, rest.scheme, rest.problem, self._resource)
        self._cors = rest.cors
        self._routes = Routes()
        # A route that nobody outside may take is not there for anybody: not to ask what methods it has, either.
        operations = [one for contract in site.contracts for one in filter(public, contract.operations)]
        self._add_system(rest, site)
        self._add(rest, site, operations)
        self._headers = tuple(
            sorted({one.wire for each in operations for one in each.parameters if one.place == "header"})
        )
        if self._routes.findings:
            raise StartError(self._routes.findings)
        for place in self._routes.places():
            if "GET" in place.methods:
                place.methods["HEAD"] = place.methods["GET"]  # the driver leaves the body out
            place.methods["OPTIONS"] = self._options(place)

    def knows(self, method: str, path: str) -> bool:
        try:
            place = self._routes.find(path, [])
        except Malformed:
            return False
        return place is not None and method in place.methods

    def answer(self, request: Request) -> Awaitable[Response]:
        # A plain function, so that a request has one frame less to go through.
        return self._answer(request) if self._cors is None else self._shared(request, self._cors)

    def _answer(self, request: Request) -> Awaitable[Response]:
        values: list[str] = []
        try:
            place = self._routes.find(request.path, values)
        except Malformed as malformed:
            return self._refused(malformed, request)
        if place is None:
            return self._refused(NotFound(), request)
        exchange = place.methods.get(request.method)
        if exchange is None:
            return self._refused(MethodNotAllowed(allow=place.allow), request)
        return exchange(request, values)

    async def _refused(self, error: Exception, request: Request) -> Response:
        return self._problems.answer(error, request)

    async def _shared(self, request: Request, cors: Cors) -> Response:
        response = await self._answer(request)
        response.headers.append((b"vary", b"Origin"))
        if request.method != "OPTIONS":
            response.headers.extend(cors.exposed(request))
        return response

    def _options(self, place: Place) -> Exchange:
        async def answer(request: Request, values: list[str]) -> Response:
            headers = [line("allow", ", ".join(place.allow)), NOSNIFF]
            if self._cors is not None:
                headers += self._cors.preflight(request, place.allow, self._headers)
            return Response(204, headers)

        return answer

    def _add(self, rest: Rest, site: Site, operations: list[Operation]) -> None:
        readable = frozenset(self._path(one) for one in operations if one.method == "GET")
        for one in operations:
            if not site.answers(one.service):
                continue
            links: tuple[Links | None, ...] = (page_links(one), location(one, self.prefix, readable))
            made = exchange(
                one, site, self._problems,
                unknown=rest.unknown, gzip=rest.gzip, links=tuple(each for each in links if each is not None),
            )  # fmt: skip
            self._routes.add(one.method, self._path(one), made, one.where)

    def _add_system(self, rest: Rest, site: Site) -> None:
        pages = {
            "/healthz": system.live(),
            "/readyz": system.ready(site, self._problems),
            "/metrics": system.metrics(site),
            self._resource.path: system.resource(self._resource, self._problems),
        }
        if rest.docs:
            described = cache(
                lambda: describe(
                    site.name, site.contracts, prefix=rest.prefix, scheme=rest.scheme, problem=rest.problem
                )
            )
            pages["/.well-known/api-catalog"] = system.catalog(self.prefix)
            pages[f"{self.prefix}/openapi.json"] = system.fixed(lambda: encoded(described()), "application/json", [])
            pages[f"{self.prefix}/docs"] = system.fixed(
                lambda: page(described()), "text/html; charset=utf-8", [line("content-security-policy", POLICY)]
            )
        for path, made in pages.items():
            self._routes.add("GET", path, made, f"rest({self.prefix or '/'!r})")

    def _path(self, operation: Operation) -> str:
        return f"{self.prefix}{operation.path}" if operation.path != "/" else self.prefix or "/"
