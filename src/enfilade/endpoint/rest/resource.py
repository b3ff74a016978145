"""Where a client learns whom to ask for a token (RFC 9728): `/.well-known/oauth-protected-resource`, with the path of
the API behind it, and `resource_metadata` in each challenge, which points there."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from enfilade.contract.need import Scope, anyone, outside, parts
from enfilade.endpoint.http import Request
from enfilade.endpoint.site import Site

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
"""A `Host` field that can stand in an answer as it is."""


class Resource:
    """What one API says of itself, as something that tokens are for."""

    def __init__(self, site: Site, prefix: str) -> None:
        self.path = f"{WELL_KNOWN}{prefix}"
        self._url = site.url.rstrip("/")
        self._prefix = prefix
        self._advertised = bool(site.issuers)
        said: dict[str, Any] = {"authorization_servers": site.issuers, "scopes_supported": _scopes(site)}
        self._said = {
            **{name: value for name, value in said.items() if value},
            "bearer_methods_supported": ["header"],
            "resource_name": site.name,
        }

    def metadata(self, request: Request) -> bytes | None:
        """The document; None where nobody knows what the app is called."""
        here = self._here(request)
        return msgspec.json.encode({"resource": here + self._prefix, **self._said}) if here else None

    def challenge(self, request: Request) -> str:
        """The parameter of a challenge; empty where there is nobody to ask for a token, or no way to say where."""
        here = self._here(request) if self._advertised else ""
        return f'resource_metadata="{here}{self.path}"' if here else ""

    def _here(self, request: Request) -> str:
        if self._url:
            return self._url
        host = request.fields.get(b"host", b"").decode("latin-1")
        return f"{request.scheme}://{host}" if _HOST.fullmatch(host) else ""


def _scopes(site: Site) -> list[str]:
    """The scopes that operations ask of callers from outside."""
    needs = [outside(one.needs) for contract in site.contracts for one in contract.operations if one.path]
    return sorted({part.name for need in needs for part in parts(need or anyone) if isinstance(part, Scope)})
