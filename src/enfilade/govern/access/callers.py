"""The crowd at the doors, and what the contract expects of each of them.

The expectation is worked out here and not asked of the guard, or a mistake of the guard would be expected.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from enfilade.call import Principal
from enfilade.contract.need import AllOf, AnyOf, Anyone, AnyTenant, Fresh, Need, OwnerNeed, Peers, Role, Scope, SignedIn
from enfilade.contract.need import parts as parts_of
from enfilade.contract.operation import Operation

Expected = Literal["in", "out", "absent", "either"]
"""Let in; refused as 401 or 403; as if there were no such operation; not to be told from the contract."""

TENANTS: Final = ("", "north")


@dataclass(frozen=True)
class Someone:
    """One of the crowd."""

    label: str
    principal: Principal | None


def crowd(operations: Iterable[Operation], now: float) -> tuple[Someone, ...]:
    """Callers with each right that any contract names: alone, all but it; none of them, all of them; and nobody."""
    words = sorted({str(part) for one in operations for part in parts_of(one.needs) if isinstance(part, Scope | Role)})
    sets: dict[str, frozenset[str]] = {"no right": frozenset(), "every right": frozenset(words)}
    for word in words:
        sets[f"only {word}"] = frozenset((word,))
        sets[f"all but {word}"] = frozenset(words) - {word}
    found = [Someone("nobody", None)]
    for tenant in TENANTS:
        of = f" of tenant {tenant}" if tenant else ""
        for label, rights in sets.items():
            found.append(Someone(f"somebody{of} with {label}", _person(rights, tenant, now)))
    found.append(Someone("somebody with every right who logged in long ago", _person(frozenset(words), "", 1.0)))
    return tuple(found)


def expected(need: Need, who: Principal | None, now: float) -> Expected:
    """What the contract says about a caller from outside, before his arguments are looked at."""
    if not _reachable(need):
        return "absent"
    met = _met(need, who, now)
    return "either" if met is None else "in" if met else "out"


def _person(rights: frozenset[str], tenant: str, authenticated: float) -> Principal:
    return Principal(
        subject=f"crowd-{tenant or 'home'}",
        tenant=tenant,
        scopes=frozenset(one.removeprefix("scope ") for one in rights if one.startswith("scope ")),
        roles=frozenset(one.removeprefix("role ") for one in rights if one.startswith("role ")),
        authenticated=authenticated,
    )


def _reachable(need: Need) -> bool:
    """Whether anybody outside can ever meet it."""
    match need:
        case Peers():
            return False
        case AllOf(needs):
            return all(map(_reachable, needs))
        case AnyOf(needs):
            return any(map(_reachable, needs))
        case _:
            return True


def _met(need: Need, who: Principal | None, now: float) -> bool | None:
    """Whether he meets it; None where that depends on the arguments."""
    match need:
        case Anyone():
            return True
        case Peers():
            return False
        case SignedIn() | OwnerNeed():
            return who is not None
        case Scope(name):
            return who is not None and name in who.scopes
        case Role(name):
            return who is not None and name in who.roles
        case AnyTenant():
            return who is not None and who.tenant == ""
        case Fresh():
            fits = who is not None and (not need.assurance or who.assurance in need.assurance.split())
            return fits and who is not None and now - who.authenticated <= need.seconds
        case AllOf(needs):
            answers = [_met(one, who, now) for one in needs]
            return False if False in answers else None if None in answers else True
        case AnyOf(needs):
            answers = [_met(one, who, now) for one in needs]
            return True if True in answers else None if None in answers else False
        case _:
            return None
