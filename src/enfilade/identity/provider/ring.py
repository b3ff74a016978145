"""The provider's keys: one signs, the next one is published before it does, and retired ones stay till they are needed
no more.

    next --rotate--> current --rotate--> retired --longest token--> gone
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

import msgspec
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from enfilade.clock import Clock
from enfilade.errors import Unavailable
from enfilade.identity.provider.messages import Jwk
from enfilade.identity.provider.rows import KeyRow
from enfilade.identity.provider.settings import Algorithm, ProviderSettings
from enfilade.secrets.seal import Seal, Unsealable
from enfilade.store import Table, atomic

Key = RSAKey | ECKey | OKPKey

FRESH: Final = 30.0
"""Seconds that the keys are remembered: so long a process may sign with the key before."""
_SKEW: Final = 60.0
"""Seconds that a verifier may take an expired token for good."""

log = logging.getLogger("enfilade.identity")


class TooSoon(Exception):
    """The next key was not published long enough."""


@dataclass(frozen=True)
class Signer:
    """The key that signs."""

    kid: str
    algorithm: str
    key: Key


class Ring:
    """Keeps the keys, and turns them on."""

    def __init__(self, rows: Table[KeyRow], settings: ProviderSettings, seal: Seal, clock: Clock) -> None:
        self._rows = rows
        self._settings = settings
        self._seal = seal
        self._clock = clock
        self._known: tuple[KeyRow, ...] = ()
        self._signer: Signer | None = None
        self._read = float("-inf")

    async def signer(self) -> Signer:
        """The key that signs now. Raises Unavailable where there is none: `make` some."""
        await self._remember()
        if self._signer is None:
            raise Unavailable("The provider has no key that signs.")
        return self._signer

    async def ready(self) -> bool:
        """Whether there are keys to sign with, now and next."""
        await self._remember()
        return self._signer is not None and any(one.state == "next" for one in self._known)

    async def published(self) -> tuple[Jwk, ...]:
        """All public keys."""
        await self._remember()
        return tuple(msgspec.json.decode(one.public, type=Jwk) for one in self._known)

    async def verifying(self, kid: str) -> tuple[Key, str] | None:
        """The public key of this id and its algorithm."""
        await self._remember()
        for one in self._known:
            if one.kid == kid:
                return _imported(one.public.encode()), one.algorithm
        return None

    async def rows(self) -> tuple[KeyRow, ...]:
        """As they are kept, the newest first."""
        return await self._rows.find(order="since desc, kid")

    async def make(self) -> None:
        """Make the keys that are missing: a current one, and the next."""
        await self._make([await self._new(), await self._new()])
        self.forget()

    async def rotate(self, *, now: bool = False) -> KeyRow:
        """Let the next key sign. Raises TooSoon, unless it must be `now`: then the old one is believed no more."""
        new = await self._new()
        signing = await self._rotate(new, now)
        self.forget()
        log.info("the key %s signs from now on", signing.kid)
        return signing

    async def due(self) -> bool:
        """Whether the key that signs has done so long enough."""
        await self._remember()
        end = self._clock.now() - timedelta(seconds=self._settings.seconds("rotate"))
        return any(one.state == "current" and one.since <= end for one in self._known)

    def forget(self) -> None:
        """Read the keys anew."""
        self._read = float("-inf")

    @atomic
    async def _make(self, new: Sequence[KeyRow]) -> None:
        kept = await self._rows.find()
        spare = list(new)
        for state in ("current", "next"):
            rows = [one for one in kept if one.state == state]
            if any(self._opened(one) for one in rows):
                continue
            await self._rows.put(*(self._retired(one) for one in rows))  # sealed by another secret: it cannot sign
            await self._rows.add(spare.pop().replace(state=state))

    @atomic
    async def _rotate(self, new: KeyRow, now: bool) -> KeyRow:
        kept = await self._rows.find()
        coming = next((one for one in kept if one.state == "next"), None)
        if coming is None:
            raise TooSoon("there is no next key yet; it is made when the app starts to sign")
        at = self._clock.now()
        if not now and coming.since > at - timedelta(seconds=self._settings.seconds("publish")):
            raise TooSoon(f"the next key was published at {coming.since:%H:%M} only, and not everybody knows it yet")
        for one in kept:
            if one.state == "current" and now:
                await self._rows.delete(one.kid)
            elif one.state == "current":
                await self._rows.put(self._retired(one))
        signing = coming.replace(state="current", since=at)
        await self._rows.put(signing)
        await self._rows.add(new)
        return signing

    def _retired(self, row: KeyRow) -> KeyRow:
        at = self._clock.now()
        longest = self._settings.seconds("access") + FRESH + _SKEW
        return row.replace(state="retired", since=at, until=at + timedelta(seconds=longest), private=b"")

    async def _new(self) -> KeyRow:
        algorithm = self._settings.algorithm
        key = await asyncio.to_thread(_generated, algorithm)
        key.ensure_kid()
        kid = cast("str", key.kid)
        public = Jwk(**{**_strings(key.as_dict(private=False)), "alg": algorithm, "kid": kid, "use": "sig"})
        private = msgspec.json.encode(_strings(key.as_dict(private=True)))
        return KeyRow(
            kid=kid, algorithm=algorithm, state="next", since=self._clock.now(), until=None,
            public=msgspec.json.encode(_said(public)).decode(), private=self._seal.seal(private, kid.encode()),
        )  # fmt: skip

    async def _remember(self) -> None:
        now = self._clock.monotonic()
        if now - self._read < FRESH:
            return
        self._known = await self.rows()
        self._signer = next(
            (Signer(one.kid, one.algorithm, _imported(private))
             for one in self._known if one.state == "current" and (private := self._opened(one))),
            None,
        )  # fmt: skip
        self._read = now if self._signer is not None else float("-inf")

    def _opened(self, row: KeyRow) -> bytes:
        """The private half; nothing where another secret sealed it."""
        try:
            return self._seal.open(row.private, row.kid.encode())
        except Unsealable:
            log.warning("the key %s cannot be opened: it was sealed with another secret, and signs no more", row.kid)
            return b""


def _generated(algorithm: Algorithm) -> Key:
    match algorithm:
        case "RS256" | "PS256":
            return RSAKey.generate_key(2048)
        case "ES256":
            return ECKey.generate_key("P-256")
        case "Ed25519":
            return OKPKey.generate_key("Ed25519")


def _imported(jwk: bytes) -> Key:
    return cast("Key", import_key(msgspec.json.decode(jwk, type=dict[str, str | list[str]])))


def _strings(jwk: object) -> dict[str, str]:
    return {name: value for name, value in cast("dict[str, object]", jwk).items() if isinstance(value, str)}


def _said(jwk: Jwk) -> dict[str, str]:
    """Its members without those that its kind of key does not have."""
    fields: tuple[str, ...] = cast("Any", Jwk).__struct_fields__
    return {name: value for name in fields if (value := getattr(jwk, name))}
