"""The public keys of one issuer, as they are now (RFC 7517)."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key

from enfilade.clock import Clock
from enfilade.errors import Finding, StartError, Unavailable
from enfilade.identity.discovery import Fetch, discover
from enfilade.identity.issuer import Issuer

COOL_DOWN: Final = 10.0
"""Seconds between two fetches: tokens that name unknown keys must not make us flood the issuer."""
FRESH: Final = 600.0
"""Seconds after which the keys are asked for again, so that one that was withdrawn is not believed for ever."""
_PATIENCE: Final = 5.0
"""Seconds for the metadata and the keys together: whoever comes first waits for them."""
_LIMIT: Final = 256 * 1024
"""Bytes of a key set; real ones have less than 10 KiB."""
_RSA_BITS: Final = 2048

log = logging.getLogger("enfilade.identity")


class Keys:
    """Finds the key that a token names; asks the issuer again, seldom, when it does not know it.

    One fetch at a time, whoever waits for it; it goes on when he hangs up. While the issuer cannot be reached the keys
    that are known stay good. `changed` is called when others took their place.
    """

    def __init__(self, issuer: Issuer, clock: Clock, fetch: Fetch, changed: Callable[[], None]) -> None:
        self._issuer = issuer
        self._clock = clock
        self._fetch = fetch
        self._changed = changed
        self._keys: dict[str, Key] = {}
        self._address = issuer.jwks_url
        self._asked = float("-inf")
        self._flight: asyncio.Task[None] | None = None
        if issuer.keys:
            self._keys = _keys(issuer.keys, issuer)
            if not self._keys:
                remedy = (
                    f"Give it a public key for {', '.join(issuer.algorithms)}, or say its algorithm in algorithms=."
                )
                raise StartError([Finding(issuer.url, "none of the keys of this issuer can be used.", remedy, "jwks")])
        elif issuer.jwks_file:
            self._keys = _at_start(issuer)
            self._asked = clock.monotonic()

    async def find(self, kid: str, algorithm: str) -> Key | None:
        """The key of this id that is good for this algorithm. Raises Unavailable where no key was ever had."""
        if self._issuer.keys:
            return self._pick(kid, algorithm)
        since = self._clock.monotonic() - self._asked
        found = self._pick(kid, algorithm)
        if found is not None:
            if since >= FRESH:
                self._ask()  # for the next one: nobody waits while there is a key
            return found
        if self._flight is not None or since >= COOL_DOWN:
            await asyncio.shield(self._ask())
        if not self._keys:
            raise Unavailable(f"The keys of {self._issuer.url} cannot be fetched.")
        return self._pick(kid, algorithm)

    def _pick(self, kid: str, algorithm: str) -> Key | None:
        keys = self._keys
        key = keys.get(kid) if kid else next(iter(keys.values())) if len(keys) == 1 else None
        return key if key is None or key.get("alg", algorithm) == algorithm else None

    def _ask(self) -> asyncio.Task[None]:
        if self._flight is None:
            self._asked = self._clock.monotonic()
            # In a context of its own: it is nobody's call, and nobody's deadline ends it.
            self._flight = asyncio.create_task(self._refresh(), name="enfilade-jwks", context=Context())
        return self._flight

    async def _refresh(self) -> None:
        issuer = self._issuer
        try:
            async with asyncio.timeout(_PATIENCE):
                body = await self._body()
            keys = _parse(body, issuer)
            if keys.keys() != self._keys.keys() or any(keys[kid] != key for kid, key in self._keys.items()):
                self._keys = keys
                self._changed()
        except Exception as error:  # whatever it is, and whoever fetches: without new keys the old ones stay good
            self._address = issuer.jwks_url  # it may have moved
            kept = "the keys that are known stay good" if self._keys else "its tokens cannot be verified"
            log.warning("the keys of %s could not be fetched, %s: %r", issuer.url, kept, error)
        finally:
            self._flight = None

    async def _body(self) -> bytes:
        if self._issuer.jwks_file:
            return await asyncio.to_thread(Path(self._issuer.jwks_file).read_bytes)
        self._address = self._address or await discover(self._issuer.url, self._fetch)
        return await self._fetch(self._address)


def _at_start(issuer: Issuer) -> dict[str, Key]:
    try:
        return _parse(Path(issuer.jwks_file).read_bytes(), issuer)
    except (OSError, ValueError) as error:
        remedy = f'Put the issuer\'s key set there, {{"keys": [...]}}, or correct jwks_file of {issuer.url}.'
        raise StartError(
            [Finding(issuer.jwks_file, f"this key set cannot be read: {error}", remedy, "jwks")]
        ) from error


class _KeySet(msgspec.Struct):
    keys: tuple[dict[str, object], ...]


def _parse(body: bytes, issuer: Issuer) -> dict[str, Key]:
    if len(body) > _LIMIT:
        raise ValueError(f"it has more than {_LIMIT} bytes; a key set is smaller")
    keys = _keys(msgspec.json.decode(body, type=_KeySet).keys, issuer)
    if not keys:
        raise ValueError(f"no key in it is good for {', '.join(issuer.algorithms)}")
    return keys


def _keys(listed: Iterable[Mapping[str, object]], issuer: Issuer) -> dict[str, Key]:
    """Those of the keys that may sign for us, by their ids; the others are passed over (RFC 7517, 5)."""
    found: dict[str, Key] = {}
    for jwk in listed:
        if jwk.get("use", "sig") != "sig" or jwk.get("alg", issuer.algorithms[0]) not in issuer.algorithms:
            continue
        try:
            if jwk.get("kty") == "RSA" and _bits(jwk) < _RSA_BITS:
                log.warning("a key of %s is passed over: RSA with less than %d bits", issuer.url, _RSA_BITS)
                continue
            key = import_key(cast("dict[str, Any]", dict(jwk)))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            log.warning("a key of %s is passed over: %r", issuer.url, error)
            continue
        if isinstance(key, (RSAKey, ECKey, OKPKey)):  # never a shared secret
            key.ensure_kid()
            found[str(key.kid)] = key
    return found


def _bits(jwk: Mapping[str, object]) -> int:
    text = str(jwk.get("n", ""))
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).bit_length()
