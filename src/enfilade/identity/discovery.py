"""Where an issuer keeps its keys, as it says itself (OpenID Connect Discovery 1.0, section 4; RFC 8414, section 3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from enfilade.identity.issuer import safe

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Gives the body behind an address, or raises whatever went wrong. Where it may go is its own affair."""


class _Metadata(msgspec.Struct):
    issuer: str
    jwks_uri: str


def addresses(url: str) -> tuple[str, str]:
    """Where an issuer may describe itself: OpenID Connect puts the well-known part behind its path, OAuth before it."""
    parts, path = urlsplit(url), urlsplit(url).path.rstrip("/")
    here = f"{parts.scheme}://{parts.netloc}"
    return f"{here}{path}/.well-known/openid-configuration", f"{here}/.well-known/oauth-authorization-server{path}"


async def discover(url: str, fetch: Fetch) -> str:
    """The address of the issuer's key set. Raises ValueError where what it says of itself cannot be taken, and what
    `fetch` does where neither address answers."""
    openid, oauth = addresses(url)
    try:
        body = await fetch(openid)
    except Exception:
        body = await fetch(oauth)
    said = msgspec.json.decode(body, type=_Metadata)
    if said.issuer != url:  # or one issuer's metadata would bring another's keys (RFC 8414, 3.3)
        raise ValueError(f"what stands there is of another issuer than {url}")
    if not safe(said.jwks_uri):
        raise ValueError("its jwks_uri is not https")
    return said.jwks_uri
