"""Clients: the programs that ask for tokens, and how they prove who they are."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from enfilade.clock import Clock, make_id
from enfilade.errors import Finding, StartError
from enfilade.identity.provider import assertion
from enfilade.identity.provider.declared import CODE as CODE
from enfilade.identity.provider.declared import DEVICE as DEVICE
from enfilade.identity.provider.declared import EXCHANGE as EXCHANGE
from enfilade.identity.provider.declared import MACHINE as MACHINE
from enfilade.identity.provider.declared import NAMES as NAMES
from enfilade.identity.provider.declared import REFRESH as REFRESH
from enfilade.identity.provider.declared import declared
from enfilade.identity.provider.messages import Credentials
from enfilade.identity.provider.problems import BadClient
from enfilade.identity.provider.redirects import wrong
from enfilade.identity.provider.rows import ClientRow, InviteRow, Method
from enfilade.identity.provider.seal import digest, same
from enfilade.identity.provider.settings import ADDED, ProviderSettings
from enfilade.store import Table, atomic

GRANTS: Final = tuple(NAMES.values())
STANDARD: Final = ("openid", "profile", "email", "offline_access")
"""Scopes that every client of people may ask for."""

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class NoSuchClient(ValueError):
    """What was said of a client does not go together."""


@dataclass(frozen=True)
class Proof:
    """A client that said who it is; an assertion is still to be spent."""

    client: ClientRow
    spends: str = ""
    seconds: int = 0


class Clients:
    """The clients that are known: those of the settings, and those that were added."""

    def __init__(
        self,
        rows: Table[ClientRow],
        invites: Table[InviteRow],
        settings: ProviderSettings,
        clock: Clock,
        reveal: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        """`reveal` has the secrets that settings name. Raises StartError with what is wrong with those clients."""
        self._rows = rows
        self._invites = invites
        self._settings = settings
        self._clock = clock
        self._reveal = reveal
        self.declared = _declared(settings, clock)
        self._secrets = {one.id: one.secret for one in settings.clients if one.secret}

    async def find(self, id: str) -> ClientRow | None:
        return self.declared.get(id) or await self._rows.get(id)

    async def all(self) -> tuple[ClientRow, ...]:
        return (*self.declared.values(), *await self._rows.find(order="since, id"))

    async def proven(self, said: Credentials) -> Proof:
        """Whose credentials these are. Raises BadClient, which tells nobody why."""
        id, claims = said.client_id, None
        if said.client_assertion:
            claims = assertion.claims(said.client_assertion)
            if claims is None or (id and id != claims.sub):
                raise BadClient()
            id = claims.sub
        client = await self.find(id) if _ID.fullmatch(id) else None
        good = same(digest(said.client_secret), digest("") if client is None else await self._secret(client))
        if client is None:
            raise BadClient()
        if claims is not None and not said.client_secret and client.method == "private_key_jwt":
            now = self._clock.now().timestamp()
            if not assertion.holds(said.client_assertion, claims, client, self._settings, now):
                raise BadClient()
            return Proof(client, f"assertion {client.id} {digest(claims.jti)}", assertion.REMEMBERED)
        if claims is None and said.client_secret and client.method == "client_secret" and good:
            return Proof(client)
        if claims is None and not said.client_secret and client.method == "none":
            return Proof(client)
        raise BadClient()

    async def _secret(self, client: ClientRow) -> str:
        """The digest of its secret; of a declared client, as its source has it now."""
        name = self._secrets.get(client.id)
        return client.secret if name is None or self._reveal is None else digest(await self._reveal(name))

    async def add(
        self,
        name: str,
        *,
        realm: str = "",
        method: Method = "client_secret",
        jwks: str = "",
        redirects: tuple[str, ...] = (),
        logouts: tuple[str, ...] = (),
        grants: tuple[str, ...] = (CODE, REFRESH),
        scopes: tuple[str, ...] = (),
        resources: tuple[str, ...] = (),
        agent: bool = False,
        consent: bool = True,
        invite: InviteRow | None = None,
    ) -> tuple[ClientRow, str]:
        """A new client, and its secret: told now and never again. Raises NoSuchClient that says what is wrong."""
        secret = secret_of(self._clock) if method == "client_secret" else ""
        row = ClientRow(
            id=make_id(self._clock, ADDED.rstrip("_")), name=name, realm=realm, method=method,
            secret=digest(secret) if secret else "", jwks=jwks, redirects=redirects, logouts=logouts, grants=grants,
            scopes=scopes, resources=resources, kind="agent" if agent else "service", consent=consent,
            since=self._clock.now(),
        )  # fmt: skip
        _check(row)
        await self._add(row, invite)
        return row, secret

    @atomic
    async def _add(self, row: ClientRow, invite: InviteRow | None) -> None:
        if invite is not None and not await self._invites.delete(invite.hash):
            raise NoSuchClient("the invitation was used meanwhile")
        await self._rows.add(row)

    @atomic
    async def remove(self, id: str) -> bool:
        """Forget a client; its refresh tokens are good no more, its access tokens till they expire."""
        return await self._rows.delete(id)

    async def invite(self, realm: str = "") -> str:
        """A token that lets somebody register one client within a week (RFC 7591, 1.2)."""
        token = secret_of(self._clock)
        await self._invite(InviteRow(hash=digest(token), realm=realm, ends=self._clock.now() + timedelta(days=7)))
        return token

    @atomic
    async def _invite(self, row: InviteRow) -> None:
        await self._invites.add(row)

    async def invited(self, token: str) -> InviteRow | None:
        """The invitation that this is, if it still holds."""
        row = await self._invites.get(digest(token))
        return row if row is not None and row.ends > self._clock.now() else None


def secret_of(clock: Clock) -> str:
    """Something that nobody guesses: 256 bits."""
    return clock.random.randbytes(32).hex()


def _declared(settings: ProviderSettings, clock: Clock) -> dict[str, ClientRow]:
    rows: dict[str, ClientRow] = {}
    findings: list[Finding] = []
    for said in settings.clients:
        try:
            rows[said.id] = row = declared(said, clock.now())
            _check(row)
        except (NoSuchClient, OSError, UnicodeError) as wrong:
            what = f"client {said.id}: {wrong}."
            findings.append(
                Finding("enfilade.toml", what, "See docs/provider.md for what a client may say.", "settings")
            )
    if findings:
        raise StartError(findings)
    return rows


def _check(row: ClientRow) -> None:
    if not row.name.strip() or len(row.name) > 100 or not row.name.isprintable():
        raise NoSuchClient("a client has a name of up to 100 printable letters")
    for uri in (*row.redirects, *row.logouts):
        if why := wrong(uri):
            raise NoSuchClient(f"{uri} cannot be registered: {why}")
    if unknown := [one for one in row.grants if one not in GRANTS]:
        raise NoSuchClient(f"there is no grant {unknown[0]}; there are {', '.join(GRANTS)}")
    if CODE in row.grants and not row.redirects:
        raise NoSuchClient(f"a client with {CODE} needs a redirect URI")
    if row.method == "none" and not {MACHINE, EXCHANGE}.isdisjoint(row.grants):
        raise NoSuchClient("a client without a secret cannot act for itself, or exchange tokens")
    if (row.method == "private_key_jwt") != bool(row.jwks):
        raise NoSuchClient("public keys go with private_key_jwt, and it with them")
    if row.jwks and not assertion.keys(row.jwks):
        raise NoSuchClient(f"in the key set is no key for {', '.join(assertion.ALGORITHMS)}")
    if any(" " in one or not one for one in (*row.scopes, *row.resources)):
        raise NoSuchClient("scopes and resources have no spaces")
