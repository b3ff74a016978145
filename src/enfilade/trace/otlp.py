"""Spans as OpenTelemetry writes them: OTLP in protobuf (opentelemetry.io/docs/specs/otlp, trace/v1/trace.proto).

The few messages are written by hand: a field is its number and wire type, then its value. Attributes repeat from span
to span, so their bytes are kept: a span costs a few microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from struct import Struct
from typing import Final

from enfilade.trace.span import Fact, Kind, Phase, Span

_KINDS: Final[dict[Kind, int]] = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_ERROR: Final = b"\x7a\x02\x18\x02"
"""Span.status (15) with code (3) ERROR (2)."""
_double = Struct("<d").pack
_times = Struct("<BQBQ").pack
_at = Struct("<BQ").pack


def encode_spans(spans: Iterable[Span], resource: Mapping[str, Fact]) -> bytes:
    """An ExportTraceServiceRequest. Each service is a resource of its own: `resource` and its `service.name`, where the
    span has a service; what `resource` says of `service.name` is then the namespace."""
    services: dict[str, list[bytes]] = {}
    for span in spans:
        services.setdefault(span.service, []).append(_field(0x12, _span(span)))
    app = resource.get("service.name", "")
    request: list[bytes] = []
    for service, encoded in services.items():
        facts: dict[str, Fact] = dict(resource)
        if service and service != app:
            facts |= {"service.name": service, "service.namespace": app}
        described = b"".join(_attribute(0x0A, name, value) for name, value in facts.items() if value != "")
        scope = _field(0x0A, _field(0x0A, b"enfilade"))
        request.append(_field(0x0A, _field(0x0A, described) + _field(0x12, scope + b"".join(encoded))))
    return b"".join(request)


def _span(span: Span) -> bytes:
    start = int(span.start * 1e9)
    out = b"\x0a\x10" + span.trace_id.to_bytes(16, "big") + b"\x12\x08" + span.span_id.to_bytes(8, "big")
    if span.parent_id:
        out += b"\x22\x08" + span.parent_id.to_bytes(8, "big")
    out += _head(span.name, span.kind) + _times(0x39, start, 0x41, start + int(span.duration * 1e9))
    for name, value in span.facts.items():
        out += _attribute(0x4A, name, value)
    if span.status and span.kind == "server":
        out += _attribute(0x4A, "http.response.status_code", span.status)
    if span.peer:
        out += _attribute(0x4A, "enfilade.peer", span.peer)
    for phase in span.phases:
        out += _phase(phase, start)
    if span.outcome != "ok":
        out += _attribute(0x4A, "enfilade.outcome", span.outcome)
        if span.status >= 500:
            out += _ERROR
    return out


@lru_cache(maxsize=4096)
def _head(name: str, kind: Kind) -> bytes:
    return _field(0x2A, _text(name)) + b"\x30" + _varint(_KINDS[kind])


def _phase(phase: Phase, start: int) -> bytes:
    """A phase is an event of the span, with its duration in seconds."""
    when = _at(0x09, start + int(phase.start * 1e9))
    return _field(0x5A, when + _field(0x12, _text(phase.name)) + _pair(0x1A, "duration", phase.duration))


def _pair(tag: int, name: str, value: Fact) -> bytes:
    return _field(tag, _field(0x0A, _text(name)) + _field(0x12, _value(value)))


_attribute = lru_cache(maxsize=8192, typed=True)(_pair)


def _value(value: Fact) -> bytes:
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return b"\x18" + _varint(value & (1 << 64) - 1)
    if isinstance(value, float):
        return b"\x21" + _double(value)
    return _field(0x0A, _text(str(value)))


def _text(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _field(tag: int, content: bytes) -> bytes:
    """A field whose value has a length; the tag is of one byte for every field that we write."""
    return bytes((tag,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
