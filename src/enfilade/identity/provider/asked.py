"""What a client asks for, and what of it it may have: scopes and audiences."""

from __future__ import annotations

from enfilade.identity.provider.clients import STANDARD
from enfilade.identity.provider.mint import within, words
from enfilade.identity.provider.problems import refused
from enfilade.identity.provider.rows import ClientRow
from enfilade.identity.provider.seal import Host


def scope_of_person(asked: str, client: ClientRow) -> str:
    """Scopes of a client that acts for somebody. Raises Refused where nothing is left of what was asked."""
    return _left(asked, (*STANDARD, *client.scopes))


def scope_of_client(asked: str, client: ClientRow) -> str:
    """Scopes of a client that acts for itself; all that it has where it does not say."""
    return _left(asked or " ".join(client.scopes), client.scopes)


def narrowed(asked: str, before: str) -> str:
    """Fewer scopes than there were. Raises Refused where one is new (RFC 6749, 6)."""
    if not asked:
        return before
    if not set(words(asked)) <= set(words(before)):
        raise refused("invalid_scope", "That is more than was allowed.")
    return " ".join(words(asked))


def resources(asked: tuple[str, ...], client: ClientRow, host: Host) -> tuple[str, ...]:
    """Audiences that may be asked for (RFC 8707). Raises Refused."""
    allowed = (host.audience, *client.resources)
    if unknown := [one for one in asked if one not in allowed]:
        raise refused("invalid_target", f"This client gets no tokens for {unknown[0][:200]}.")
    return tuple(dict.fromkeys(asked))


def audience(asked: tuple[str, ...], before: tuple[str, ...], host: Host) -> tuple[str, ...]:
    """Whom a token is for: who is asked for, of those that were allowed before; the app where nobody is said."""
    allowed = before or (host.audience,)
    if unknown := [one for one in asked if one not in allowed]:
        raise refused("invalid_target", f"Nobody allowed tokens for {unknown[0][:200]}.")
    return asked or allowed


def _left(asked: str, allowed: tuple[str, ...]) -> str:
    left = within(asked, allowed)
    if asked.strip() and not left:
        raise refused("invalid_scope", "This client has none of these scopes.")
    return left
