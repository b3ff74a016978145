"""Who calls, in whose trace, under which key, for how long: fields of a request between processes, and back.

`traceparent` and `tracestate` are W3C's, `connect-timeout-ms` is Connect's, `idempotency-key` the IETF draft's;
`enfilade-caller` is the person as JSON, `enfilade-peer` and `enfilade-tenant` (where that is not the person's own) are
percent-encoded text, `enfilade-rehearsal` says that the call is only tried, `enfilade-spend` what is counted of what it
spends.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from enfilade.call import Call, Principal
from enfilade.contract.codec import codec
from enfilade.endpoint.rpc.back import ASKED, Spent
from enfilade.endpoint.site import Site
from enfilade.errors import FieldError, Invalid
from enfilade.trace.context import format_traceparent

CONTRACT: Final = b"enfilade-contract"
"""The fingerprint of the operation that the caller means; another one is not called."""

_KEPT: Final = 1024
"""Callers whose written form is remembered."""
_LONGEST: Final = 9_999_999_999
"""Milliseconds: Connect has ten digits. What has more time says nothing of it."""
_PLAIN: Final = "!#$&'()*+,/:;=?@[]^`{|}~ "

_principal = codec(Principal, unknown="ignore")
_written: dict[int, tuple[Principal, bytes]] = {}
_read: dict[bytes, Principal] = {}


def write_context(call: Call) -> bytes:
    """The lines that carry a call's context, each with its end."""
    lines: list[bytes] = []
    if call.trace_id and call.span_id:
        # The flag is for others: each of our processes decides by the id whether it records.
        lines.append(b"traceparent: %b\r\n" % format_traceparent(call.trace_id, call.span_id, True).encode())
        if call.trace_state:
            lines.append(b"tracestate: %b\r\n" % call.trace_state.encode("latin-1"))
    left = (call.deadline - call.clock.monotonic()) * 1000
    if left <= _LONGEST:
        lines.append(b"connect-timeout-ms: %d\r\n" % max(left, 1))
    if call.peer:
        lines.append(_peer(call.peer))
    caller, own = call.caller, ""
    if caller is not None:
        own = caller.tenant
        lines.append(_caller(caller))
    if call.tenant != own:
        lines.append(b"enfilade-tenant: %b\r\n" % _text(call.tenant))
    if call.key:
        lines.append(b"idempotency-key: %b\r\n" % _text(call.key))
    if call.tab is not None and (units := call.tab.units):
        lines.append(b"enfilade-spend: %b\r\n" % " ".join(sorted(units)).encode("latin-1"))
    if call.rehearsal:
        lines.append(b"enfilade-rehearsal: 1\r\n")
    return b"".join(lines)


def read_context(fields: dict[bytes, bytes], call: Call, site: Site) -> None:
    """Give a call the context that its request carries. Raises Invalid where a field is none of ours."""
    get = fields.get
    if (said := get(b"traceparent")) is not None:
        site.recorder.attach(call, said.decode("latin-1"), get(b"tracestate", b"").decode("latin-1"))
    if (said := get(b"connect-timeout-ms")) is not None:
        if not said.isdigit() or len(said) > 10:
            raise _wrong("Connect-Timeout-Ms", "Expected up to ten digits.")
        call.deadline = min(call.deadline, call.clock.monotonic() + int(said) / 1000)
    if (said := get(b"enfilade-peer")) is not None:
        call.peer = _plain(said)
    if (said := get(b"enfilade-caller")) is not None:
        call.caller = caller = _read.get(said) or _principal_of(said)
        call.tenant = caller.tenant
    if (said := get(b"enfilade-tenant")) is not None:
        call.tenant = _plain(said)
    if (said := get(b"idempotency-key")) is not None and call.operation.kind == "command":
        call.key = _plain(said.strip(b'"'))
    if (said := get(ASKED)) is not None:
        call.tab = Spent(said.decode("latin-1").split())
    if get(b"enfilade-rehearsal") is not None:
        call.rehearsal = True


def _caller(caller: Principal) -> bytes:
    known = _written.get(id(caller))
    if known is not None and known[0] is caller:
        return known[1]
    data = _principal.encode(caller)
    if not data.isascii() or b"\x7f" in data:
        data = json.dumps(msgspec.json.decode(data)).replace("\x7f", "\\u007f").encode()
    line = b"enfilade-caller: %b\r\n" % data
    if len(_written) >= _KEPT:
        _written.clear()
    _written[id(caller)] = caller, line
    return line


def _principal_of(said: bytes) -> Principal:
    try:
        found = _principal.decode(said)
    except Exception as wrong:
        raise _wrong("Enfilade-Caller", "Expected a caller as JSON.") from wrong
    if len(_read) >= _KEPT:
        _read.clear()
    _read[said] = found
    return found


@lru_cache(_KEPT)
def _peer(name: str) -> bytes:
    return b"enfilade-peer: %b\r\n" % _text(name)


def _text(text: str) -> bytes:
    if text.isascii() and text.isprintable() and "%" not in text and '"' not in text and text == text.strip():
        return text.encode()
    return quote(text, safe=_PLAIN.strip()).encode()


def _plain(said: bytes) -> str:
    if b"%" not in said:
        return said.decode("latin-1")
    try:
        return unquote_to_bytes(said).decode()
    except UnicodeDecodeError as wrong:
        raise _wrong("Enfilade-Tenant", "Expected percent-encoded text.") from wrong


def _wrong(parameter: str, detail: str) -> Invalid:
    return Invalid(errors=(FieldError(pointer="", parameter=parameter, detail=detail),))
