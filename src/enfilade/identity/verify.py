"""The one place that believes a token (RFC 7519, RFC 8725), and the only one that knows how.

A token is read with the library, which checks signatures and nothing else; every claim is checked here. Whatever is
wrong with a token, the answer is the same: `Unauthenticated`, 401, with a challenge that says why in our words.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any, Final, Literal, cast

import msgspec
from joserfc import jws

from enfilade.call import Principal
from enfilade.clock import Clock
from enfilade.errors import Finding, StartError, Unauthenticated, Unavailable
from enfilade.identity.issuer import Issuer
from enfilade.identity.jwks import Fetch, Keys, fetch

TRUST: Final = 60.0
"""Seconds that a verified token is believed without being looked at again."""
LONGEST: Final = 8192
"""Characters of a token; more than any proxy lets through in a header."""
_FAR: Final = 2.0**53
"""Seconds: times beyond it (and infinity) are no times."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_FORBIDDEN: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})
"""Members by which a token would bring its own key, or change what its signature covers."""
_KINDS: Final = ("user", "service", "agent")


class _Claims(msgspec.Struct):
    """What we read of a token's claims; others are passed over. Types are strict: `"exp": "1"` is refused."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: int | float
    nbf: int | float = 0
    iat: int | float = 0
    scope: str = ""
    scp: str | tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    tenant: str = ""
    kind: object = None
    client_id: str = ""
    # What marks ID and refresh tokens at issuers that give every token the type JWT.
    typ: str = "Bearer"
    use: str = msgspec.field(default="access", name="token_use")
    nonce: object = None


class Verifier:
    """Turns tokens of the given issuers into principals.

    `recall` knows the tokens that were verified in the last minute. Its memory is bounded, and keyed by the token
    itself, which costs a third of hashing it: a dict compares hashes that are seeded per process before it compares
    text, so its time tells a guesser nothing. `forget` empties it; so does a change of an issuer's keys.
    """

    def __init__(self, issuers: Iterable[Issuer], clock: Clock, *, fetch: Fetch = fetch, size: int = 4096) -> None:
        self._issuers: dict[str, tuple[Issuer, _Signatures]] = {}
        for one in issuers:
            if one.url in self._issuers:
                remedy = "Keep one of them; it may have several audiences and algorithms."
                raise StartError([Finding(one.url, "this issuer stands twice in the settings.", remedy, "issuer")])
            self._issuers[one.url] = one, _Signatures(one, Keys(one, clock, fetch, self.forget))
        self._clock = clock
        self._monotonic = clock.monotonic
        self._size = size
        self._known: dict[str, tuple[Principal, float]] = {}
        self._epoch = 0

    def recall(self, token: str) -> Principal | None:
        """Whom a token names that was verified a moment ago; None where it must be verified."""
        known = self._known.get(token)
        return None if known is None or known[1] <= self._monotonic() else known[0]

    async def verify(self, token: str) -> Principal:
        """Whom a token names. Raises Unauthenticated, or Unavailable while no key of its issuer could be had."""
        known = self.recall(token)
        if known is not None:
            return known
        epoch = self._epoch
        try:
            principal, seconds = await self._read(token)
        except (Unauthenticated, Unavailable):
            raise
        except Exception as error:  # what a made-up token does to a parser is the token's fault, whatever it is
            raise _bad("The token is malformed.") from error
        if epoch == self._epoch:  # or it was verified by keys that have changed meanwhile
            self._remember(token, principal, seconds)
        return principal

    def forget(self) -> None:
        """Verify every token again: keys or rights were withdrawn."""
        self._epoch += 1
        self._known.clear()

    def _remember(self, token: str, principal: Principal, seconds: float) -> None:
        known, now = self._known, self._monotonic()
        while known:
            oldest = next(iter(known))
            if len(known) < self._size and known[oldest][1] > now:
                break
            del known[oldest]
        known[token] = principal, now + min(seconds, TRUST)

    async def _read(self, token: str) -> tuple[Principal, float]:
        """The principal, and for how many seconds the token is still good."""
        if len(token) > LONGEST or _COMPACT.fullmatch(token) is None:
            raise _bad("The token is malformed.")
        header, payload, _ = token.split(".")
        claims = msgspec.convert(_object(payload), _Claims)
        issuer, signatures = self._issuers.get(claims.iss, (None, None))
        if issuer is None or signatures is None:
            raise _bad("The token's issuer is not one of ours.")
        await signatures.check(token, _object(header))
        return _principal(claims, issuer), _seconds_left(claims, issuer, self._clock.now().timestamp())


class _Signatures:
    """Checks the signatures of one issuer: by its keys, and by algorithms that configuration names."""

    def __init__(self, issuer: Issuer, keys: Keys) -> None:
        self._keys = keys
        self._algorithms = issuer.algorithms
        self._types = frozenset(one.lower() for one in issuer.types)
        self._registry = jws.JWSRegistry(algorithms=issuer.algorithms, strict_check_header=False)

    async def check(self, token: str, header: dict[str, object]) -> None:
        if not _FORBIDDEN.isdisjoint(header):
            raise _bad("The token's header has a member that is not taken here.")
        kind = header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in self._types:
            raise _bad("The token is not an access token.")
        algorithm, kid = header.get("alg"), header.get("kid", "")
        if algorithm not in self._algorithms or not isinstance(kid, str):
            raise _bad("The token's algorithm is not one of its issuer's.")
        key = await self._keys.find(kid, cast("str", algorithm))
        if key is None:
            raise _bad("The token's key is not one of its issuer's.")
        signed = jws.extract_compact(token.encode(), registry=self._registry)
        if not jws.validate_compact(signed, key, registry=self._registry):
            raise _bad("The token's signature is wrong.")


def _principal(claims: _Claims, issuer: Issuer) -> Principal:
    named = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    if not any(audience in named for audience in issuer.audiences):
        raise _bad("The token is for somebody else.")
    if claims.typ != "Bearer" or claims.use != "access" or claims.nonce is not None:
        raise _bad("The token is not an access token.")
    if not claims.sub:
        raise _bad("The token names nobody.")
    if issuer.tenant and claims.tenant not in ("", issuer.tenant):
        raise _bad("The token's issuer does not speak for that tenant.")
    scp = claims.scp.split() if isinstance(claims.scp, str) else claims.scp
    return Principal(
        subject=issuer.prefix + claims.sub,
        kind=_kind(claims),
        tenant=issuer.tenant or claims.tenant,
        scopes=frozenset((*claims.scope.split(), *scp)),
        roles=frozenset(claims.roles),
        issuer=claims.iss,
    )


def _kind(claims: _Claims) -> Literal["user", "service", "agent"]:
    if claims.kind in _KINDS:
        return claims.kind
    return "service" if claims.client_id and claims.client_id == claims.sub else "user"  # RFC 9068, 2.2


def _seconds_left(claims: _Claims, issuer: Issuer, now: float) -> float:
    if not all(0 <= when < _FAR for when in (claims.exp, claims.nbf, claims.iat)):
        raise _bad("The token's times are no times.")
    if claims.exp + issuer.skew <= now:
        raise _bad("The token has expired.")
    if claims.nbf - issuer.skew > now or claims.iat - issuer.skew > now:
        raise _bad("The token is not yet valid.")
    return claims.exp + issuer.skew - now


def _object(segment: str) -> dict[str, object]:
    """A token's header or claims; a member that stands twice, NaN or anything but an object is refused."""
    data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    value: object = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    if not isinstance(value, dict):
        raise _bad("The token is malformed.")
    return cast("dict[str, object]", value)


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise _bad("The token says something twice.")
    return found


def _no_number(name: str) -> float:
    raise ValueError(name)


def _bad(reason: str) -> Unauthenticated:
    return Unauthenticated(detail=reason, challenge=f'error="invalid_token", error_description="{reason}"')
