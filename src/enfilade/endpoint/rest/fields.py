"""Fields of answers: the ones that are made once, and the one safe way to make the others."""

from __future__ import annotations

from functools import cache
from typing import Final, TypeAlias

from enfilade.call import Call

Line: TypeAlias = tuple[bytes, bytes]

JSON: Final[Line] = (b"content-type", b"application/json")
PROBLEM: Final[Line] = (b"content-type", b"application/problem+json")
NOSNIFF: Final[Line] = (b"x-content-type-options", b"nosniff")
NO_STORE: Final[Line] = (b"cache-control", b"no-store")

TRACE: Final = b"trace-id"
"""The answer's trace, 32 hexadecimal digits: what `enfilade trace` and the logs know it by."""


def line(name: str, value: str) -> Line:
    """A field of any text: what could end it, or is no Latin letter, is left out."""
    if not (value.isascii() and value.isprintable()):
        value = "".join(letter for letter in value if " " <= letter <= "~")
    return _name(name), value.encode("ascii")


@cache
def _name(name: str) -> bytes:
    return name.lower().encode("ascii")


def call_lines(call: Call) -> list[Line]:
    """What every answer of a call has: its trace, where one is recorded, and what stations added."""
    lines = [(TRACE, b"%032x" % call.trace_id)] if call.trace_id else []
    if call.reply_fields:
        lines += [line(name, value) for name, value in call.reply_fields.items()]
    return lines
