"""Tokens of the development issuer: to try an app with, and for its tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from joserfc import jwt

from enfilade.clock import Clock, make_id
from enfilade.identity.keys import DEVELOPMENT, DevelopmentIssuer


class Tokens:
    """Issues access tokens (RFC 9068): for `enfilade token`, and for callers of a stage."""

    def __init__(self, issuer: DevelopmentIssuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock

    def issue(
        self,
        subject: str,
        *,
        scopes: Sequence[str] = (),
        roles: Sequence[str] = (),
        tenant: str = "",
        ttl: float = 3600,
        kind: Literal["user", "service", "agent"] = "user",
    ) -> str:
        """A token that names `subject` for `ttl` seconds, unless a verifier is told before that it is denied."""
        if not subject or isinstance(scopes, str) or isinstance(roles, str):
            raise ValueError('tokens.issue("acc_1", scopes=["orders:write"]): a subject, and sequences of names')
        now = int(self._clock.now().timestamp())
        claims: dict[str, object] = {
            "iss": DEVELOPMENT,
            "aud": self._issuer.audience,
            "sub": subject,
            "client_id": subject if kind == "service" else self._issuer.audience,
            "kind": kind,
            "iat": now,
            "exp": now + int(ttl),
            "jti": make_id(self._clock, "tok"),
        }
        if scopes:
            claims["scope"] = " ".join(scopes)
        if roles:
            claims["roles"] = list(roles)
        if tenant:
            claims["tenant"] = tenant
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self._issuer.kid}
        return jwt.encode(header, claims, self._issuer.key, algorithms=["ES256"])
