"""Sessions in a cookie, for pages and scripts that come from where the app is.

The cookie is sealed and has all of the session in it, so nothing is stored and any process of the app can read it. It
is `__Host-`, `HttpOnly` and `SameSite=Lax` (RFC 6265bis). Because a browser sends it whoever wrote the page, commands
are served only to pages of our own: those that the browser says are of the same origin (Fetch Metadata,
`Sec-Fetch-Site`; else `Origin`), or that know the session's token.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from secrets import token_hex
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec

from enfilade.call import current
from enfilade.clock import Clock
from enfilade.contract.principal import Principal
from enfilade.errors import Forbidden, Misuse
from enfilade.identity.credentials import Credentials
from enfilade.secrets.seal import Seal, Unsealable

COOKIE: Final = "__Host-session"
FIELD: Final = "x-csrf-token"
"""The field that brings the session's token."""
_MOST: Final = 3800
"""Bytes: browsers keep cookies of 4096 with name and attributes."""
_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_ABOUT: Final = b"session"
_ATTRIBUTES: Final = "; Path=/; Secure; HttpOnly; SameSite=Lax"


class _Session(msgspec.Struct, frozen=True, array_like=True):
    id: str
    principal: Principal
    until: float


class Sessions:
    """Starts and ends sessions, and knows who calls by one. A service that takes it in its constructor turns it on.

    `life` is in seconds. `origins` are those whose pages may send commands beside our own: `https://admin.example`.
    """

    def __init__(self, secret: bytes, clock: Clock, *, life: float = 43200.0, origins: Sequence[str] = ()) -> None:
        self._seal = Seal(secret, "sessions")
        self._clock = clock
        self._life = life
        self._origins = frozenset(origins)

    def start(self, principal: Principal) -> str:
        """The answer to the current call begins a session; who was verified before this call is somebody else.

        Returns the session's token, for pages that send it as `X-CSRF-Token`. Raises Misuse where the principal is too
        large for a cookie.
        """
        now = self._clock.now().timestamp()
        if not principal.authenticated:
            principal = msgspec.structs.replace(cast("Any", principal), authenticated=now)
        session = _Session(token_hex(16), principal, now + self._life)
        value = urlsafe_b64encode(self._seal.seal(msgspec.msgpack.encode(session), _ABOUT)).decode().rstrip("=")
        if len(value) > _MOST:
            raise Misuse(f"the session of {principal.subject} has {len(value)} bytes, and a cookie at most {_MOST}.")
        current().say("Set-Cookie", f"{COOKIE}={value}; Max-Age={int(self._life)}{_ATTRIBUTES}")
        return self._token(session)

    def end(self) -> None:
        """The answer to the current call takes the session away from its browser."""
        current().say("Set-Cookie", f"{COOKIE}=; Max-Age=0{_ATTRIBUTES}")

    def token(self) -> str:
        """The token of the session that the current call came with; `""` where there is none."""
        session = self._opened(Credentials(current()))
        return "" if session is None else self._token(session)

    async def __call__(self, credentials: Credentials) -> Principal | None:
        """Who calls, by his session. One that is over, or not ours, is nobody's. Raises Forbidden for a command that
        another site's page may have sent."""
        if credentials.authorization or (session := self._opened(credentials)) is None:
            return None
        if credentials.method not in _SAFE and not self._ours(credentials, session):
            raise Forbidden(
                detail="This may have been sent by a page of another site: send it from our own, or with the session's "
                "token in X-CSRF-Token."
            )
        return session.principal

    def _opened(self, credentials: Credentials) -> _Session | None:
        value = credentials.cookies.get(COOKIE)
        if not value:
            return None
        try:
            opened = self._seal.open(urlsafe_b64decode(value + "=" * (-len(value) % 4)), _ABOUT)
            session = msgspec.msgpack.decode(opened, type=_Session)
        except (ValueError, Unsealable):
            return None
        return session if self._clock.now().timestamp() < session.until else None

    def _token(self, session: _Session) -> str:
        return self._seal.digest(session.id.encode())

    def _ours(self, credentials: Credentials, session: _Session) -> bool:
        """Whether a page of ours sent it. What no browser sent has to know the token."""
        if token := credentials.header(FIELD):
            return hmac.compare_digest(token.encode(), self._token(session).encode())
        origin, site = credentials.header("origin"), credentials.header("sec-fetch-site")
        if origin and origin in self._origins:
            return True
        if site:
            return site in ("same-origin", "none")
        return origin not in ("", "null") and urlsplit(origin).netloc == credentials.header("host")
