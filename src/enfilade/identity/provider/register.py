"""Clients that register themselves (RFC 7591): programs of people, never ones that act for themselves."""

from __future__ import annotations

from typing import Final

from enfilade.identity.provider.clients import CODE, DEVICE, REFRESH, STANDARD, Clients, NoSuchClient
from enfilade.identity.provider.messages import ClientMetadata, Registered
from enfilade.identity.provider.mint import within
from enfilade.identity.provider.problems import BadToken, refused
from enfilade.identity.provider.rows import Method
from enfilade.identity.provider.settings import ProviderSettings

_METHODS: Final[dict[str, Method]] = {
    "client_secret_basic": "client_secret",
    "client_secret_post": "client_secret",
    "private_key_jwt": "private_key_jwt",
    "none": "none",
}
METHODS: Final = tuple(_METHODS)


async def register(said: ClientMetadata, token: str, clients: Clients, settings: ProviderSettings) -> Registered:
    """A new client. People are always asked before it acts for them. Raises BadToken and Refused."""
    invite = await clients.invited(token) if token else None
    if settings.registration == "off" or (invite is None and (token or settings.registration != "open")):
        raise BadToken()
    method = _METHODS.get(said.token_endpoint_auth_method)
    if method is None or not {CODE, REFRESH, DEVICE}.issuperset(said.grant_types) or said.response_types != ("code",):
        raise refused("invalid_client_metadata", "These methods, grants or response types cannot be registered.")
    scopes = within(said.scope or " ".join(STANDARD), (*STANDARD, *settings.scopes))
    try:
        row, secret = await clients.add(
            said.client_name or "Unnamed", realm=invite.realm if invite else "", method=method, jwks=said.jwks,
            redirects=said.redirect_uris, logouts=said.post_logout_redirect_uris, grants=said.grant_types,
            scopes=tuple(one for one in scopes.split() if one not in STANDARD), invite=invite,
        )  # fmt: skip
    except NoSuchClient as wrong:
        error = "invalid_redirect_uri" if "redirect" in str(wrong) or "registered" in str(wrong) else ""
        raise refused(error or "invalid_client_metadata", f"{wrong}.") from wrong
    return Registered(
        client_id=row.id, client_secret=secret, client_id_issued_at=int(row.since.timestamp()), client_name=row.name,
        redirect_uris=row.redirects, post_logout_redirect_uris=row.logouts, grant_types=row.grants, scope=scopes,
        token_endpoint_auth_method=said.token_endpoint_auth_method,
    )  # fmt: skip
