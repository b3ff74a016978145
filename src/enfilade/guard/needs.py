"""May he: what the operation declares about access, as one check that is built once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from functools import reduce
from typing import TypeAlias

from enfilade.call import Call, Handler, Station
from enfilade.contract.need import AllOf, AnyOf, Anyone, Need, OwnerNeed, Peers, Role, Scope, SignedIn
from enfilade.contract.operation import Operation
from enfilade.errors import Forbidden, Misuse, NotFound, Unauthenticated

Callers: TypeAlias = Callable[[str], Container[str]]
"""Who may call a service as a peer: the services whose constructors name its contract."""

_Check: TypeAlias = Callable[[Call], bool]


def needs(callers: Callers) -> Station:
    """Refuses who may not. `Owner` is a caller here; that he sees his own rows only is the store's part.

    Nobody: 401. Somebody without the right: 403 that says what is needed. What only peers may call does not exist for
    anybody outside: 404, as if there were no such operation.
    """

    def station(operation: Operation, handler: Handler) -> Handler:
        if isinstance(operation.needs, Anyone):
            return handler
        outside = _without_peers(operation.needs)
        peers = callers(operation.service)
        inner = _check(operation.needs, peers)
        outer = None if outside is None else _check(outside, peers)
        text = str(outside or operation.needs)
        challenge = _challenge(outside)

        def allowed(call: Call) -> Awaitable[object]:
            check = inner if call.peer else outer
            if check is None:
                raise NotFound
            if check(call):
                return handler(call)
            if call.caller is None and not isinstance(operation.needs, Peers):
                raise Unauthenticated(detail=f"{operation.id} needs {text}, and nobody is signed in.")
            raise Forbidden(detail=f"{operation.id} needs {text}.", needs=text, challenge=challenge)

        return allowed

    return station


def _check(need: Need, peers: Container[str]) -> _Check:
    match need:
        case Anyone():
            return lambda call: True
        case SignedIn() | OwnerNeed():
            return lambda call: call.caller is not None
        case Scope(name):
            return lambda call: call.caller is not None and name in call.caller.scopes
        case Role(name):
            return lambda call: call.caller is not None and name in call.caller.roles
        case Peers():
            return lambda call: call.peer in peers
        case AllOf(parts):
            return reduce(_both, [_check(part, peers) for part in parts])
        case AnyOf(parts):
            return reduce(_either, [_check(part, peers) for part in parts])
        case _:
            raise Misuse(f"no guard knows the need {need}: combine those of enfilade with & and |")


def _both(one: _Check, other: _Check) -> _Check:
    return lambda call: one(call) and other(call)


def _either(one: _Check, other: _Check) -> _Check:
    return lambda call: one(call) or other(call)


def _without_peers(need: Need) -> Need | None:
    """What is asked of a caller from outside, who is no peer; None where he can never have it."""
    match need:
        case Peers():
            return None
        case AllOf(parts):
            return None if None in (left := [_without_peers(part) for part in parts]) else AllOf(_there(left))
        case AnyOf(parts):
            there = _there([_without_peers(part) for part in parts])
            return AnyOf(there) if len(there) > 1 else there[0] if there else None
        case _:
            return need


def _there(parts: list[Need | None]) -> tuple[Need, ...]:
    return tuple(part for part in parts if part is not None)


def _challenge(need: Need | None) -> str:
    """What a token would have to have (RFC 6750, 3.1)."""
    scopes = " ".join(sorted(_scopes(need)))
    return 'error="insufficient_scope"' + (f', scope="{scopes}"' if scopes else "")


def _scopes(need: Need | None) -> set[str]:
    match need:
        case Scope(name):
            return {name}
        case AllOf(parts) | AnyOf(parts):
            return {name for part in parts for name in _scopes(part)}
        case _:
            return set()
