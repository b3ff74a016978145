"""What a plan may say of its edge, and of what is not the app's own and stands behind it, too.

[split.edge]
run = "envoy:"                        # from the wheel, or envoy:/usr/bin/envoy

[split.edge.route.legacy]
path = "/legacy"                      # and all below it
to = "https://legacy.example/old"
scopes = ["legacy"]
rates = ["100/minute"]
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

import msgspec

from enfilade.contract.limit import Per
from enfilade.settings import Settings

EDGE: Final = "edge"
"""The process that runs it."""

_Some = Annotated[int, msgspec.Meta(ge=1)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Part = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Often(Settings):
    """How often something may be asked, where `"100/minute"` of each caller is not what is meant."""

    limit: _Name
    per: Per = "caller"
    burst: _Count = 0


class Beyond(Settings):
    """Addresses that somebody else answers."""

    path: Annotated[str, msgspec.Meta(pattern="^/")]
    """Where they begin; all below it is meant, or what `openapi` knows of it."""
    to: _Name | Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1)]
    """Who answers: a URL, or several that are alike. Its path takes the place of `path`."""
    openapi: str = ""
    """The file of a description (OpenAPI 3, JSON): only the paths and methods that it knows are passed on."""
    methods: tuple[_Name, ...] = ()
    """Where there is no description: which methods are passed on; by default all."""
    needs: Literal["anyone", "signed in"] = "anyone"
    """Who may ask. A bad token is refused in any case."""
    scopes: tuple[_Name, ...] = ()
    """Scopes that a caller's token must have, all of them."""
    roles: tuple[_Name, ...] = ()
    """Roles that it must have, all of them."""
    rates: tuple[_Name | Often, ...] = ()
    """How often, for all of it together: `"100/minute"`, or `{ limit = "9/second", per = "address" }`."""
    body: str = "1MB"
    """How much a request may bring; `""` passes on whatever comes, piece by piece."""
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Seconds for an answer."""


class Edge(Settings):
    """`[<plan>.edge]`: Envoy at the public address."""

    run: str = ""
    """`"envoy:"` from the wheel, `"envoy:/usr/bin/envoy"`; `""` has none: a process of ours is at the address."""
    certificate: str = ""
    """The file of a certificate with its chain (PEM): then it speaks TLS, and HTTP/2."""
    key: str = ""
    """The file of its private key."""
    http3: bool = False
    """Whether it speaks HTTP/3, too."""
    hops: _Count = 0
    """Proxies before it whose word on the client's address is believed."""
    connections: _Some = 10_000
    """Connections at once; more wait to be taken."""
    requests: _Some = 1024
    """Requests under way to one process at once; more are 503."""
    gateways: _Some = 1
    """How many edges share the load: each lets an equal part of a rate through."""
    threads: _Count = 0
    """Of Envoy; 0 is one for each processor."""
    variant: str = ""
    """A header field by which callers may ask for a variant, by the name of its process: `x-variant`."""
    log: str = "stdout"
    """A line of JSON for each request: into the stream of the plan, or a file; `""` writes none."""
    otlp: str | None = None
    """Where its spans go; by default as [trace] of enfilade.toml says."""
    otlp_log: bool = False
    """Whether its log goes there, too."""
    sample: _Part | None = None
    """Part of the traces that begin here which it sends there; by default as [trace] says."""
    route: Mapping[str, Beyond] = {}
    """What is not the app's own, by names of yours."""


def upon(below: Edge, over: Edge) -> Edge:
    """What the upper one says, and of the rest what the lower one says."""
    said = {name: getattr(over, name) for name in said_of(over)}
    return msgspec.structs.replace(cast("Any", below), **said, route={**below.route, **over.route})


def said_of(edge: Edge) -> list[str]:
    """The settings that it does not leave as they are."""
    plain = Edge()
    names: tuple[str, ...] = cast("Any", Edge).__struct_fields__
    return [name for name in names if name != "route" and getattr(edge, name) != getattr(plain, name)]


def facts(edge: Edge) -> Iterator[tuple[str, str]]:
    """What holds, by its key, for people."""
    for name in said_of(edge):
        yield name, str(getattr(edge, name))
    for name, one in edge.route.items():
        to = one.to if isinstance(one.to, str) else ", ".join(one.to)
        known = [f"as in {one.openapi}"] if one.openapi else [" ".join(one.methods)] if one.methods else []
        who = [*(["signed in"] if one.needs == "signed in" else []), *one.scopes, *one.roles]
        rates = [said if isinstance(said, str) else f"{said.limit} for each {said.per}" for said in one.rates]
        yield f"route.{name}", "; ".join((f"{one.path} to {to}", *known, *who, *rates))


def mistakes(edge: Edge, url: str) -> Iterator[tuple[str, str, str]]:
    """Which key is wrong, what of it, and the remedy. `url` is what the app is reached by, where somebody says it."""
    kind, _, said = edge.run.partition(":")
    if edge.run and (kind != "envoy" or ":" not in edge.run):
        yield "run", f"{edge.run!r} is no edge.", 'Write run = "envoy:", or where it is: "envoy:/usr/bin/envoy".'
    elif said and not os.access(said, os.X_OK):
        yield "run", f"{said} is no program.", 'Say where Envoy is, or take that of the wheel: run = "envoy:".'
    if bool(edge.certificate) != bool(edge.key):
        yield "certificate", "a certificate and its key are said together.", "Say both, certificate and key."
    for name, file in (("certificate", edge.certificate), ("key", edge.key)):
        if file and not os.access(file, os.R_OK):
            yield name, f"{file} cannot be read.", "Name a PEM file that this user may read."
    if edge.http3 and not edge.certificate:
        yield "http3", "HTTP/3 is spoken with TLS only.", "Say certificate and key, or leave out http3."
    if edge.certificate and not url.startswith("https://"):
        what, remedy = "it speaks TLS, and nobody says under what name.", 'Say url = "https://..." in enfilade.toml.'
        yield "certificate", what, remedy
    if edge.log not in ("", "stdout") and not Path(edge.log).parent.is_dir():
        yield "log", f"{edge.log} is in no folder.", 'Make its folder, or say log = "stdout".'
