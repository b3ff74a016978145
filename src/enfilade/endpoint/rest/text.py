"""Texts of a request's head: percent-encoded parts, lists, quoted strings. Decoded once, strictly, or refused."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from enfilade.errors import Malformed

KEY = "^[!-~]{1,255}$"
_KEY = re.compile(KEY)
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENTITY_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|\Z)')
_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*')

PAIRS = 1000
"""Parameters that a query may have; more is an attack, not a request."""


def decoded(text: str, *, form: bool = False) -> str:
    """Percent-decoded once as UTF-8; in a query (`form`) a plus is a space. Raises Malformed."""
    if "%" not in text and (not form or "+" not in text) and text.isascii():
        return text
    if not text.isascii() or _BROKEN.search(text):
        raise Malformed(detail="The address is not percent-encoded as it should be.")
    try:
        return unquote_to_bytes(text.replace("+", " ") if form else text).decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(detail="The address is not UTF-8.") from None


def pairs(query: bytes) -> dict[str, list[str]]:
    """The values of each name in a query, in their order. Raises Malformed."""
    found: dict[str, list[str]] = {}
    parts = query.decode("latin-1").split("&")
    if len(parts) > PAIRS:
        raise Malformed(detail=f"A query has {PAIRS} parameters at most.")
    for part in parts:
        if part:
            name, _, value = part.partition("=")
            found.setdefault(decoded(name, form=True), []).append(decoded(value, form=True))
    return found


def entity_tags(text: str) -> list[tuple[bool, str]] | None:
    """The entity tags of an If-Match or If-None-Match field as (weak, opaque); None where it is not a list of them."""
    found: list[tuple[bool, str]] = []
    at = 0
    while at < len(text):
        match = _ENTITY_TAG.match(text, at)
        if match is None:
            return None
        found.append((match[1] is not None, match[2]))
        at = match.end()
    return found or None


def parameters(text: str) -> tuple[str, dict[str, str]]:
    """A field value with parameters: `form-data; name="a"` as ("form-data", {"name": "a"}), names in lower case."""
    value, mark, rest = text.partition(";")
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(mark + rest):
        found.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
    return value.strip().lower(), found


def idempotency_key(value: bytes) -> str:
    """The `Idempotency-Key` field: a quoted string as its standard says, or the bare text that many send."""
    text = value.decode("latin-1").strip()
    if not _KEY.fullmatch(text):
        raise Malformed(detail="Idempotency-Key is 1 to 255 printable characters without spaces.")
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] == '"' else text
