"""The edge of an app: made of its contracts, its endpoints and its configuration, and of where its processes are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

import msgspec

from enfilade import edge
from enfilade.app import App
from enfilade.config import Config
from enfilade.contract.door import Door, doors
from enfilade.edge import Certificate, Listen, Route, Upstream, Variant
from enfilade.edge.contracts import route
from enfilade.endpoint.openid import OpenId, addresses
from enfilade.endpoint.rest import Cors, Rest
from enfilade.endpoint.rest.resource import WELL_KNOWN
from enfilade.endpoint.site import HttpEndpoint
from enfilade.errors import Finding, Problem, StartError
from enfilade.identity import Fetch, Issuer
from enfilade.identity.apikeys import ApiKeys
from enfilade.identity.discovery import discover
from enfilade.identity.provider import Provider
from enfilade.identity.provider.own import Own
from enfilade.placement import Placed, Placement, Share, Way
from enfilade.plan.beyond import beyond
from enfilade.plan.layout import Layout
from enfilade.plan.sockets import public_of
from enfilade.plan.watch import ask
from enfilade.supplies import believed, developer_of, provider_of

log = logging.getLogger("enfilade.edge")

_FORM: Final = 64 * 1024
"""Bytes of what is sent to the provider."""
_ASKED: Final = 3.0
"""Seconds in which a process says what it serves; one that hangs does not."""
_LASTING: Final = 3600.0
"""Seconds of silence in what somebody answers of whom the edge knows nothing: a mounted application, a websocket."""


Open: TypeAlias = Mapping[str, Mapping[str, tuple[Door, ...]]]
"""By process and service: the ways to its operations."""


@dataclass(frozen=True)
class Border:
    """What of an edge does not change while it runs."""

    app: App
    config: Config
    layout: Layout
    services: Mapping[str, Placed]
    own: Own | None
    """The app's own provider."""
    issuers: tuple[Issuer, ...]
    """Whose tokens are taken."""


async def border_of(app: App, config: Config, layout: Layout, share: Share, fetch: Fetch) -> Border:
    """The border of an app; issuers that do not say where their keys are are asked. Raises StartError."""
    placement = Placement(app.services, app.builders, config, share)
    own = provider_of(placement, config, _nobody)
    issuers = [
        await _with_keys(one, own, fetch) for one in believed(config, app.name, developer_of(config, app.name), own)
    ]
    return Border(app, config, layout, placement.services, own, tuple(issuers))


async def opened(border: Border, share: Share) -> Open:
    """What processes say of the ways to their operations; who does not answer says nothing."""
    names = sorted({way.process for name in border.services for way in _ways(share, name)})
    said = await asyncio.gather(*(_opened(border, share.at[name]) for name in names))
    return {name: one for name, one in zip(names, said, strict=True) if one is not None}


async def _opened(border: Border, at: Sequence[str]) -> Mapping[str, tuple[Door, ...]] | None:
    """What the first of the replicas says that answers."""
    for address in at:
        with contextlib.suppress(Problem, TimeoutError, msgspec.MsgspecError):
            async with asyncio.timeout(_ASKED):
                told = await ask(address, "doors", border.app.clock)
                return msgspec.json.decode(told, type=dict[str, tuple[Door, ...]])
    return None


