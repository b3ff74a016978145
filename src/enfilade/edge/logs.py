"""What the edge tells: a line for each request, spans, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from enfilade.edge.answers import ABOUT
from enfilade.edge.clusters import OTLP
from enfilade.edge.model import Edge, Json
from enfilade.edge.who import CALLER

_LINE: Final = {
    "at": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "operation": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ)%",
    "status": "%RESPONSE_CODE%",
    "why": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "milliseconds": "%DURATION%",
    "received": "%BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
    "address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "protocol": "%PROTOCOL%",
    "upstream": "%UPSTREAM_CLUSTER%",
    "host": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "trace_id": "%TRACE_ID%",
    "caller": f"%REQ({CALLER})%",
}
"""Nothing of a query, a body, a token or a cookie: what a caller sends is his."""

_NUMBERS: Final = (
    {"prefix": "http.edge.downstream_rq_"},
    {"prefix": "http.edge.downstream_cx_"},
    {"prefix": "http.edge.jwt_authn"},
    {"prefix": "http.edge.rbac"},
    {"prefix": "http.edge.rds."},
    {"prefix": "rates.http_local_rate_limit."},
    {"prefix": "server."},
    {"contains": "update_rejected"},
    {"contains": "update_success"},
    {"contains": "version_text"},
    {"contains": "upstream_rq_"},
    {"contains": "membership_"},
    {"contains": "outlier_detection.ejections_active"},
    {"prefix": "listener_manager."},
    {"contains": "extension_config_discovery"},
)
"""A tenth of what there is, which is what somebody would look at."""


def access_log(edge: Edge) -> list[Json]:
    """A line for each request: into a file or a stream, and to the collector."""
    kind = "type.googleapis.com/envoy.extensions.access_loggers"
    form = {"log_format": {"json_format": _LINE, "omit_empty_values": True}}
    found: list[Json] = []
    if edge.log == "stdout":
        stream = {"@type": f"{kind}.stream.v3.StdoutAccessLog", **form}
        found.append({"name": "envoy.access_loggers.stdout", "typed_config": stream})
    elif edge.log is not None:
        file = {"@type": f"{kind}.file.v3.FileAccessLog", "path": str(edge.log), **form}
        found.append({"name": "envoy.access_loggers.file", "typed_config": file})
    if edge.otlp and edge.otlp_log:
        sent = {
            "@type": f"{kind}.open_telemetry.v3.OpenTelemetryAccessLogConfig",
            "log_name": f"{edge.name}-edge",
            "http_service": _sent(edge, "logs"),
            "disable_builtin_labels": True,
            "resource_attributes": _attributes({"service.name": f"{edge.name}-edge"}),
            "body": {"string_value": "%REQ(:METHOD)% %PATH(NQ)% %RESPONSE_CODE%"},
            "attributes": _attributes(_LINE),
        }
        found.append({"name": "envoy.access_loggers.open_telemetry", "typed_config": sent})
    return found


def _attributes(said: Mapping[str, str]) -> Json:
    return {"values": [{"key": key, "value": {"string_value": value}} for key, value in said.items()]}


def _sent(edge: Edge, what: str) -> Json:
    """How the collector is told (OTLP over HTTP)."""
    return {"http_uri": {"uri": f"{collector(edge)}/v1/{what}", "cluster": OTLP, "timeout": "2s"}}


def tracing(edge: Edge) -> Json:
    """A trace for each request, the caller's own where he says one (W3C Trace Context): refusals and the log name it.

    Which spans are sent is decided here by the trace's id, and never by who calls.
    """
    ratio = "type.googleapis.com/envoy.extensions.tracers.opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig"
    part = {"numerator": round(edge.sample * 1_000_000) if edge.otlp else 0, "denominator": "MILLION"}
    config: Json = {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        "service_name": f"{edge.name}-edge",
        "sampler": {
            "name": "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
            "typed_config": {"@type": ratio, "sampling_percentage": part},
        },
        "http_service": _sent(edge, "traces"),
    }
    return {
        "max_path_tag_length": 256,
        "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": config},
        "custom_tags": [
            {"tag": "enfilade.operation", "metadata": {"kind": {"route": {}}, "metadata_key": _operation()}},
        ],
    }


def _operation() -> Json:
    return {"key": ABOUT, "path": [{"key": "operation"}]}


def numbers() -> Json:
    """Which numbers are kept at all."""
    return {"stats_matcher": {"inclusion_list": {"patterns": list(_NUMBERS)}}}


def collector(edge: Edge) -> str:
    """Where spans go; an address of nobody where none are sent, for there is no trace without it."""
    return edge.otlp.rstrip("/") or "http://127.0.0.1:9"
