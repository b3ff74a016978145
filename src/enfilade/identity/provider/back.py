"""The token endpoint: a client that proved who it is gets tokens for a grant (RFC 6749, OAuth 2.1)."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from enfilade.clock import Clock
from enfilade.identity.people import People, Person, UnknownPerson
from enfilade.identity.provider.asked import audience, narrowed, resources, scope_of_client
from enfilade.identity.provider.clients import CODE, DEVICE, EXCHANGE, MACHINE, REFRESH
from enfilade.identity.provider.device import Devices
from enfilade.identity.provider.exchange import Exchange
from enfilade.identity.provider.granted import Granted
from enfilade.identity.provider.messages import TokenAnswer, TokenRequest
from enfilade.identity.provider.mint import About, Mint, words
from enfilade.identity.provider.problems import Refused, refused
from enfilade.identity.provider.rows import ClientRow, GrantedRow
from enfilade.identity.provider.seal import Host, same

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class Back:
    """Gives tokens."""

    def __init__(
        self,
        people: People,
        granted: Granted,
        devices: Devices,
        exchange: Exchange,
        mint: Mint,
        host: Host,
        clock: Clock,
    ) -> None:
        self._people = people
        self._granted = granted
        self._devices = devices
        self._exchange = exchange
        self._mint = mint
        self._host = host
        self._clock = clock

    async def token(self, request: TokenRequest, client: ClientRow) -> TokenAnswer:
        """Raises Refused."""
        kind = request.grant_type
        if kind in (CODE, REFRESH, MACHINE, DEVICE, EXCHANGE) and kind not in client.grants:
            raise refused("unauthorized_client", "This client may not ask in this way.")
        match kind:
            case "authorization_code":
                return await self._code(request, client)
            case "refresh_token":
                return await self._refresh(request, client)
            case "client_credentials":
                return await self._machine(request, client)
            case "urn:ietf:params:oauth:grant-type:device_code":
                return await self._device(request, client)
            case "urn:ietf:params:oauth:grant-type:token-exchange":
                return await self._exchange.token(request, client)
            case _:
                raise refused("unsupported_grant_type", "There is no such way to ask for a token.")

    async def _code(self, request: TokenRequest, client: ClientRow) -> TokenAnswer:
        found = await self._granted.code(request.code)
        if found is None:
            raise _bad()
        code, granted = found
        if code.used:
            await self._granted.use(code, refreshable=False)  # which ends all that came of it
            raise _bad()
        if granted.client != client.id or code.ends <= self._clock.now() or request.redirect_uri != code.redirect:
            raise _bad()
        if not _VERIFIER.fullmatch(request.code_verifier) or not same(_hashed(request.code_verifier), code.challenge):
            raise _bad()
        for_whom = audience(request.resource, granted.resources, self._host)
        person = await self._person(granted)
        refresh = await self._granted.use(code, refreshable=REFRESH in client.grants)
        return await self._given(client, granted, person, granted.scope, for_whom, refresh, nonce=granted.nonce)

    async def _refresh(self, request: TokenRequest, client: ClientRow) -> TokenAnswer:
        found = await self._granted.refresh(request.refresh_token)
        if found is None or found[1].client != client.id:
            raise _bad()
        token, granted = found
        if token.used:
            await self._granted.use(token, refreshable=False)
            raise _bad()
        if granted.revoked or token.ends <= self._clock.now():
            raise _bad()
        scope = narrowed(request.scope, granted.scope)
        for_whom = audience(request.resource, granted.resources, self._host)
        person = await self._person(granted)
        refresh = await self._granted.use(token, refreshable=True)
        return await self._given(client, granted, person, scope, for_whom, refresh)

    async def _device(self, request: TokenRequest, client: ClientRow) -> TokenAnswer:
        device = await self._devices.poll(request.device_code, client)
        granted = await self._granted.find(device.granted)
        if granted is None:
            raise _bad()
        for_whom = audience(request.resource, granted.resources, self._host)
        person = await self._person(granted)
        refresh = await self._granted.take(device, refreshable=REFRESH in client.grants)
        return await self._given(client, granted, person, granted.scope, for_whom, refresh)

    async def _machine(self, request: TokenRequest, client: ClientRow) -> TokenAnswer:
        scope = scope_of_client(request.scope, client)
        for_whom = resources(request.resource, client, self._host) or (self._host.audience,)
        about = About(
            subject=client.id, client=client.id, scope=scope, audience=for_whom, tenant=client.realm, kind=client.kind
        )
        token, seconds = await self._mint.access(about)
        return TokenAnswer(access_token=token, expires_in=seconds, scope=scope)

    async def _person(self, granted: GrantedRow) -> Person:
        """Whom the tokens are about, as he is now."""
        try:
            return await self._people.person(granted.subject)
        except UnknownPerson:
            raise _bad() from None

    async def _given(
        self,
        client: ClientRow,
        granted: GrantedRow,
        person: Person,
        scope: str,
        for_whom: tuple[str, ...],
        refresh: str | None,
        nonce: str = "",
    ) -> TokenAnswer:
        if refresh is None:
            raise _bad()
        about = About(
            subject=person.subject, client=client.id, scope=scope, audience=for_whom, tenant=person.tenant,
            roles=person.roles, at=int(granted.at.timestamp()), assurance=granted.assurance, granted=granted.id,
        )  # fmt: skip
        token, seconds = await self._mint.access(about)
        signed = await self._mint.id_token(about, nonce, token) if "openid" in words(scope) else ""
        return TokenAnswer(access_token=token, expires_in=seconds, scope=scope, refresh_token=refresh, id_token=signed)


def _bad() -> Refused:
    """One answer for everything that is wrong with a code or token: who guesses learns nothing."""
    return refused("invalid_grant", "It is unknown, expired, used, or another client's.")


def _hashed(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
