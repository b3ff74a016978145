"""Whose tokens are believed: a value that settings can decode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]
"""Signatures by a private key only: a verifier holds nothing that a token could be made with."""

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

_Place: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an issuer's tokens say what, if not where RFC 9068 has it.

    A place is the name of a claim, or names with dots between them for a member of a member: `"realm_access.roles"`.
    A name with a `:` or `/` in it is taken whole: `"https://shop.example/roles"`. Of several places, all are read.
    """

    subject: _Place = "sub"
    audience: _Place = "aud"
    client: tuple[_Place, ...] = ("client_id", "azp")
    """The first of them that is there."""
    scopes: tuple[_Place, ...] = ("scope", "scp")
    """Words in one text, or a list."""
    roles: tuple[_Place, ...] = ("roles",)
    tenant: str = ""
    """Empty: `tenant`, and a token may have none. What stands here each token must have."""
    kind: _Place = "kind"
    """`user`, `service` or `agent`; `app` (Entra) and `client-credentials` (Auth0) are services, too."""


class Issuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody whose tokens are believed here, and how they are checked.

        [[issuers]]
        url = "https://id.example"
        audience = "shop"

    The keys come from one of `jwks_url`, `jwks_file` and `keys`; without them the issuer is asked where they are.
    """

    url: Annotated[str, msgspec.Meta(min_length=1)]
    """The token's `iss`, to the letter."""
    audience: str | tuple[str, ...]
    """Who we are: the token's `aud` must name one of these."""
    jwks_url: str = ""
    """Where the issuer publishes its keys (RFC 7517). https, or a loopback address."""
    jwks_file: str = ""
    keys: tuple[Mapping[str, object], ...] = ()
    """The public keys themselves, as JWKs."""
    algorithms: Annotated[tuple[Algorithm, ...], msgspec.Meta(min_length=1)] = ("RS256", "ES256")
    """What may have signed a token. A token's own word on that is compared with it and never followed."""
    types: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("at+jwt",)
    """Values of `typ` (RFC 9068). Add "JWT" for an issuer that does not mark its access tokens; then a token without
    a type passes as well, and only the audience tells an access token from another."""
    skew: Annotated[float, msgspec.Meta(ge=0, le=60)] = 30.0
    """Seconds that the issuer's time and ours may differ."""
    tenant: str = ""
    """All its tokens belong to this tenant; one that claims another is refused."""
    prefix: str = ""
    """Put before each subject, so that people of two issuers never share a name: `"partner:"`."""
    claims: Claims = Claims()
    """Where its tokens say what."""

    def __post_init__(self) -> None:
        known = sum(map(bool, (self.jwks_url, self.jwks_file, self.keys)))
        if known > 1:
            raise ValueError(f"issuer {self.url}: give one of jwks_url, jwks_file and keys, or none of them")
        if not known and not safe(self.url):
            raise ValueError(
                f"issuer {self.url}: it cannot be asked for its keys there; say jwks_url, or make it https"
            )
        if not self.audiences or not all(self.audiences):
            raise ValueError(f"issuer {self.url}: say in audience= who we are, or tokens for anybody would be taken")
        if self.jwks_url and not safe(self.jwks_url):
            raise ValueError(f"issuer {self.url}: jwks_url must be https, or anybody on the way could change the keys")

    @property
    def audiences(self) -> tuple[str, ...]:
        return (self.audience,) if isinstance(self.audience, str) else self.audience


def safe(url: str) -> bool:
    """Whether what comes from there is what was sent: https, or this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return (parts.scheme == "https" and bool(parts.hostname)) or (
        parts.scheme == "http" and parts.hostname in _LOOPBACK
    )
