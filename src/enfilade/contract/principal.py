"""Who calls, in words that a contract's rules may use."""

from __future__ import annotations

from typing import Literal

from enfilade.contract.message import Message


class Principal(Message):
    """Who calls: a person, a service or an agent, as a verified token names him."""

    subject: str
    kind: Literal["user", "service", "agent"] = "user"
    tenant: str = ""
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    issuer: str = ""
    client: str = ""
    """The OAuth client, API key or peer by which he came."""
    actors: tuple[str, ...] = ()
    """Who acts for him, the nearest first (`act`, RFC 8693); empty where he acts himself."""
    authenticated: float = 0.0
    """When he proved who he is (`auth_time`), in seconds since 1970; 0 where that is not known."""
    assurance: str = ""
    """How well he proved it (`acr`)."""
