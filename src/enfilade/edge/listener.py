"""The way of a request: what is taken off it, the filters that it passes, and the route that it is given.

taken off   header fields by which services know each other, before anything looks at them
cors        what pages of other origins may see
compressor  of answers that their service did not compress
tokens      verified, or 401
rbac        needs that a token answers, or 403
rates       or 429
buffer      a body is taken to its end before a service hears of it, or 413
router      the route table
"""

from __future__ import annotations

from typing import Final, Protocol

from enfilade.edge.answers import TRACE, answers
from enfilade.edge.logs import access_log, tracing
from enfilade.edge.model import Certificate, Edge, Json, Listen
from enfilade.edge.rates import RATES, limits
from enfilade.edge.table import table
from enfilade.edge.who import TOKENS, tokens

_OURS: Final = ("enfilade-", "x-enfilade-", "x-envoy-")
"""Beginnings of header fields that nobody outside may send."""
_NOT_THEIRS: Final = (
    "x-forwarded-client-cert",
    "connect-timeout-ms",
    "x-forwarded-host",
    "x-original-url",
    "forwarded",
)
_HEAD_KIB: Final = 64
"""KiB of address and header fields, as the services have it."""
_FIELDS: Final = 128
_HEAD_SECONDS: Final = "5s"
"""In which a head has to arrive."""
_SILENCE: Final = "65s"
"""Between two requests on a connection."""


class Sources(Protocol):
    """Says how what may change while Envoy runs is had: as a file that it watches, or in place."""

    def certificate(self, certificate: Certificate) -> Json: ...
    def routes(self, table: Json) -> Json: ...
    def filter(self, name: str, config: Json) -> Json: ...


def listeners(edge: Edge, sources: Sources) -> list[Json]:
    """A listener for each address, and one more where HTTP/3 is spoken."""
    made: list[Json] = []
    for listen in edge.listen:
        made.append(_listener(edge, listen, sources))
        if listen.http3:
            made.append(_quic(edge, listen, sources))
    return made


def _listener(edge: Edge, listen: Listen, sources: Sources) -> Json:
    chain: Json = {"filters": [_http(edge, listen, sources, "AUTO")]}
    if listen.certificate is not None:
        chain["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": _tls(listen.certificate, sources, ["h2", "http/1.1"]),
        }
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": f"{listen.host}:{listen.port}",
        "address": _address(listen, "TCP"),
        "per_connection_buffer_limit_bytes": 65536,
        "filter_chains": [chain],
    }


def _quic(edge: Edge, listen: Listen, sources: Sources) -> Json:
    assert listen.certificate is not None
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport"
    tls = _tls(listen.certificate, sources, [])
    socket = {
        "name": "envoy.transport_sockets.quic",
        "typed_config": {"@type": kind, "downstream_tls_context": {k: v for k, v in tls.items() if k != "@type"}},
    }
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": f"{listen.host}:{listen.port}/quic",
        "address": _address(listen, "UDP"),
        "udp_listener_config": {"quic_options": {}, "downstream_socket_config": {"prefer_gro": True}},
        "filter_chains": [{"filters": [_http(edge, listen, sources, "HTTP3")], "transport_socket": socket}],
    }


def _address(listen: Listen, protocol: str) -> Json:
    return {"socket_address": {"protocol": protocol, "address": listen.host, "port_value": listen.port}}


def _tls(certificate: Certificate, sources: Sources, protocols: list[str]) -> Json:
    common: Json = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        **sources.certificate(certificate),
        **({"alpn_protocols": protocols} if protocols else {}),
    }
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    return {"@type": kind, "common_tls_context": common}


def _http(edge: Edge, listen: Listen, sources: Sources, codec: str) -> Json:
    manager: Json = {
        "@type": "type.googleapis.com/"
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "codec_type": codec,
        **sources.routes(table(edge)),
        "http_filters": _filters(edge, sources),
        "access_log": access_log(edge),
        "tracing": tracing(edge),
        "local_reply_config": answers(edge),
        "generate_request_id": bool(edge.otlp),  # without which no span is sent, whatever the sampler says
        "use_remote_address": True,
        "xff_num_trusted_hops": edge.hops,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "server_header_transformation": "PASS_THROUGH",
        "early_header_mutation_extensions": [_taken_off()],
        "max_request_headers_kb": _HEAD_KIB,
        "request_headers_timeout": _HEAD_SECONDS,
        "stream_idle_timeout": "60s",
        "common_http_protocol_options": {
            "idle_timeout": _SILENCE,
            "max_headers_count": _FIELDS,
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
        **({"http3_protocol_options": {}} if codec == "HTTP3" else {}),
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _taken_off() -> Json:
    kind = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    matched = [{"remove_on_match": {"key_matcher": {"prefix": prefix}}} for prefix in _OURS]
    named = [{"remove": name} for name in _NOT_THEIRS]
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {"@type": kind, "mutations": [*matched, *named]},
    }


def _filters(edge: Edge, sources: Sources) -> list[Json]:
    filters = [_filter("cors.v3.Cors")] if edge.cors is not None else []
    filters.append(_mutation("request_mutations", TRACE, "%TRACE_ID%"))
    filters.append(_compressor())
    filters.append(sources.filter(TOKENS, tokens(edge)))
    filters.append({**_filter("rbac.v3.RBAC"), "disabled": True})  # but for routes that ask
    filters.append({**sources.filter(RATES, limits(edge)), "disabled": True})
    filters.append(_filter("buffer.v3.Buffer", max_request_bytes=1 << 20))
    h3 = next((one for one in edge.listen if one.http3), None)
    if h3 is not None:
        filters.append(_advertised(h3))
    filters.append(_filter("router.v3.Router", suppress_envoy_headers=True))
    return filters


def _filter(kind: str, **config: object) -> Json:
    return {
        "name": f"envoy.filters.http.{kind.partition('.')[0]}",
        "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.filters.http.{kind}", **config},
    }


def _compressor() -> Json:
    gzip = "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"
    said = ["application/json", "application/problem+json", "text/html", "text/css", "text/javascript"]
    return _filter(
        "compressor.v3.Compressor",
        response_direction_config={
            "common_config": {"min_content_length": 1024, "content_type_matcher": [{"prefix": one} for one in said]},
            "disable_on_etag_header": True,  # another body would need another tag
        },
        compressor_library={"name": "gzip", "typed_config": {"@type": gzip}},
    )


def _advertised(listen: Listen) -> Json:
    """Tells clients that HTTP/3 is spoken (RFC 7838)."""
    made = _mutation("response_mutations", "alt-svc", f'h3=":{listen.port}"; ma=86400')
    return {**made, "name": "envoy.filters.http.header_mutation.h3"}


def _mutation(of: str, name: str, value: str) -> Json:
    """Sets a header field."""
    said = {"append": {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    return _filter("header_mutation.v3.HeaderMutation", mutations={of: [said]})
