"""Where services are reached: addresses, how much at once, which of several processes are fit to be asked."""

from __future__ import annotations

import ssl
from typing import Final, Protocol
from urllib.parse import urlsplit

from enfilade.edge.model import Certificate, Edge, Json, Upstream

OTLP: Final = "otlp"
"""The collector of spans."""
_IDLE: Final = "30s"
"""A connection is left before a service would leave it (65 s): a request never meets one that is just being closed."""


class Secrets(Protocol):
    """Says how a certificate is had."""

    def certificate(self, certificate: Certificate) -> Json: ...


def cluster(upstream: Upstream, secrets: Secrets) -> Json:
    """The processes of an upstream."""
    several = len(upstream.at) > 1
    made = _cluster(upstream.name, upstream.at)
    if urlsplit(upstream.at[0]).scheme == "https" or upstream.certificate is not None:
        made["transport_socket"] = _tls(upstream, secrets)
    many, repeats = upstream.requests, upstream.requests if upstream.alone else 3
    made["circuit_breakers"] = {
        "thresholds": [
            {
                "max_connections": many,
                "max_pending_requests": many,
                "max_requests": many,
                # Of all that is under way a fifth may be asked again, so that repeats never become the load; but for
                # one that is not there yet all may wait.
                "retry_budget": {"budget_percent": {"value": 20.0}, "min_retry_concurrency": repeats},
            }
        ]
    }
    if several:
        made["outlier_detection"] = _ejected()
        if upstream.probe:
            made["health_checks"] = [_probe(upstream)]
    elif upstream.alone:
        # Of one that hangs nothing more is asked, nor of one that does not come back.
        made["health_checks"] = [_pulse(upstream)]
        made["common_lb_config"] = {"healthy_panic_threshold": {"value": 0.0}}
    return made


def fetching(name: str, url: str, secrets: Secrets) -> Json:
    """A host that the edge itself asks: for keys, or to take its spans."""
    made = _cluster(name, (url,))
    if urlsplit(url).scheme == "https":
        made["transport_socket"] = _tls(Upstream(name=name, at=(url,)), secrets)
    return made


def jwks_cluster(url: str, edge: Edge) -> str:
    """The name of the host that keys are fetched from."""
    return edge.keys.get(url) or f"keys:{host_of(url)}"


def host_of(url: str) -> str:
    return urlsplit(url).netloc


def _cluster(name: str, at: tuple[str, ...]) -> Json:
    protocol = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    named = any("://" in one for one in at)
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STRICT_DNS" if named or any(map(_is_named, at)) else "STATIC",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": _endpoint(one)} for one in at]}],
        },
        "typed_extension_protocol_options": {
            protocol: {
                "@type": f"type.googleapis.com/{protocol}",
                "common_http_protocol_options": {"idle_timeout": _IDLE},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _endpoint(at: str) -> Json:
    if at.startswith("unix:"):
        return {"address": {"pipe": {"path": at.removeprefix("unix:")}}}
    parts = urlsplit(at if "://" in at else f"http://{at}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    endpoint: Json = {"address": {"socket_address": {"address": parts.hostname or "", "port_value": port}}}
    if "://" in at:
        endpoint["hostname"] = parts.netloc
    return endpoint


def _is_named(at: str) -> bool:
    host = urlsplit(f"http://{at}").hostname or ""
    return not at.startswith("unix:") and not (":" in host or host.replace(".", "").isdigit())


def _tls(upstream: Upstream, secrets: Secrets) -> Json:
    """TLS to an upstream, whose certificate is checked in any case."""
    host = urlsplit(upstream.at[0]).hostname or ""
    trusted = str(upstream.ca) if upstream.ca is not None else ssl.get_default_verify_paths().cafile or ""
    names = {"san_type": "URI", "matcher": {"exact": upstream.san}} if upstream.san else None
    common: Json = {
        "validation_context": {
            "trusted_ca": {"filename": trusted},
            "match_typed_subject_alt_names": [names or {"san_type": "DNS", "matcher": {"exact": host}}],
        }
    }
    if upstream.certificate is not None:
        common |= secrets.certificate(upstream.certificate)
    kind = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    config: Json = {"@type": f"type.googleapis.com/{kind}", "sni": host, "common_tls_context": common}
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def _ejected() -> Json:
    """A process that cannot be reached is left out for a while; one that answers is judged by its probe alone."""
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 3,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "interval": "1s",
        "base_ejection_time": "2s",
        "max_ejection_percent": 50,
    }


def _pulse(upstream: Upstream) -> Json:
    """Whether a process says anything at all, and be it that it is not ready. After the fifth silence in a row it is
    given up: where it hangs after five seconds, where it is gone after two, as between services."""
    return {
        "timeout": "0.5s",
        "interval": "0.5s",
        "no_traffic_interval": "0.5s",
        "unhealthy_threshold": 5,
        "healthy_threshold": 1,
        "http_health_check": {
            "path": upstream.probe,
            "host": upstream.name,
            "expected_statuses": [{"start": 100, "end": 600}],
        },
    }


def _probe(upstream: Upstream) -> Json:
    return {
        "timeout": "1s",
        "interval": "1s",
        "no_traffic_interval": "1s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "http_health_check": {"path": upstream.probe, "host": upstream.name},
    }
