"""An edge as Envoy's configuration: files that it watches, or one configuration that can be checked beforehand.

bootstrap.json    where the files are, and the socket that the edge is asked on
certificate-<...>.json    a certificate with its key, in one piece: two files would be read at two moments
clusters.json     where services are
<filter>.json     keys and limits
routes.json       the route table
listeners.json    ports
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from enfilade.edge.clusters import OTLP, cluster, fetching, jwks_cluster
from enfilade.edge.listener import listeners
from enfilade.edge.logs import collector, numbers
from enfilade.edge.model import Certificate, Edge, Json
from enfilade.edge.table import NAME
from enfilade.edge.who import fetched

CLUSTERS: Final = "clusters.json"
ROUTES: Final = "routes.json"
LISTENERS: Final = "listeners.json"
BOOTSTRAP: Final = "bootstrap.json"
ADMIN: Final = "admin.sock"

_PAIR: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
_EXTENSION: Final = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"


class Files:
    """What Envoy watches, in the order in which it has to be written: nothing speaks of what is not there yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._secrets: dict[str, Json] = {}
        self._filters: dict[str, Json] = {}
        self._routes: Json = {}

    def certificate(self, certificate: Certificate) -> Json:
        name = f"certificate-{hashlib.sha256(str(certificate.chain).encode()).hexdigest()[:12]}"
        self._secrets[name] = {"@type": _PAIR, "name": name, "tls_certificate": _pem(certificate)}
        return {"tls_certificate_sds_secret_configs": [{"name": name, "sds_config": self._source(f"{name}.json")}]}

    def routes(self, table: Json) -> Json:
        self._routes = table
        return {"rds": {"route_config_name": NAME, "config_source": self._source(ROUTES)}}

    def filter(self, name: str, config: Json) -> Json:
        self._filters[name] = {"@type": _EXTENSION, "name": name, "typed_config": config}
        found = {"config_source": self._source(f"{name}.json"), "type_urls": [config["@type"]]}
        return {"name": name, "config_discovery": found}

    def of(self, edge: Edge) -> dict[str, bytes]:
        """The files by their names."""
        ports = listeners(edge, self)
        processes = clusters(edge, self)
        found: dict[str, bytes] = {}
        for name, each in self._secrets.items():
            found[f"{name}.json"] = _resources([each])
        found[CLUSTERS] = _resources(processes)
        for name, each in self._filters.items():
            found[f"{name}.json"] = _resources([each])
        found[ROUTES] = _resources([self._routes])
        found[LISTENERS] = _resources(ports)
        dynamic = {"lds_config": self._source(LISTENERS), "cds_config": self._source(CLUSTERS)}
        admin = {"address": {"pipe": {"path": str(self._folder / ADMIN), "mode": 0o600}}}
        found[BOOTSTRAP] = _json({**_common(edge), "admin": admin, "dynamic_resources": dynamic})
        return found

    def _source(self, name: str) -> Json:
        return {"path_config_source": {"path": str(self._folder / name)}, "resource_api_version": "V3"}


class _Inline:
    """The same in one piece."""

    def certificate(self, certificate: Certificate) -> Json:
        return {"tls_certificates": [_pem(certificate)]}

    def routes(self, table: Json) -> Json:
        return {"route_config": _untyped(table)}

    def filter(self, name: str, config: Json) -> Json:
        return {"name": name, "typed_config": config}


def render(edge: Edge, folder: Path) -> dict[str, bytes]:
    """The files of an Envoy that works in this folder, in the order in which they are to be written."""
    return Files(folder.resolve()).of(edge)


def whole(edge: Edge) -> bytes:
    """All of it as one configuration, for `envoy --mode validate`, which looks into no files."""
    inline = _Inline()
    static = {
        "listeners": [_untyped(one) for one in listeners(edge, inline)],
        "clusters": [_untyped(one) for one in clusters(edge, inline)],
    }
    return _json({**_common(edge), "static_resources": static})


def clusters(edge: Edge, secrets: Files | _Inline) -> list[Json]:
    """Where services are, and whom the edge itself asks."""
    made = [cluster(one, secrets) for one in edge.upstreams]
    asked = {jwks_cluster(url, edge): url for url in fetched(edge)} | {OTLP: collector(edge)}
    return made + [fetching(name, url, secrets) for name, url in asked.items()]


def version(resources: bytes) -> str:
    """What a file says of itself: equal contents have equal versions."""
    return str(msgspec.json.decode(resources, type=_Version).version_info)


class _Version(msgspec.Struct):
    version_info: str


def _common(edge: Edge) -> Json:
    most = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    config = {"@type": f"type.googleapis.com/{most}", "max_active_downstream_connections": edge.connections}
    monitor = {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": config}
    return {
        "node": {"id": f"{edge.name}-edge", "cluster": edge.name},
        "stats_config": numbers(),
        "overload_manager": {"resource_monitors": [monitor]},
    }


def _resources(resources: list[Json]) -> bytes:
    mark = hashlib.sha256(_json({"resources": resources})).hexdigest()[:16]
    return _json({"version_info": mark, "resources": resources})


def _pem(certificate: Certificate) -> Json:
    return {
        "certificate_chain": {"inline_string": certificate.chain.read_text("ascii")},
        "private_key": {"inline_string": certificate.key.read_text("ascii")},
    }


def _untyped(resource: Json) -> Json:
    return {key: value for key, value in resource.items() if key != "@type"}


def _json(value: Mapping[str, object]) -> bytes:
    return msgspec.json.encode(value)


def union(before: bytes, after: bytes) -> bytes:
    """A file with the resources of both, those of `after` where both have one of a name."""
    found = {one["name"]: one for content in (before, after) for one in msgspec.json.decode(content)["resources"]}
    return _resources(list(found.values()))