def edge_of(border: Border, share: Share, known: Open = MappingProxyType({})) -> edge.Edge:
    """The edge before processes that are where a share says, and serve what is known of them: they may be of another
    version than this process. Of whom nothing is known serves what is imported here. Raises StartError."""
    app, config, said = border.app, border.config, border.layout.edge
    rests = [one for one in app.endpoints if isinstance(one, Rest)]
    foreign = [beyond(name, one) for name, one in said.route.items()]
    routes = (*_routes(border, share, known), *(route for _, routes in foreign for route in routes))
    advertised = rests and any(one.url.startswith("http") for one in border.issuers)
    return edge.Edge(
        name=app.name,
        listen=(_listen(border),),
        upstreams=(*_upstreams(border, share, rests), *(upstream for upstream, _ in foreign)),
        routes=tuple({(one.path, one.methods, one.below): one for one in reversed(routes)}.values()),
        issuers=border.issuers,
        others=bool(app.resolvers) or share.sessions or _has(border, ApiKeys) is not None,
        cors=_cors(rests),
        cors_headers=_headers(border, known),
        scheme=rests[0].scheme if rests else "Bearer",
        resource=f"{WELL_KNOWN}{rests[0].prefix}" if advertised else "",
        keys=_keys(border, share),
        url=config.url,
        gateways=said.gateways,
        hops=said.hops,
        connections=said.connections,
        log="stdout" if said.log == "stdout" else Path(said.log) if said.log else None,
        otlp=said.otlp if said.otlp is not None else config.trace.otlp if config.trace.enabled else "",
        otlp_log=said.otlp_log,
        sample=config.trace.sample if said.sample is None else said.sample,
    )


# -- where requests go


def _upstreams(border: Border, share: Share, rests: Sequence[Rest]) -> Iterator[Upstream]:
    """The front, and each process that has services and is on this machine."""
    named = {way.process for name in border.services for way in share.ways.get(name, ())}
    front = border.layout.front
    for process in sorted({front, *named}):
        at = share.at.get(process, ())
        if _near(at):
            # The front is ready when all others are, and is asked before that.
            probe = ("/healthz" if process == front else "/readyz") if rests else ""
            yield Upstream(
                name=process, at=tuple(map(public_of, at)), requests=border.layout.edge.requests, probe=probe
            )


def _to(border: Border, share: Share, service: str) -> tuple[edge.Share, ...]:
    """Where a service is asked: at its processes, or by the front where those are elsewhere."""
    return _shares(_ways(share, service)) or (edge.Share(upstream=border.layout.front),)


def _shares(ways: Iterable[Way]) -> tuple[edge.Share, ...]:
    return tuple(edge.Share(upstream=one.process, weight=round(one.share * 100)) for one in ways if one.share)


def _ways(share: Share, service: str) -> Sequence[Way]:
    ways = share.ways.get(service, ())
    return ways if all(_near(share.at.get(one.process, ())) for one in ways) else ()


def _near(at: Sequence[str]) -> bool:
    return bool(at) and all(one.startswith("unix:") for one in at)


# -- what is asked


def _routes(border: Border, share: Share, known: Open) -> Iterator[Route]:
    """What the app's endpoints answer, and what is mounted."""
    front = (edge.Share(upstream=border.layout.front),)
    for endpoint in border.app.endpoints:
        match endpoint:
            case Rest():
                yield from _operations(border, share, endpoint.prefix, known)
                yield from edge.pages(border.layout.front, prefix=endpoint.prefix, docs=endpoint.docs)
            case OpenId():
                yield from _openid(border, share)
            case _:
                yield _whole(f"endpoint {_prefix(endpoint)}", _prefix(endpoint), front)
    for mount in border.app.mounts:
        yield _whole(f"mount {mount.path or '/'}", mount.path or "/", front)


def _operations(border: Border, share: Share, prefix: str, known: Open) -> Iterator[Route]:
    """An operation is asked of those that know it, and has the guards of the primary one, if that does."""
    field = border.layout.edge.variant
    for name, placed in border.services.items():
        own, ways = doors(placed.contract), _ways(share, name)
        if not ways:
            yield from (route(door, _to(border, share, name), prefix) for door in own)
        has = {way: {(one.method, one.path): one for one in known.get(way.process, {}).get(name, own)} for way in ways}
        for at, door in {at: door for way in reversed(ways) for at, door in has[way].items()}.items():
            serving = [way for way in ways if at in has[way]]
            if to := _shares(serving):
                chosen = [one.process for one in serving] if field else ()
                variants = tuple(Variant(upstream=one, header=field, value=one) for one in chosen)
                yield replace(route(door, to, prefix), sticky=len(to) > 1, variants=variants)


