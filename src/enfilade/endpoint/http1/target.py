"""The target of a request (RFC 9112, 3.2): origin, absolute, authority or asterisk form, as a path."""

from __future__ import annotations

import re

from enfilade.errors import Malformed

_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(/[^?#]*)?(?:\?([^#]*))?", re.IGNORECASE)


def target(method: str, url: bytes, fields: dict[bytes, bytes]) -> tuple[str, bytes]:
    """The path and the query, as on the wire; an absolute form's host takes the place of the `Host` field.

    Raises Malformed.
    """
    if url.startswith(b"/") and b"#" not in url:
        path, _, query = url.partition(b"?")
        return path.decode("latin-1"), query
    absolute = _ABSOLUTE.fullmatch(url)
    if absolute is not None:
        fields[b"host"] = absolute[1]
        return (absolute[2] or b"/").decode("latin-1"), absolute[3] or b""
    if method == "CONNECT" or (method == "OPTIONS" and url == b"*"):
        return url.decode("latin-1"), b""
    raise Malformed(detail="The first line does not say what is asked for as RFC 9112 has it.")
