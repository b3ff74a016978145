"""W3C Trace Context: how a trace crosses from one process to the next (www.w3.org/TR/trace-context-2).

Ids are numbers in the process and lower-case hexadecimal on the wire.
"""

from __future__ import annotations

import re

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KEY = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_MEMBER = re.compile(rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_MEMBERS = 32
"""The most members that a tracestate may have (3.3.1.1)."""
_LENGTH = 512
"""Characters of tracestate that we hand on; the standard asks for no more (3.3.1.5)."""


def parse_traceparent(text: str) -> tuple[int, int]:
    """(trace id, span id) of a `traceparent` field; (0, 0), which starts a new trace, where it is not one.

    The flags are not kept: whether a trace is recorded here is decided here, by its id, and never by who calls.
    """
    match = _TRACEPARENT.fullmatch(text.strip(" \t"))
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5] is not None):
        return 0, 0
    trace_id, span_id = int(match[2], 16), int(match[3], 16)
    return (trace_id, span_id) if trace_id and span_id else (0, 0)


def format_traceparent(trace_id: int, span_id: int, sampled: bool) -> str:
    return f"00-{trace_id:032x}-{span_id:016x}-{'01' if sampled else '00'}"


def parse_tracestate(text: str) -> str:
    """The other vendors' part of the context, to be handed on as it is; `""` where it is not well formed."""
    members = [member for member in (part.strip(" \t") for part in text.split(",")) if member]
    if len(members) > _MEMBERS:
        return ""
    keys: set[str] = set()
    for member in members:
        match = _MEMBER.fullmatch(member)
        if match is None or match[1] in keys:
            return ""
        keys.add(match[1])
    while sum(map(len, members)) + len(members) - 1 > _LENGTH:
        members.pop()
    return ",".join(members)


def trace_hex(trace_id: int) -> str:
    """A trace id as it is written everywhere outside: 32 digits."""
    return f"{trace_id:032x}"


def span_hex(span_id: int) -> str:
    """A span id as it is written everywhere outside: 16 digits, `""` for none."""
    return f"{span_id:016x}" if span_id else ""
