"""Why a call is allowed or denied: each part of what is asked, with yes or no, and what the caller would need."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from typing import Any

import msgspec

from enfilade.call import Call, Station, row
from enfilade.contract.need import AllOf, AnyOf, Need, Peers, outside, parts
from enfilade.contract.rule import Rule
from enfilade.errors import Problem
from enfilade.guard import Callers, Policy, needs, policies, rules


class Part(msgspec.Struct, frozen=True):
    """One thing that is asked, `depth` deep within others."""

    depth: int
    text: str
    met: bool | None
    """None where a rule asks for arguments that nobody said."""


class Explanation(msgspec.Struct, frozen=True):
    """What would become of a call, and why."""

    operation: str
    allowed: bool | None
    status: int
    """Of the refusal; 200 where there is none, 0 where it depends on arguments that nobody said."""
    parts: tuple[Part, ...]
    policies: tuple[str, ...]
    """The names of the central policies that decided."""
    lacks: str
    """What he would need in addition, in words."""


def explain(call: Call, callers: Callers, policy: Policy | None = None) -> Explanation:
    """Asks what the guards ask, and each part on its own. Nothing is served."""
    operation = call.operation
    need = operation.needs
    known = call.peer != "" and call.peer in callers(operation.service)
    stations = [needs(callers)]
    if not (unsaid := _unsaid(need, call)):
        stations += [rules(callers), policies(policy)]
    refusal = _refusal(call, stations)
    lacks = ""
    if refusal is not None:
        lacks = _lacking(need, call, known) or "a policy that permits it, and none that forbids it"
    return Explanation(
        operation=operation.id,
        allowed=False if refusal is not None else None if unsaid else True,
        status=refusal.status if refusal is not None else 0 if unsaid else 200,
        parts=tuple(_parts(need, call, known, 0)),
        policies=call.policies,
        lacks=lacks,
    )


def _refusal(call: Call, stations: Sequence[Station]) -> Problem | None:
    """What the guards themselves say."""

    def served(_: Call) -> Awaitable[Any]:
        raise _Served

    try:
        row(call.operation, stations, served)(call)
    except _Served:
        return None
    except Problem as problem:
        return problem
    raise AssertionError


class _Served(Exception):
    pass


def _parts(need: Need, call: Call, known: bool, depth: int) -> Iterator[Part]:
    met = None if _unsaid(need, call) else _met(need, call, known)
    if isinstance(need, AllOf | AnyOf):
        yield Part(depth, "all of" if isinstance(need, AllOf) else "one of", met)
        for one in need.needs:
            yield from _parts(one, call, known, depth + 1)
    else:
        yield Part(depth, f"{need}: {need.text}" if isinstance(need, Rule) else str(need), met)


def _unsaid(need: Need, call: Call) -> bool:
    rules = (part for part in parts(need) if isinstance(part, Rule))
    return any(name not in call.arguments for rule in rules for name in rule.takes)


def _met(need: Need, call: Call, known: bool) -> bool:
    asked = need if known else outside(need)
    return asked is not None and asked.met(call)


def _lacking(need: Need, call: Call, known: bool) -> str:
    """What of it is not met: all of it, or any one of several; empty where it is met."""
    if not _unsaid(need, call) and _met(need, call, known):
        return ""
    match need:
        case AllOf(parts):
            return " and ".join(filter(None, (_lacking(one, call, known) for one in parts)))
        case AnyOf(parts):
            return " or ".join(_lacking(one, call, known) for one in parts)
        case Peers():
            return "to be a service whose constructor names the contract"
        case Rule():
            return f"{need} to hold"
        case _:
            return str(need)
