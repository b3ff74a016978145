"""What an operator may say about the provider: `[service.provider]`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias, cast
from urllib.parse import urlsplit

import msgspec

from enfilade.contract.limit import period
from enfilade.contract.marks import Meta
from enfilade.settings import Settings

Algorithm: TypeAlias = Literal["RS256", "PS256", "ES256", "Ed25519"]
Grant: TypeAlias = Literal["code", "refresh", "machine", "device", "exchange"]
"""How a client may ask, in our words; `clients.GRANTS` has those of the standards."""

ADDED = "cli_"
"""What ids begin with that are made here: no declared one does, so that none is there twice."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PERIODS = ("access", "code", "device", "refresh", "session", "rotate", "publish")


class ClientSettings(Settings):
    """A client that the operator keeps with the settings: `[[service.provider.clients]]`."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    name: str = ""
    """What people are told it is called; by default its id."""
    redirects: tuple[str, ...] = ()
    """Where people may be sent back to."""
    logouts: tuple[str, ...] = ()
    """Where they may be sent after a logout."""
    grants: tuple[Grant, ...] = ()
    """How it may ask; by default code and refresh, or machine where it has no redirects."""
    scopes: tuple[str, ...] = ()
    """What it may have."""
    resources: tuple[str, ...] = ()
    """Audiences, beside the app's own."""
    public: bool = False
    """It can keep no secret: it runs in a browser or on people's devices."""
    keys: str = ""
    """The file of its key set (JWKS), by which it proves itself."""
    secret: str = ""
    """The name of the app's secret by which it proves itself, such as `provider/web`; never the secret."""
    trusted: bool = False
    """It is our own: people are not asked whether it may."""
    agent: bool = False
    """It is an agent, and no service."""
    tenant: str = ""
    """Whose it is; empty for everybody's."""

    def __post_init__(self) -> None:
        if self.id.startswith(ADDED):
            raise ValueError(f"client {self.id}: ids of clients that were added begin with {ADDED}; take another")
        if sum((self.public, bool(self.keys), bool(self.secret))) != 1:
            raise ValueError(f"client {self.id}: it is public, or has keys, or has a secret; say one of them")

    @property
    def asks(self) -> tuple[Grant, ...]:
        """How it may ask."""
        return self.grants or (("code", "refresh") if self.redirects else ("machine",))


class ProviderSettings(Settings):
    """Who it is, how it signs, and how long things are good; periods are written like "10m" and "30d"."""

    issuer: str = ""
    """Its address as clients see it, and `iss` of its tokens: https, or a loopback address; no slash at the end. By
    default that of the app."""
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
    clients: tuple[ClientSettings, ...] = ()
    """Clients that are the same in every environment, beside those that were added."""

    def __post_init__(self) -> None:
        for name in _PERIODS:
            if not 1 <= self.seconds(name) < float("inf"):
                raise ValueError(f"{name}: a second at least, and not for ever")
        ids = [one.id for one in self.clients]
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"clients: {', '.join(twice)} is there twice")
        if self.issuer:
            self._check_issuer()

    def at(self, address: str) -> Self:
        """The settings of a provider whose app is reached there. Raises ValueError where no provider can be."""
        if self.issuer:
            return self
        said = msgspec.structs.replace(cast("Any", self), issuer=address)
        said._check_issuer()
        return said

    def _check_issuer(self) -> None:
        parts = urlsplit(self.issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError(f"issuer {self.issuer}: it must be https, or passwords and codes would travel in the open")
        if not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc or self.issuer.endswith("/"):
            raise ValueError(f"issuer {self.issuer}: write an address without slash at the end, query and fragment")

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
