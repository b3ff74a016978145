"""What the provider keeps. Codes, tokens and secrets are kept as their SHA-256 only, private keys sealed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from enfilade.contract.marks import Index, Key, Sensitive, Unique
from enfilade.store.row import Row

Method: TypeAlias = Literal["client_secret", "private_key_jwt", "none"]
"""How a client proves who it is. A secret may come by HTTP Basic or in the body."""


class KeyRow(Row):
    """A signing key. The private half is forgotten when it signs no more."""

    kid: Key[str]
    """The thumbprint of RFC 7638."""
    algorithm: str
    state: Literal["next", "current", "retired"]
    since: datetime
    until: datetime | None
    """When a retired key need not be published any more."""
    public: str
    """A JWK, as JSON."""
    private: Sensitive[bytes]


class ClientRow(Row):
    """A program that may ask for tokens."""

    id: Key[str]
    name: str
    realm: Index[str]
    """The tenant whose it is; `""` for everybody's."""
    method: Method
    secret: Sensitive[str]
    jwks: str
    """Its public keys, as JSON; for `private_key_jwt`."""
    redirects: tuple[str, ...]
    logouts: tuple[str, ...]
    """Where a browser may be sent after a logout."""
    grants: tuple[str, ...]
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    """Audiences that it may ask for, beside the app's own."""
    kind: Literal["service", "agent"]
    consent: bool
    """Whether people are asked before it acts for them."""
    since: datetime


class InviteRow(Row):
    """Lets somebody register one client."""

    hash: Key[Sensitive[str]]
    realm: str
    ends: Index[datetime]


class LoginRow(Row):
    """A browser in which somebody is signed in."""

    hash: Key[Sensitive[str]]
    subject: Index[str]
    realm: str
    at: datetime
    assurance: str
    ends: Index[datetime]


class ConsentRow(Row):
    """What somebody lets a client do."""

    subject: Key[str]
    client: Key[str]
    scope: str
    since: datetime


class GrantedRow(Row):
    """One sign-in at one client, with all tokens that come of it: the family."""

    id: Key[str]
    client: str
    subject: Index[str]
    scope: str
    resources: tuple[str, ...]
    nonce: str
    at: datetime
    """When the person proved who he is."""
    assurance: str
    login: Index[str]
    """The browser; a logout there ends it, unless it is for offline use."""
    revoked: bool
    ends: Index[datetime]


class CodeRow(Row):
    """An authorization code."""

    hash: Key[Sensitive[str]]
    granted: str
    redirect: str
    challenge: str
    used: bool
    ends: Index[datetime]


class RefreshRow(Row):
    """A refresh token; each is good once."""

    hash: Key[Sensitive[str]]
    granted: Index[str]
    used: bool
    ends: Index[datetime]


class DeviceRow(Row):
    """A device that waits for somebody to let it in."""

    hash: Key[Sensitive[str]]
    user_code: Unique[Sensitive[str]]
    client: str
    scope: str
    resources: tuple[str, ...]
    state: Literal["waiting", "allowed", "denied", "done"]
    granted: str
    interval: int
    polled: datetime
    ends: Index[datetime]


class SpentRow(Row):
    """What must not be taken again: client assertions, access tokens that were revoked."""

    id: Key[str]
    ends: Index[datetime]
