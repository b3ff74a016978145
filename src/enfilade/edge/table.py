"""The route table: places, the most specific first, as services order theirs; what is not in it is not there.

Each address answers to its methods; to others with 405, to a browser's preflight by itself, to `OPTIONS` with `Allow`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from enfilade.contract.need import Scope, anyone, parts
from enfilade.edge.answers import ABOUT, not_allowed, refusal
from enfilade.edge.cors import answered, left_alone, options, policy
from enfilade.edge.forward import added, forward, removed
from enfilade.edge.model import Edge, Json, Route
from enfilade.edge.rates import held
from enfilade.edge.who import asked

NAME: Final = "edge"
_ANY: Final = re.compile(r"\{[^}]*\}")
_BUFFER: Final = "envoy.filters.http.buffer"


def table(edge: Edge) -> Json:
    """The route configuration."""
    places: dict[str, list[Route]] = {}
    whole = [route for route in edge.routes if route.below and not route.methods]
    for route in edge.routes:
        places.setdefault(_ANY.sub("{}", route.path) + ("/**" if route.below else ""), []).append(route)
    entries: list[Json] = []
    for shape in sorted(places, key=_order):
        entries += _place(edge, places[shape], shared=any(_covers(one, places[shape][0]) for one in whole))
    entries += answered(edge, {"prefix": "/"}, {"status": 404}, {})
    host = {"name": NAME, "domains": ["*"], "routes": entries, "typed_per_filter_config": policy(edge)}
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": NAME,
        "virtual_hosts": [host],
        "ignore_port_in_host_matching": True,
    }


def _order(shape: str) -> tuple[bool, int, list[tuple[bool, str]]]:
    """Named segments before placeholders, step by step; what means all below it comes last, the longest first."""
    below, segments = shape.endswith("/**"), shape.removesuffix("/**").split("/")
    return below, -len(segments) if below else 0, [(segment == "{}", segment) for segment in segments]


def _covers(whole: Route, route: Route) -> bool:
    """Whether what a route does not know is the other's, which is for everything below its path."""
    return whole is not route and f"{route.path}/".startswith(f"{whole.path.rstrip('/')}/")


def _place(edge: Edge, routes: list[Route], *, shared: bool) -> Iterator[Json]:
    """All that can be asked for at the addresses of one shape; `shared` with a route for everything there."""
    said = {method for route in routes for method in route.methods}
    allow = sorted(said | {"OPTIONS"} | ({"HEAD"} if "GET" in said else set[str]()))
    match, known = _match(routes[0]), any(route.rest for route in routes)
    if said and "OPTIONS" not in said and known:
        yield from options(edge, match, allow)
    for route in routes:
        for variant in route.variants:
            chosen = {"name": variant.header, "string_match": {"exact": variant.value}}
            yield _entry(edge, route, [chosen], variant.upstream)
        yield _entry(edge, route, [])
    if known and not shared and all(route.methods for route in routes):
        yield from answered(edge, match, not_allowed(allow), {**refusal(), "allow": ", ".join(allow)})


def _entry(edge: Edge, route: Route, chosen: list[Json], to: str = "") -> Json:
    methods = [*route.methods, *(["HEAD"] if "GET" in route.methods else [])]
    if methods:
        chosen = [{"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(methods)}}}, *chosen]
    scopes = " ".join(sorted({part.name for part in parts(route.need or anyone) if isinstance(part, Scope)}))
    about = {
        "operation": route.id,
        "limit": route.body,
        "needs": f"{route.id} needs {route.need}.",
        "scope": f', scope="{scopes}"' if scopes else "",
    }
    return {
        "name": route.id,
        "match": {**_match(route), **({"headers": chosen} if chosen else {})},
        "route": forward(edge, route, to),
        "metadata": {"filter_metadata": {ABOUT: about}},
        "decorator": {"operation": route.id, "propagate": False},
        "request_headers_to_add": added(edge, route, to),
        "request_headers_to_remove": removed(edge, route, to),
        "typed_per_filter_config": {
            **asked(edge, route),
            **held(route),
            **left_alone(edge, route),
            _BUFFER: _buffered(route),
        },
    }


def _match(route: Route) -> Json:
    if route.below:
        path = route.path.rstrip("/")
        return {"path_separated_prefix": path} if path else {"prefix": "/"}
    if "{" not in route.path:
        return {"path": route.path}
    regex = "[^/]+".join(re.escape(part) for part in _ANY.split(route.path))
    return {"safe_regex": {"regex": regex}}


def _buffered(route: Route) -> Json:
    kind = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute"
    return {"@type": kind, **({"buffer": {"max_request_bytes": route.body}} if route.body else {"disabled": True})}
