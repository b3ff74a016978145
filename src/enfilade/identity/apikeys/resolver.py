"""Knows callers by the key that they send: `X-API-Key: ek_...`, or `Authorization: ApiKey ek_...`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from enfilade.call import Principal
from enfilade.clock import Clock
from enfilade.errors import Unauthenticated
from enfilade.identity.apikeys import spelling
from enfilade.identity.apikeys.contract import KeyRefused
from enfilade.identity.credentials import Credentials

TRUST: Final = 30.0
"""Seconds that a key is believed without being asked about again."""
_MOST: Final = 10_000
"""Keys that are remembered."""
_SCHEME: Final = "apikey "


class KnownKeys:
    """A resolver that asks the service which keeps the keys. Of a key it remembers the digest."""

    def __init__(self, identify: Callable[[str], Awaitable[Principal]], clock: Clock) -> None:
        self._identify = identify
        self._monotonic = clock.monotonic
        self._known: dict[str, tuple[Principal, float]] = {}

    async def __call__(self, credentials: Credentials) -> Principal | None:
        key = _sent(credentials)
        if not key:
            return None
        if spelling.id_of(key) is None:
            raise Unauthenticated(detail="This is no API key.")
        digest, now = spelling.digest(key), self._monotonic()
        known = self._known.pop(digest, None)
        if known is None or known[1] <= now:
            try:
                known = await self._identify(key), now + TRUST
            except KeyRefused:
                raise Unauthenticated(detail="The API key is not known, has expired or was taken back.") from None
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
        self._known[digest] = known
        return known[0]


def _sent(credentials: Credentials) -> str:
    authorization = credentials.authorization
    if authorization[: len(_SCHEME)].lower() == _SCHEME:
        return authorization[len(_SCHEME) :].strip(" ")
    return "" if authorization else credentials.header("x-api-key")
