"""A client proves who it is by a token that it signs itself (RFC 7523, OpenID Connect Core, 9)."""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key

from enfilade.identity.provider.rows import ClientRow
from enfilade.identity.provider.settings import ProviderSettings

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "Ed25519", "EdDSA")
_SKEW: Final = 30
_LONGEST: Final = 3600
"""Seconds that an assertion may be good: an hour, because common libraries make them so."""
REMEMBERED: Final = _LONGEST + 2 * _SKEW
"""Seconds that it is remembered that one was used."""
_SIZE: Final = 8192
_BITS: Final = 2048


class Assertion(msgspec.Struct):
    """What an assertion says."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: int | float
    jti: str
    iat: int | float = 0
    nbf: int | float = 0


class _Header(msgspec.Struct):
    alg: str
    kid: str = ""


class _KeySet(msgspec.Struct):
    keys: tuple[dict[str, object], ...]


def claims(text: str) -> Assertion | None:
    """What it says of itself, not believed yet; None where it is no assertion."""
    parts = text.split(".")
    if len(text) > _SIZE or len(parts) != 3:
        return None
    try:
        said = msgspec.json.decode(_bytes(parts[1]), type=Assertion)
    except (ValueError, RecursionError):
        return None
    return said if said.iss == said.sub and said.jti else None


def holds(text: str, said: Assertion, client: ClientRow, settings: ProviderSettings, now: float) -> bool:
    """Whether the client has signed it, for us, and for now."""
    ours = (settings.issuer, f"{settings.issuer}/token")
    named = (said.aud,) if isinstance(said.aud, str) else said.aud
    if not any(one in ours for one in named):
        return False
    if not now - _SKEW < said.exp <= now + _LONGEST + _SKEW or max(said.iat, said.nbf) > now + _SKEW:
        return False
    try:
        header = msgspec.json.decode(_bytes(text.partition(".")[0]), type=_Header)
        if header.alg not in ALGORITHMS:
            return False
        registry = jws.JWSRegistry(algorithms=[header.alg])
        signed = jws.extract_compact(text.encode(), registry=registry)
        return any(
            jws.validate_compact(signed, key, registry=registry)
            for kid, key in keys(client.jwks)
            if header.kid in ("", kid)
        )
    except (JoseError, ValueError, TypeError, RecursionError):
        return False


def keys(jwks: str) -> tuple[tuple[str, Key], ...]:
    """The public keys of a set that may sign, with their ids; never a shared secret, never one of a few bits."""
    found: list[tuple[str, Key]] = []
    try:
        listed = msgspec.json.decode(jwks, type=_KeySet).keys
    except ValueError:
        return ()
    for jwk in listed:
        try:
            key = import_key({name: value for name, value in jwk.items() if isinstance(value, str | list)})
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, RSAKey) and key.raw_value.key_size < _BITS:
            continue
        if isinstance(key, RSAKey | ECKey | OKPKey) and not key.is_private:
            key.ensure_kid()
            found.append((str(key.kid), key))
    return tuple(found)


def _bytes(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
