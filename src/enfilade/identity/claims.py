"""What an issuer's tokens say, wherever it says it, as a `Principal`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec

from enfilade.call import Principal
from enfilade.identity.issuer import Issuer
from enfilade.identity.revoked import Marks

Said: TypeAlias = dict[str, object]

_FAR: Final = 2.0**53
"""Seconds: times beyond it (and infinity) are no times."""
_ACTORS: Final = 8
"""How many may act for one another."""
_KINDS: Final[dict[object, Literal["user", "service", "agent"]]] = {
    "user": "user", "service": "service", "agent": "agent", "app": "service", "client-credentials": "service",
}  # fmt: skip


class Refused(Exception):
    """Why a token is not believed: for our log, and nobody else."""


class _Common(msgspec.Struct):
    """What every token says in the same place. Types are strict: `"exp": "1"` is refused."""

    iss: str
    exp: int | float
    nbf: int | float = 0
    iat: int | float = 0
    auth_time: int | float = 0
    acr: str = ""
    jti: str = ""
    sid: str = ""
    act: object = None
    # What marks ID, refresh and logout tokens at issuers that give every token the type JWT.
    typ: str = "Bearer"
    use: str = msgspec.field(default="access", name="token_use")
    nonce: object = None
    at_hash: object = None
    c_hash: object = None
    events: object = None


def claims_of(issuer: Issuer) -> Callable[[Said, float], tuple[Principal, Marks, float]]:
    """Reads the claims of one issuer's tokens: given them and the time, says who, what it can be taken back by, and
    for how many seconds it is still good. Raises Refused, or ValidationError for a claim of the wrong type."""
    where = issuer.claims
    subject, audience = _place(where.subject), _place(where.audience)
    clients, scopes, roles = ([_place(one) for one in each] for each in (where.client, where.scopes, where.roles))
    tenant, kind = _place(where.tenant or "tenant"), _place(where.kind)
    ours = issuer.audiences

    def read(said: Said, now: float) -> tuple[Principal, Marks, float]:
        common = msgspec.convert(said, _Common)
        left = _left(common, issuer.skew, now)
        named = audience(said)
        if not (named in ours if isinstance(named, str) else any(one in ours for one in _texts(named))):
            raise Refused("it is for somebody else")
        if common.typ != "Bearer" or common.use != "access" or _marked(common):
            raise Refused("it is not an access token")
        name = _text(subject(said))
        if not name:
            raise Refused("it names nobody")
        client = next((text for place in clients if (text := _text(place(said)))), "")
        principal = Principal(
            subject=issuer.prefix + name,
            kind=_kind(kind(said), client == name),
            tenant=_tenant(_text(tenant(said)), issuer),
            scopes=frozenset(word for place in scopes for word in _words(place(said))),
            roles=frozenset(role for place in roles for role in _texts(place(said))),
            issuer=common.iss,
            client=client,
            actors=tuple(issuer.prefix + actor for actor in _actors(common.act)) if common.act is not None else (),
            authenticated=float(common.auth_time),
            assurance=common.acr,
        )
        return principal, Marks(common.iss, name, common.jti, common.sid, common.iat), left

    return read


def _place(name: str) -> Callable[[Said], object]:
    """What stands at a place; None where nothing does."""
    if "." not in name or ":" in name or "/" in name:
        return lambda said: said.get(name)
    path = name.split(".")

    def find(said: Said) -> object:
        found: Any = said
        for part in path:
            found = cast("Said", found).get(part) if isinstance(found, dict) else None
        return found

    return find


def _left(common: _Common, skew: float, now: float) -> float:
    if not all(0 <= when < _FAR for when in (common.exp, common.nbf, common.iat, common.auth_time)):
        raise Refused("its times are no times")
    if common.exp + skew <= now:
        raise Refused("it has expired")
    if max(common.nbf, common.iat, common.auth_time) - skew > now:
        raise Refused("it is not yet valid")
    return common.exp + skew - now


def _marked(common: _Common) -> bool:
    return not (common.nonce is common.at_hash is common.c_hash is common.events is None)


def _tenant(said: str, issuer: Issuer) -> str:
    if issuer.tenant:
        if said not in ("", issuer.tenant):
            raise Refused("its issuer does not speak for that tenant")
        return issuer.tenant
    if not said and issuer.claims.tenant:
        raise Refused("it names no tenant")
    return said


def _kind(said: object, alone: bool) -> Literal["user", "service", "agent"]:
    found = _KINDS.get(said) if isinstance(said, str) else None
    return found or ("service" if alone else "user")  # a client that is its own subject: RFC 9068, 2.2


def _actors(act: object) -> Iterator[str]:
    """Who acts, the nearest first: an actor stands in the next one's claim (RFC 8693, 4.1)."""
    for _ in range(_ACTORS):
        if act is None:
            return
        if not isinstance(act, dict):
            break
        said = cast("Said", act)
        name = _text(said.get("sub"))
        if not name:
            break
        yield name
        act = said.get("act")
    raise Refused("it does not say who acts, or names too many")


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused("a claim that is text is not")
    return value


def _texts(value: object) -> Iterable[str]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[Any]", value)):
        raise Refused("a claim that is a list of texts is not")
    return cast("list[str]", value)


def _words(value: object) -> Iterable[str]:
    return value.split() if isinstance(value, str) else _texts(value)
