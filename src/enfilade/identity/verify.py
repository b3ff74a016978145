"""The one place that believes a token (RFC 7519, RFC 8725), and the only one that knows how.

A token is read with the library, which checks signatures and nothing else; every claim is checked here. Whatever is
wrong with a token, the answer is the same to the letter: `Unauthenticated`, 401, `invalid_token`. The log says why.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable
from typing import Final

import msgspec
from joserfc import jws

from enfilade.call import Principal
from enfilade.clock import Clock
from enfilade.contract.refuse import refuse_doubles
from enfilade.errors import Finding, StartError, Unauthenticated, Unavailable
from enfilade.identity.claims import Refused, claims_of
from enfilade.identity.discovery import Fetch
from enfilade.identity.issuer import Issuer
from enfilade.identity.jwks import Keys
from enfilade.identity.revoked import Marks, Revocations, Revoked

TRUST: Final = 60.0
"""Seconds that a verified token is believed without being looked at again."""
LONGEST: Final = 8192
"""Characters of a token; more than any proxy lets through in a header."""
INVALID: Final = "The access token is not valid here, or no longer."
"""All that is ever said of a token that is not believed."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_FORBIDDEN: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})
"""Members by which a token would bring its own key, or change what its signature covers."""

log = logging.getLogger("enfilade.identity")


async def nothing(url: str) -> bytes:
    """A `Fetch` for issuers whose keys are in the settings."""
    raise OSError(f"{url} is not asked: this verifier was given no way to fetch")


class Verifier:
    """Turns tokens of the given issuers into principals.

    `recall` knows the tokens that were verified in the last minute. Its memory is bounded, and keyed by the token
    itself, which costs a third of hashing it: a dict compares hashes that are seeded per process before it compares
    text, so its time tells a guesser nothing. `forget` empties it; so does a change of an issuer's keys. `deny` takes
    tokens back, at once in this process.

    `fetch` gives what issuers publish: the app's own is an outbound client, and where an issuer is served in this very
    process it may as well be a call.
    """

    def __init__(self, issuers: Iterable[Issuer], clock: Clock, *, fetch: Fetch = nothing, size: int = 4096) -> None:
        self._issuers: dict[str, _Believed] = {}
        for one in issuers:
            if one.url in self._issuers:
                remedy = "Keep one of them; it may have several audiences and algorithms."
                raise StartError([Finding(one.url, "this issuer stands twice in the settings.", remedy, "issuer")])
            self._issuers[one.url] = _Believed(one, Keys(one, clock, fetch, self.forget))
        self._revocations = Revocations(clock)
        self._clock = clock
        self._monotonic = clock.monotonic
        self._size = size
        self._known: dict[str, tuple[Principal, float, Marks]] = {}
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
            principal, marks, seconds = await self._read(token)
        except Unavailable:
            raise
        except Exception as error:  # what a made-up token does to a parser is the token's fault, whatever it is
            ours = isinstance(error, Refused | msgspec.ValidationError)
            log.info("a token was refused: %s", error if ours else "it is malformed")
            raise refusal() from error
        if epoch == self._epoch:  # or it was verified by keys that have changed meanwhile
            self._remember(token, principal, marks, seconds)
        return principal

    def deny(self, revoked: Revoked) -> None:
        """Believe these tokens no longer, from now on."""
        self._revocations.add(revoked)
        for token in [token for token, (_, _, marks) in self._known.items() if self._revocations.has(marks)]:
            del self._known[token]

    def forget(self) -> None:
        """Verify every token again: keys or rights were withdrawn."""
        self._epoch += 1
        self._known.clear()

    def _remember(self, token: str, principal: Principal, marks: Marks, seconds: float) -> None:
        known, now = self._known, self._monotonic()
        while known:
            oldest = next(iter(known))
            if len(known) < self._size and known[oldest][1] > now:
                break
            del known[oldest]
        known[token] = principal, now + min(seconds, TRUST), marks

    async def _read(self, token: str) -> tuple[Principal, Marks, float]:
        """The principal, by what the token can be taken back, and for how many seconds it is still good."""
        if len(token) > LONGEST or _COMPACT.fullmatch(token) is None:
            raise Refused("it is malformed")
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        said = read_object(payload)
        issuer = said.get("iss")
        believed = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if believed is None:
            raise Refused("its issuer is not one of ours")
        await believed.check(signed.encode(), decode(signature), read_object(header))
        principal, marks, seconds = believed.read(said, self._clock.now().timestamp())
        if self._revocations.has(marks):
            raise Refused("it was taken back")
        return principal, marks, seconds


class _Believed:
    """Checks the tokens of one issuer: by its keys, and by algorithms that configuration names."""

    def __init__(self, issuer: Issuer, keys: Keys) -> None:
        self.read = claims_of(issuer)
        self._keys = keys
        self._types = frozenset(one.lower() for one in issuer.types)
        registry = jws.JWSRegistry(algorithms=issuer.algorithms)
        self._algorithms = {name: registry.get_alg(name) for name in issuer.algorithms}

    async def check(self, signed: bytes, signature: bytes, header: dict[str, object]) -> None:
        if not _FORBIDDEN.isdisjoint(header):
            raise Refused("its header has a member that is not taken here")
        kind = header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in self._types:
            raise Refused("it is not an access token")
        name, kid = header.get("alg"), header.get("kid", "")
        algorithm = self._algorithms.get(name) if isinstance(name, str) else None
        if algorithm is None or not isinstance(kid, str):
            raise Refused("its algorithm is not one of its issuer's")
        key = await self._keys.find(kid, algorithm.name)
        if key is None:
            raise Refused("its key is not one of its issuer's")
        algorithm.check_key(key)
        if not algorithm.verify(signed, signature, key):
            raise Refused("its signature is wrong")


def refusal() -> Unauthenticated:
    """The one answer to a token that is not believed (RFC 6750, 3.1)."""
    return Unauthenticated(detail=INVALID, challenge=f'error="invalid_token", error_description="{INVALID}"')


def read_object(segment: str) -> dict[str, object]:
    """A token's header or claims. Anything but an object is refused, and a member that stands twice, NaN, NUL and what
    is no text, as anywhere."""
    data = decode(segment)
    said = _object(data)
    refuse_doubles(data, said)
    return said


def decode(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


_object = msgspec.json.Decoder(dict[str, object]).decode
