"""What an edge is, in our words: values that `render` makes Envoy's configuration of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from enfilade.contract.limit import Rate
from enfilade.contract.need import Need, anyone
from enfilade.errors import Finding, StartError
from enfilade.identity import Issuer

Json: TypeAlias = dict[str, Any]
"""A message of Envoy's API as JSON has it."""


class Origins(Protocol):
    """Which pages of other origins may call; `enfilade.endpoint.Cors` is one."""

    @property
    def origins(self) -> tuple[str, ...]: ...
    @property
    def credentials(self) -> bool: ...
    @property
    def max_age(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate with its chain and its private key, as PEM files."""

    chain: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class Listen:
    """An address that the edge listens on. With a certificate it speaks TLS, and HTTP/2 beside HTTP/1.1."""

    port: int
    host: str = "127.0.0.1"
    certificate: Certificate | None = None
    http3: bool = False
    """HTTP/3 on the UDP port of the same number; with a certificate only."""


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """Processes that all serve the same: one of them answers each request."""

    name: str
    at: tuple[str, ...]
    """Where they listen: `unix:/run/orders.sock`, `10.0.0.2:8080`, or a URL such as `https://psp.example`."""
    foreign: bool = False
    """Not of the platform: it never sees tokens or cookies, and is asked for by its own host name."""
    requests: int = 1024
    """Requests that may be under way to it at once; more are 503."""
    probe: str = "/readyz"
    """What is asked every second of each of several processes; one that fails gets no requests. Of a single one
    at a Unix socket any answer will do, for it shows that it does not hang. `""` asks nothing."""
    certificate: Certificate | None = None
    """Whom the edge is, to an upstream that asks (mutual TLS)."""
    ca: Path | None = None
    """Whose certificates are believed where TLS is spoken; by default those of the system."""
    san: str = ""
    """The URI that its certificate must name, such as `spiffe://shop/orders`; by default the host of the URL."""

    @property
    def alone(self) -> bool:
        """Whether it is a process of ours with no other to ask instead: it is waited for while it starts again."""
        return len(self.at) == 1 and self.at[0].startswith("unix:") and self.probe != ""


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of the requests of a route, in proportion to the weights of the others."""

    upstream: str
    weight: int = 1


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Where requests with this header field go, whatever the shares say."""

    upstream: str
    header: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """An upstream that is sent a copy of requests; what it answers is thrown away."""

    upstream: str
    percent: float = 100.0
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    """Header fields that only the copy has."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """An address and what the edge knows about it. `routes` makes those of a contract."""

    id: str
    """What logs, spans and refusals call it: `orders.place`."""
    path: str
    """`/orders/{id}`; a placeholder is one segment."""
    to: tuple[Share, ...]
    methods: tuple[str, ...] = ()
    """`GET` includes `HEAD`; none means every method."""
    below: bool = False
    """Whether everything below the path is meant as well."""
    need: Need | None = anyone
    """Who may call. None leaves tokens alone: they are somebody else's, or none."""
    rates: tuple[Rate, ...] = ()
    service: str = ""
    """Whose named rates are shared."""
    body: int = 0
    """Bytes that a body may have, which is then read here to its end before it goes on; 0 passes it on as it comes."""
    timeout: float = 10.0
    """Seconds for an answer; of a stream, till its first item."""
    idle: float = 0.0
    """A stream: seconds between two pieces of it. 0 is no stream."""
    lasting: float = 0.0
    """Seconds that a stream may last; 0 is without end."""
    repeatable: bool = False
    """Whether it may be asked again when an answer fails to come."""
    variants: tuple[Variant, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    sticky: bool = False
    """Whether a caller stays with the share that he was given."""
    rewrite: str = ""
    """What takes the place of `base` on the way to the upstream, such as `/old`; `/` takes it away."""
    base: str = ""
    """The beginning of `path` that `rewrite` replaces; by default all of it, with `below` only."""
    upgrade: bool = False
    """Whether a connection may become a websocket."""
    rest: bool = True
    """Whether the edge knows what pages of other origins, `OPTIONS` and unknown methods are answered; or else only who
    answers does."""

    @property
    def upstreams(self) -> set[str]:
        return {one.upstream for one in (*self.to, *self.variants, *self.mirrors)}


@dataclass(frozen=True, kw_only=True)
class Edge:
    """Everything that one Envoy does. Raises StartError with all mistakes."""

    name: str
    """The app's: the realm of challenges, the service of spans."""
    listen: tuple[Listen, ...]
    upstreams: tuple[Upstream, ...]
    routes: tuple[Route, ...]
    issuers: tuple[Issuer, ...] = ()
    others: bool = False
    """Whether callers may be known by something else than a bearer token: API keys, cookies, resolvers of the app."""
    cors: Origins | None = None
    cors_headers: tuple[str, ...] = ()
    """Header fields that contracts declare, beside those that every API takes."""
    scheme: str = "Bearer"
    """What challenges ask for."""
    resource: str = ""
    """The path of the protected resource metadata (RFC 9728), told in challenges; `""` tells none."""
    keys: Mapping[str, str] = field(default_factory=dict[str, str])
    """By the URL of an issuer's keys: the upstream that has them, where it is one of ours."""
    url: str = ""
    """What the edge is reached by from outside; by default what each request was sent to."""
    gateways: int = 1
    """How many edges share the load: each lets an equal part of a rate through."""
    hops: int = 0
    """Proxies before the edge whose `X-Forwarded-For` is believed."""
    connections: int = 10_000
    """Connections that are served at once."""
    log: Path | Literal["stdout"] | None = None
    """Where the access log is written, a JSON object a line; None writes none."""
    otlp: str = ""
    """Base URL of an OpenTelemetry collector for the edge's spans; `""` makes none, and passes traces on."""
    otlp_log: bool = False
    """Whether the collector is sent the access log, too."""
    sample: float = 0.01
    """Part of the traces that begin here which is kept, 0 to 1."""

    def __post_init__(self) -> None:
        if found := list(_mistakes(self)):
            raise StartError(found)

    @property
    def checked(self) -> tuple[Issuer, ...]:
        """The issuers whose tokens Envoy can check."""
        return tuple(filter(checkable, self.issuers))

    @property
    def verified(self) -> bool:
        """Whether a bad token can be told from a good one here: the keys of all issuers can be had by Envoy."""
        return bool(self.issuers) and all(map(checkable, self.issuers))


def checkable(issuer: Issuer) -> bool:
    """Whether Envoy can check this issuer's tokens: it asks nobody where keys are, and knows no `alg` of Ed25519."""
    return bool(issuer.jwks_url or issuer.jwks_file or issuer.keys) and "Ed25519" not in issuer.algorithms


def key_of(issuer: Issuer) -> str:
    """What the edge calls an issuer: the same, whatever others there are."""
    return hashlib.sha256(issuer.url.encode()).hexdigest()[:12]


def _mistakes(edge: Edge) -> Iterable[Finding]:
    known = [one.name for one in edge.upstreams]
    for name in sorted({name for name in known if known.count(name) > 1}):
        yield Finding(name, "two upstreams have this name.", "Rename one of them.", "edge-upstream")
    for upstream in edge.upstreams:
        if not upstream.at:
            yield Finding(upstream.name, "it is said to be nowhere.", "Say where it listens in at=.", "edge-upstream")
    for route in edge.routes:
        yield from _lost(route, known)
    for url, name in edge.keys.items():
        if name not in known:
            what, remedy = f"its keys are said to be at {name}, which is no upstream of this edge.", "Add it."
            yield Finding(url, what, remedy, "edge-upstream")
    for listen in edge.listen:
        if listen.http3 and listen.certificate is None:
            what, remedy = "HTTP/3 is spoken with TLS only.", "Say certificate=, or leave out http3."
            yield Finding(f"{listen.host}:{listen.port}", what, remedy, "edge-listen")


def _lost(route: Route, known: Iterable[str]) -> Iterable[Finding]:
    """What keeps a route from leading anywhere."""
    if missing := sorted(route.upstreams - set(known)):
        what = f"it leads to {', '.join(missing)}, which is no upstream of this edge."
        yield Finding(route.id, what, "Add it to upstreams=, or correct the name.", "edge-route")
    if sum(one.weight for one in route.to) < 1 or any(one.weight < 0 for one in route.to):
        yield Finding(route.id, "its shares have no weight.", "Give one of them weight=1.", "edge-route")
