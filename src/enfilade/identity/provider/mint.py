"""Tokens: access tokens (RFC 9068) and ID tokens are made here, and read again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError

from enfilade.clock import Clock, make_id
from enfilade.identity.provider.messages import Act
from enfilade.identity.provider.ring import Ring
from enfilade.identity.provider.settings import ProviderSettings

LONGEST: Final = 8192
"""Characters of a token; more than any proxy lets through in a header."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What an access token says."""

    subject: str
    client: str
    scope: str
    audience: tuple[str, ...]
    tenant: str = ""
    kind: str = "user"
    roles: tuple[str, ...] = ()
    at: int = 0
    """When the person proved who he is; 0 where there is no person."""
    assurance: str = ""
    granted: str = ""
    """The sign-in that it comes of."""
    act: Act | None = None
    ends: int = 0
    """When it ends at the latest, of a token that was exchanged."""


class Claims(msgspec.Struct):
    """What is read of a token of our own."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: int
    iat: int
    jti: str = ""
    client_id: str = ""
    scope: str = ""
    tenant: str = ""
    kind: str = "user"
    roles: tuple[str, ...] = ()
    auth_time: int = 0
    acr: str = ""
    sid: str = ""
    act: Act | None = None
    may_act: Act | None = None

    @property
    def audience(self) -> tuple[str, ...]:
        return (self.aud,) if isinstance(self.aud, str) else self.aud


class Mint:
    """Signs with the ring's key, and believes what the ring's keys have signed."""

    def __init__(self, ring: Ring, settings: ProviderSettings, clock: Clock) -> None:
        self._ring = ring
        self._settings = settings
        self._clock = clock

    async def access(self, about: About) -> tuple[str, int]:
        """An access token, and for how many seconds it is good."""
        now = self._now()
        until = now + int(self._settings.seconds("access"))
        if about.ends:
            until = min(until, about.ends)
        claims: dict[str, object] = {
            "iss": self._settings.issuer,
            "sub": about.subject,
            "aud": about.audience[0] if len(about.audience) == 1 else list(about.audience),
            "client_id": about.client,
            "iat": now,
            "exp": until,
            "jti": make_id(self._clock, "tok"),
            "kind": about.kind,
            "scope": about.scope,
            "tenant": about.tenant,
            "roles": list(about.roles),
            "auth_time": about.at,
            "acr": about.assurance,
            "sid": about.granted,
            "act": _said(about.act),
        }
        return await self._signed("at+jwt", claims), until - now

    async def id_token(self, about: About, nonce: str, access: str) -> str:
        """Who signed in, for the client alone (OpenID Connect Core, 2)."""
        signer = await self._ring.signer()
        now = self._now()
        claims: dict[str, object] = {
            "iss": self._settings.issuer,
            "sub": about.subject,
            "aud": about.client,
            "iat": now,
            "exp": now + int(self._settings.seconds("access")),
            "auth_time": about.at,
            "acr": about.assurance,
            "nonce": nonce,
            "tenant": about.tenant,
            "sid": about.granted,
            "at_hash": _half(access, signer.algorithm),
        }
        return await self._signed("JWT", claims)

    async def read(self, token: str) -> Claims | None:
        """An access token of ours that has not expired; None for anything else."""
        claims = await self._read(token, "at+jwt")
        return claims if claims is not None and claims.exp > self._now() else None

    async def hint(self, token: str) -> Claims | None:
        """An ID token of ours, be it expired (RP-Initiated Logout, 2)."""
        return await self._read(token, "jwt")

    async def _signed(self, kind: str, claims: dict[str, object]) -> str:
        signer = await self._ring.signer()
        header = {"alg": signer.algorithm, "typ": kind, "kid": signer.kid}
        said = {name: value for name, value in claims.items() if value not in ("", 0, [], None)}
        return jwt.encode(header, said, signer.key, algorithms=[signer.algorithm])

    async def _read(self, token: str, kind: str) -> Claims | None:
        if not token or len(token) > LONGEST or token.count(".") != 2:
            return None
        try:
            header = _header(token)
            if str(header.get("typ", "")).lower() != kind:
                return None
            found = await self._ring.verifying(str(header.get("kid", "")))
            if found is None or header.get("alg") != found[1]:
                return None
            registry = jws.JWSRegistry(algorithms=[found[1]])
            signed = jws.extract_compact(token.encode(), registry=registry)
            if not jws.validate_compact(signed, found[0], registry=registry):
                return None
            claims = msgspec.json.decode(signed.payload, type=Claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            return None
        return claims if claims.iss == self._settings.issuer else None

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def chain(sub: str, before: Act | None) -> Act:
    """Who acts, and for whom he acts in turn."""
    return Act(sub=sub, act=before)


def depth(act: Act | None) -> int:
    return 0 if act is None else 1 + depth(act.act)


def words(scope: str) -> tuple[str, ...]:
    """The scopes of a text, each once, in their order."""
    return tuple(dict.fromkeys(scope.split()))


def within(asked: str, allowed: Sequence[str]) -> str:
    """Those of the scopes asked for that are allowed; others are passed over, and the answer says so."""
    return " ".join(one for one in words(asked) if one in allowed)


def _said(act: Act | None) -> dict[str, Any] | None:
    if act is None:
        return None
    inner = _said(act.act)
    return {"sub": act.sub} if inner is None else {"sub": act.sub, "act": inner}


def _half(token: str, algorithm: str) -> str:
    """The left half of the token's hash (OpenID Connect Core, 3.1.3.6); Ed25519 signs by SHA-512."""
    made = hashlib.sha512(token.encode()) if algorithm == "Ed25519" else hashlib.sha256(token.encode())
    value = made.digest()
    return base64.urlsafe_b64encode(value[: len(value) // 2]).rstrip(b"=").decode()


def _header(token: str) -> dict[str, object]:
    segment = token.partition(".")[0]
    value: object = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
