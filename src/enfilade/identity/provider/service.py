"""Serves the provider: puts its parts together, and keeps its house."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, final

from enfilade.call import Principal, current
from enfilade.clock import Clock
from enfilade.contract.marks import Sensitive
from enfilade.identity.people import People, UnknownPerson
from enfilade.identity.provider.assertion import ALGORITHMS
from enfilade.identity.provider.back import Back
from enfilade.identity.provider.clients import GRANTS, STANDARD, Clients
from enfilade.identity.provider.contract import Provider
from enfilade.identity.provider.device import Devices
from enfilade.identity.provider.exchange import Exchange, Known, spent_token
from enfilade.identity.provider.front import Front
from enfilade.identity.provider.granted import Granted, Tables
from enfilade.identity.provider.leaving import Leaving
from enfilade.identity.provider.messages import (
    BEARER,
    Answer,
    ClientMetadata,
    Credentials,
    DeviceAnswer,
    Goal,
    Introspection,
    KeySet,
    LogoutRequest,
    Metadata,
    Registered,
    TokenAnswer,
    TokenRequest,
    UserInfo,
)
from enfilade.identity.provider.mint import Claims, Mint
from enfilade.identity.provider.problems import BadClient, BadToken
from enfilade.identity.provider.register import METHODS, register
from enfilade.identity.provider.ring import Ring
from enfilade.identity.provider.rows import (
    ClientRow,
    CodeRow,
    ConsentRow,
    DeviceRow,
    GrantedRow,
    InviteRow,
    KeyRow,
    LoginRow,
    RefreshRow,
    SpentRow,
)
from enfilade.identity.provider.seal import Host
from enfilade.identity.provider.settings import ProviderSettings
from enfilade.identity.revoked import Revoked
from enfilade.identity.verify import Verifier
from enfilade.store import Table, Taken, atomic
from enfilade.topic import every

_REMEMBERED: Final = timedelta(days=1)
"""How long an expired code is kept: who uses it a second time so late is still found out."""
_AT_ONCE: Final = 500
"""Rows that are removed in one unit of work."""


@final
@dataclass
class ProviderService(Provider):
    people: People
    itself: Provider
    settings: ProviderSettings
    host: Host
    verifier: Verifier
    clock: Clock
    key_rows: Table[KeyRow]
    client_rows: Table[ClientRow]
    invites: Table[InviteRow]
    logins: Table[LoginRow]
    consents: Table[ConsentRow]
    granted_rows: Table[GrantedRow]
    codes: Table[CodeRow]
    refreshes: Table[RefreshRow]
    devices: Table[DeviceRow]
    spent: Table[SpentRow]

    def __post_init__(self) -> None:
        self.settings = settings = self.settings.at(self.host.address)
        host, clock = self.host, self.clock
        tables = Tables(self.logins, self.consents, self.granted_rows, self.codes, self.refreshes, self.devices)
        self._ring = Ring(self.key_rows, settings, host.seal, clock)
        reveal = None if host.keeper is None else host.keeper.reveal
        self._clients = Clients(self.client_rows, self.invites, settings, clock, reveal)
        self._granted = Granted(tables, settings, clock, lambda one: self._deny("sid", one))
        self._mint = Mint(self._ring, settings, clock)
        self._known = Known(self._mint, self._granted, self.spent)
        self._devices = Devices(self.devices, self._granted, settings, host, clock)
        exchange = Exchange(self._known, self._mint, host)
        self._front = Front(self.people, self._clients, tables, self._granted, settings, host, clock)
        self._back = Back(self.people, self._granted, self._devices, exchange, self._mint, host, clock)
        self._leaving = Leaving(self._front, self._clients, self._granted, self._mint)

    # -- what everybody may know

    async def metadata(self) -> Metadata:
        issuer = self.settings.issuer
        return Metadata(
            issuer=issuer,
            authorization_endpoint=f"{issuer}/authorize",
            token_endpoint=f"{issuer}/token",
            userinfo_endpoint=f"{issuer}/userinfo",
            jwks_uri=f"{issuer}/jwks.json",
            registration_endpoint="" if self.settings.registration == "off" else f"{issuer}/register",
            introspection_endpoint=f"{issuer}/introspect",
            revocation_endpoint=f"{issuer}/revoke",
            device_authorization_endpoint=f"{issuer}/device_authorization",
            end_session_endpoint=f"{issuer}/logout",
            scopes_supported=(*STANDARD, *self.settings.scopes),
            grant_types_supported=GRANTS,
            id_token_signing_alg_values_supported=(self.settings.algorithm,),
            token_endpoint_auth_methods_supported=METHODS,
            token_endpoint_auth_signing_alg_values_supported=ALGORITHMS,
        )

    async def keys(self) -> KeySet:
        await self._with_keys()
        return KeySet(keys=await self._ring.published())

    # -- the browser

    async def enter(self, goal: Goal, browser: Sensitive[str] = "") -> Answer:
        return await self._front.enter(goal, browser)

    async def sign_in(
        self, goal: Goal, browser: Sensitive[str], form: Sensitive[str], login: Sensitive[str], password: Sensitive[str]
    ) -> Answer:
        return await self._front.sign_in(goal, browser, form, login, password)

    async def decide(self, goal: Goal, browser: Sensitive[str], form: Sensitive[str], allow: bool) -> Answer:
        return await self._front.decide(goal, browser, form, allow)

    async def log_out(self, request: LogoutRequest, browser: Sensitive[str] = "", form: Sensitive[str] = "") -> Answer:
        return await self._leaving.log_out(request, browser, form)

    # -- clients

    async def token(self, request: TokenRequest, client: Credentials) -> TokenAnswer:
        proven = await self._proven(client)
        await self._with_keys()
        return await self._back.token(request, proven)

    async def device(self, client: Credentials, scope: str = "", resource: tuple[str, ...] = ()) -> DeviceAnswer:
        return await self._devices.begin(await self._proven(client), scope, resource)

    async def userinfo(self, token: Sensitive[str]) -> UserInfo:
        claims = await self._known.claims(token)
        scopes = claims.scope.split() if claims is not None else []
        if claims is None or "openid" not in scopes:
            raise BadToken(error="invalid_token" if claims is None else "insufficient_scope")
        try:
            person = await self.people.person(claims.sub)
        except UnknownPerson:
            raise BadToken() from None
        known = "email" in scopes and bool(person.email)
        return UserInfo(
            sub=person.subject,
            name=person.name if "profile" in scopes else "",
            email=person.email if known else "",
            email_verified=person.email_verified if known else None,
            tenant=person.tenant,
        )

    async def introspect(self, token: Sensitive[str], client: Credentials) -> Introspection:
        proven = await self._proven(client)
        if proven.method == "none":
            raise BadClient()
        claims = await self._known.claims(token)
        if claims is None or not self._may_know(proven, claims):
            return Introspection(active=False)
        return Introspection(
            active=True, scope=claims.scope, client_id=claims.client_id, sub=claims.sub, aud=claims.audience,
            iss=claims.iss, exp=claims.exp, iat=claims.iat, jti=claims.jti, token_type=BEARER, tenant=claims.tenant,
            act=claims.act,
        )  # fmt: skip

    async def revoke(self, token: Sensitive[str], client: Credentials) -> None:
        proven = await self._proven(client)
        claims = await self._known.claims(token)
        if claims is not None:
            if claims.client_id == proven.id:
                await self.itself.spend(spent_token(claims.jti), int(self.settings.seconds("access")))
                self._deny("jti", claims.jti)
            return
        found = await self._granted.refresh(token)
        if found is not None and found[1].client == proven.id:
            await self._granted.revoke(found[1].id)

    async def register(self, client: ClientMetadata, token: Sensitive[str] = "") -> Registered:
        return await register(client, token, self._clients, self.settings)

    # -- its house

    async def make_keys(self) -> None:
        await self._ring.make()

    async def spend(self, id: str, seconds: int) -> bool:
        try:
            await self._spend(SpentRow(id=id, ends=self.clock.now() + timedelta(seconds=seconds)))
        except Taken:
            return False
        return True

    @atomic
    async def _spend(self, row: SpentRow) -> None:
        await self.spent.add(row)

    @every("1h")
    async def rotate(self) -> None:
        """Let the next key sign when this one has done so long enough."""
        if await self._ring.due():
            await self._ring.rotate()

    @every("10m")
    async def sweep(self) -> None:
        """Forget what has expired, some at a time, so that nobody waits long for the store."""
        while await self.itself.forget():
            pass

    async def forget(self) -> bool:
        return await self._forget()

    @atomic
    async def _forget(self) -> bool:
        now = self.clock.now()
        swept: tuple[tuple[Table[Any], str, datetime], ...] = (
            (self.invites, "hash", now),
            (self.logins, "hash", now),
            (self.granted_rows, "id", now),
            (self.codes, "hash", now - _REMEMBERED),
            (self.refreshes, "hash", now),
            (self.devices, "hash", now),
            (self.spent, "id", now),
        )
        left = _AT_ONCE
        for table, key, end in swept:
            for row in await table.find("ends < :end", end=end, limit=left):
                await table.delete(getattr(row, key))
                left -= 1
        for row in await self.key_rows.find("until < :now"):
            await self.key_rows.delete(row.kid)
        return left == 0

    async def _with_keys(self) -> None:
        """The first who needs a key has them made, in a unit of work of its own."""
        if not await self._ring.ready():
            await self.itself.make_keys()

    async def _proven(self, said: Credentials) -> ClientRow:
        """The client; an assertion that it proves itself by is good once."""
        proof = await self._clients.proven(said)
        if proof.spends and not await self.itself.spend(proof.spends, proof.seconds):
            raise BadClient()
        client = proof.client
        current().caller = Principal(
            subject=client.id, kind=client.kind, tenant=client.realm, issuer=self.settings.issuer, client=client.id
        )  # so that the audit names it
        return client

    def _deny(self, by: Literal["jti", "sid"], value: str) -> None:
        """Believe tokens no longer, at once in this process; elsewhere they expire soon."""
        until = self.clock.now().timestamp() + self.settings.seconds("access")
        self.verifier.deny(Revoked(issuer=self.settings.issuer, by=by, value=value, until=until))

    def _may_know(self, client: ClientRow, claims: Claims) -> bool:
        """Whose a token is, and whom it is for, may know what it says; of another tenant nobody."""
        if client.realm and client.realm != claims.tenant:
            return False
        ours = {client.id, self.host.audience, *client.resources}
        return claims.client_id == client.id or not ours.isdisjoint(claims.audience)