def _openid(border: Border, share: Share) -> Iterator[Route]:
    """The provider asks by itself who calls."""
    if border.own is None or (name := _has(border, Provider)) is None:
        return
    plain = Route(id="", path="/", to=_to(border, share, name), need=None, rest=False, body=_FORM)
    for path, what, methods, shared in addresses(border.own.settings.path):
        methods = tuple(one for one in methods if one != "HEAD")
        yield replace(
            plain, id=f"{name} {what}", path=path, methods=(*methods, *(["OPTIONS"] if shared else [])),
            repeatable=methods == ("GET",),
        )  # fmt: skip


def _whole(id: str, path: str, to: tuple[edge.Share, ...]) -> Route:
    """All below a path, as it is."""
    return Route(id=id, path=path, below=True, to=to, need=None, rest=False, upgrade=True, idle=_LASTING)


def _prefix(endpoint: HttpEndpoint) -> str:
    said = getattr(endpoint, "prefix", None)
    if not isinstance(said, str):
        what = f"the edge does not know the addresses of {type(endpoint).__name__}."
        remedy = 'Give it a `prefix`, such as "/graphql": what is below it is asked of the front.'
        raise StartError([Finding("endpoints", what, remedy, "edge-route")])
    return said or "/"


# -- what the app says besides


def _listen(border: Border) -> Listen:
    said, config = border.layout.edge, border.config
    pair = Certificate(chain=Path(said.certificate), key=Path(said.key)) if said.certificate else None
    return Listen(host=config.host, port=config.port, certificate=pair, http3=said.http3)


def _cors(rests: Sequence[Rest]) -> Cors | None:
    found = {one.cors for one in rests}
    if len(found) > 1:
        remedy = "Say the same cors= to each rest(...)."
        raise StartError([Finding("endpoints", "the edge tells all pages the same.", remedy, "edge-cors")])
    return next(iter(found), None)


def _headers(border: Border, known: Open) -> tuple[str, ...]:
    here = [door for placed in border.services.values() for door in doors(placed.contract)]
    there = [door for services in known.values() for each in services.values() for door in each]
    return tuple(sorted({name for door in (*here, *there) for name in door.headers}))


def _keys(border: Border, share: Share) -> Mapping[str, str]:
    """Keys of the app's own provider are asked of its process: the edge would have to ask itself before it is there."""
    name = _has(border, Provider)
    return {} if border.own is None or name is None else {border.own.keys: _to(border, share, name)[0].upstream}


def _has(border: Border, kind: type) -> str | None:
    """The name of the service with this contract."""
    return next((name for name, placed in border.services.items() if placed.contract.type is kind), None)


async def _with_keys(issuer: Issuer, own: Own | None, fetch: Fetch) -> Issuer:
    """With the place of its keys, where it says so when it is asked: or Envoy could not check its tokens."""
    if issuer.jwks_url or issuer.jwks_file or issuer.keys:
        if own is None or issuer.jwks_url != own.keys or own.settings.algorithm == "Ed25519":
            return issuer
        signs = tuple(one for one in issuer.algorithms if one != "Ed25519")
        return msgspec.structs.replace(cast("Any", issuer), algorithms=signs)
    if own is not None and issuer.url == own.settings.issuer:
        return msgspec.structs.replace(cast("Any", issuer), jwks_url=own.keys)
    try:
        return msgspec.structs.replace(cast("Any", issuer), jwks_url=await discover(issuer.url, fetch))
    except Exception as failed:
        log.warning(
            "%s does not say where its keys are: its tokens are checked by services alone: %s", issuer.url, failed
        )
        return issuer


def _nobody() -> Provider:
    raise AssertionError("the edge asks for keys by itself")
