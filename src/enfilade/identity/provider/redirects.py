"""Where a browser may be sent: exactly what was registered, but for the port of a loopback address (RFC 8252, 7.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit

_LOOPBACK: Final = ("127.0.0.1", "::1")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9][a-z0-9+-]*)+")
"""A private-use scheme has the name of a domain in it, turned around (RFC 8252, 7.1)."""
_NAME: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_LOCAL: Final = re.compile(r"http://(127\.0\.0\.1|\[::1\])(?::[1-9]\d{0,4})?((?:/[!-~]*)?)")
"""A loopback address, its port left out."""
_PLAIN: Final = re.compile(r"[!-~]+")


def wrong(uri: str) -> str:
    """Why an address cannot be registered; empty where it can."""
    parts = urlsplit(uri) if _PLAIN.fullmatch(uri) else None
    if parts is None or len(uri) > 2000 or any(one in uri for one in '*\\<>"`{}|^'):
        return "it is no address"
    if "#" in uri or "@" in parts.netloc:
        return "it has a fragment, or a name before the host"
    if any(one in parts.path.split("/") for one in (".", "..")):
        return "its path goes up"
    host = parts.hostname or ""
    if parts.scheme == "http":
        return "" if host in (*_LOOPBACK, "localhost") else "http is for loopback addresses only"
    if parts.scheme == "https":
        names = host.split(".")
        if host in (*_LOOPBACK, "localhost"):
            return ""
        if len(names) < 2 or not all(_NAME.fullmatch(one) for one in names) or names[-1].isdigit():
            return "its host is no full name of a domain"
        return ""
    if _SCHEME.fullmatch(parts.scheme):
        return ""
    return "it is neither https, nor a loopback address, nor a scheme such as com.example.app"


def registered(uri: str, known: Sequence[str]) -> bool:
    """Whether an address is one of these, to the letter."""
    return uri in known or any(_same_loopback(uri, one) for one in known)


def native(uri: str) -> bool:
    """Whether it is an app on the person's own device, which anybody may claim to be (RFC 8252, 8.6)."""
    return not uri.startswith("https://")


def extended(uri: str, **said: str) -> str:
    """The address with parameters added to its query."""
    more = urlencode({name: value for name, value in said.items() if value})
    return f"{uri}{'&' if '?' in uri else '?'}{more}"


def origin(uri: str) -> str:
    """The source that a page's policy (CSP) names it by."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def _same_loopback(uri: str, known: str) -> bool:
    one, other = _LOCAL.fullmatch(uri), _LOCAL.fullmatch(known)
    return one is not None and other is not None and one.groups() == other.groups()
