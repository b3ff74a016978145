"""A token for a token (RFC 8693): a service or an agent acts on behalf of somebody, with no more rights than he gave.

The subject stays, the client becomes the one who acts (`act`), and whoever acted before stays in the chain.
"""

from __future__ import annotations

from typing import Final

from enfilade.identity.provider.asked import resources
from enfilade.identity.provider.granted import Granted
from enfilade.identity.provider.messages import TokenAnswer, TokenRequest
from enfilade.identity.provider.mint import About, Claims, Mint, chain, depth, within
from enfilade.identity.provider.problems import refused
from enfilade.identity.provider.rows import ClientRow, SpentRow
from enfilade.identity.provider.seal import Host
from enfilade.store import Table

ACCESS: Final = "urn:ietf:params:oauth:token-type:access_token"
_JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
_DEEPEST: Final = 8
"""Who may act for whom for whom: deeper chains are circles."""


class Known:
    """Access tokens of ours that are still good."""

    def __init__(self, mint: Mint, granted: Granted, spent: Table[SpentRow]) -> None:
        self._mint = mint
        self._granted = granted
        self._spent = spent

    async def claims(self, token: str) -> Claims | None:
        """What a token says; None where it is none of ours, expired or revoked."""
        claims = await self._mint.read(token)
        if claims is None or (claims.sid and not await self._granted.holds(claims.sid)):
            return None
        return None if await self._spent.get(spent_token(claims.jti)) is not None else claims


def spent_token(jti: str) -> str:
    """What is kept of an access token that was revoked."""
    return f"access {jti}"


class Exchange:
    """Exchanges tokens."""

    def __init__(self, known: Known, mint: Mint, host: Host) -> None:
        self._known = known
        self._mint = mint
        self._host = host

    async def token(self, request: TokenRequest, client: ClientRow) -> TokenAnswer:
        """Raises Refused."""
        if request.subject_token_type not in (ACCESS, _JWT) or request.requested_token_type not in ("", ACCESS, _JWT):
            raise refused("invalid_request", f"Tokens of the type {ACCESS} are exchanged, for others of it.")
        subject = await self._known.claims(request.subject_token)
        if subject is None or not self._may(client, subject):
            raise refused("invalid_request", "The subject token is not good, or not for this client.")
        scope = within(request.scope or subject.scope, [one for one in subject.scope.split() if one in client.scopes])
        if request.scope and not scope:
            raise refused("invalid_scope", "Neither the client nor the subject token has these scopes.")
        asked = resources((*request.resource, *request.audience), client, self._host) or (self._host.audience,)
        about = About(
            subject=subject.sub, client=client.id, scope=scope, audience=asked, tenant=subject.tenant,
            kind=subject.kind, roles=subject.roles, at=subject.auth_time, assurance=subject.acr,
            granted=subject.sid, act=chain(await self._actor(request, client), subject.act), ends=subject.exp,
        )  # fmt: skip
        if depth(about.act) > _DEEPEST:
            raise refused("invalid_request", "Too many act for one another.")
        token, seconds = await self._mint.access(about)
        return TokenAnswer(access_token=token, expires_in=seconds, scope=scope, issued_token_type=ACCESS)

    def _may(self, client: ClientRow, subject: Claims) -> bool:
        """Whether the token came to this client rightly: it is its own, or it is for it, and its tenant's."""
        if client.realm and subject.tenant != client.realm:
            return False
        if subject.may_act is not None:
            return subject.may_act.sub == client.id
        ours = {client.id, self._host.audience, *client.resources}
        return subject.client_id == client.id or not ours.isdisjoint(subject.audience)

    async def _actor(self, request: TokenRequest, client: ClientRow) -> str:
        """Who acts: the client, or whom its own token names."""
        if not request.actor_token:
            return client.id
        actor = await self._known.claims(request.actor_token)
        if request.actor_token_type not in (ACCESS, _JWT) or actor is None or actor.client_id != client.id:
            raise refused("invalid_request", "The actor token is not good, or another client's.")
        return actor.sub
