"""What an operator may say about the provider: `[service.provider]`."""

from __future__ import annotations

from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from enfilade.contract.limit import period
from enfilade.settings import Settings

Algorithm: TypeAlias = Literal["RS256", "PS256", "ES256", "Ed25519"]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PERIODS = ("access", "code", "device", "refresh", "session", "rotate", "publish")


class ProviderSettings(Settings):
    """Who it is, how it signs, and how long things are good; periods are written like "10m" and "30d"."""

    issuer: str = "http://127.0.0.1:8080"
    """Its address as clients see it, and `iss` of its tokens: https, or a loopback address; no slash at the end."""
    name: str = ""
    """What its pages are headed with; by default the host of the issuer."""
    algorithm: Algorithm = "RS256"
    """What new keys sign with. RS256 is what every client knows."""
    access: str = "10m"
    """How long access and ID tokens are good."""
    code: str = "1m"
    """How long an authorization code is good."""
    device: str = "10m"
    """How long the code that a device shows is good."""
    refresh: str = "30d"
    """How long a sign-in can be refreshed, from its beginning."""
    session: str = "12h"
    """How long a browser stays signed in here."""
    rotate: str = "90d"
    """How long a key signs."""
    publish: str = "1h"
    """How long a key is published before it signs: longer than anybody keeps the key set without asking again."""
    scopes: tuple[str, ...] = ()
    """Scopes of the app, beside those of OpenID: the discovery tells them, and clients that register may have them."""
    registration: Literal["off", "invited", "open"] = "invited"
    """Who may register clients over HTTP: nobody, who was given a token for it, anybody."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError(f"issuer {self.issuer}: it must be https, or passwords and codes would travel in the open")
        if not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc or self.issuer.endswith("/"):
            raise ValueError(f"issuer {self.issuer}: write an address without slash at the end, query and fragment")
        for name in _PERIODS:
            if not 1 <= self.seconds(name) < float("inf"):
                raise ValueError(f"{name}: a second at least, and not for ever")

    def seconds(self, name: str) -> float:
        """One of its periods."""
        return period(getattr(self, name))

    @property
    def secure(self) -> bool:
        return self.issuer.startswith("https:")

    @property
    def path(self) -> str:
        """Where its addresses begin, such as `/id`; empty for a host of its own."""
        return urlsplit(self.issuer).path

    @property
    def title(self) -> str:
        return self.name or str(urlsplit(self.issuer).hostname)
