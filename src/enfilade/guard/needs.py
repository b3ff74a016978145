"""May he: what the operation declares about access, asked in two places of the row.

Before a request is read everything is asked but the operation's rules, which look at the arguments; after it, those.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from typing import Any, TypeAlias

from enfilade.call import Call, Handler, Station
from enfilade.contract.need import (
    Anyone,
    AnyTenant,
    Fresh,
    Need,
    Peers,
    Scope,
    anyone,
    outside,
    parts,
    replaced,
    signed_in,
)
from enfilade.contract.operation import Operation
from enfilade.contract.rule import Rule
from enfilade.errors import Forbidden, NotFound, Problem, Unauthenticated

Callers: TypeAlias = Callable[[str], Container[str]]
"""Who may call a service as a peer: the services whose constructors name its contract."""


def needs(callers: Callers) -> Station:
    """Refuses who may not. `Owner` is a caller here; that he sees his own rows only is the store's part.

    Nobody: 401. Somebody who has to prove anew who he is: 401 that says how fresh. Somebody without the right: 403 that
    says what is needed. What only peers may call does not exist for anybody outside: 404, as if there were no such
    operation. A call that may cross tenants becomes `wide`.
    """

    def station(operation: Operation, handler: Handler) -> Handler:
        need = operation.needs
        if isinstance(need, Anyone):
            return handler
        later = has_rules(need)
        return _asking(operation, handler, callers, before_reading(need) if later else need, widens=not later)

    return station


def rules(callers: Callers) -> Station:
    """Asks the whole need again where rules are part of it, now that the arguments are known."""

    def station(operation: Operation, handler: Handler) -> Handler:
        if not has_rules(operation.needs):
            return handler
        return _asking(operation, handler, callers, operation.needs, widens=True)

    return station


def has_rules(need: Need) -> bool:
    return any(isinstance(part, Rule) for part in parts(need))


def before_reading(need: Need) -> Need:
    """What can be asked without the arguments; who does not meet this never meets the need."""
    return (
        replaced(need, lambda part: (signed_in if part.knows else anyone) if isinstance(part, Rule) else part) or need
    )


def _asking(operation: Operation, handler: Handler, callers: Callers, need: Need, *, widens: bool) -> Handler:
    known = callers(operation.service)
    outer = outside(need)
    crossing = widens and any(isinstance(part, AnyTenant) for part in parts(need))
    refusal = _Refusal(operation, outer)

    def allowed(call: Call) -> Awaitable[Any]:
        asked = need if call.peer and call.peer in known else outer
        if asked is None or not asked.met(call):
            raise refusal.of(call, asked)
        if crossing and asked.crosses(call):
            call.wide = True
        return handler(call)

    return allowed


class _Refusal:
    """What a refused caller is told; nothing of what peers may."""

    def __init__(self, operation: Operation, outer: Need | None) -> None:
        self._internal = isinstance(operation.needs, Peers)
        self._needs = str(outer or operation.needs)
        rules = [part.text for part in parts(outer or anyone) if isinstance(part, Rule)]
        self._text = " ".join([f"{operation.id} needs {self._needs}.", *rules])
        scopes = " ".join(sorted({part.name for part in parts(outer or anyone) if isinstance(part, Scope)}))
        self._challenge = 'error="insufficient_scope"' + (f', scope="{scopes}"' if scopes else "")

    def of(self, call: Call, asked: Need | None) -> Problem:
        if asked is None and not call.peer:
            return NotFound()
        if call.caller is None and not self._internal:
            return Unauthenticated(detail=f"{self._text} Nobody is signed in.")
        if asked is not None and (stale := _stale(asked, call)) is not None:
            return Unauthenticated(detail=self._text, challenge=_again(stale))
        return Forbidden(detail=self._text, needs=self._needs, challenge=self._challenge)


def _stale(need: Need, call: Call) -> Fresh | None:
    """The fresh log-in that is all that a caller lacks."""
    lacking = [part for part in parts(need) if isinstance(part, Fresh) and not part.met(call)]
    if not lacking:
        return None
    eased = replaced(need, lambda part: signed_in if isinstance(part, Fresh) else part)
    return lacking[0] if eased is not None and eased.met(call) else None


def _again(fresh: Fresh) -> str:
    """What an authorization request has to ask for (RFC 9470, section 3)."""
    said = ['error="insufficient_user_authentication"']
    if fresh.assurance:
        said.append(f'acr_values="{fresh.assurance}"')
    if fresh.within:
        said.append(f'max_age="{int(fresh.seconds)}"')
    return ", ".join(said)
