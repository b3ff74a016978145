"""Who may call: the contract's one slot about access.

needs=anyone                              nobody need be known; a bad token is still refused
needs=signed_in                           a verified caller
needs=Scope("orders:write")               a caller whose token has the scope
needs=Role("editor") & Scope("articles")  both
needs=Role("editor") | Owner              either
needs=Owner                               a caller, who sees and writes only rows of his own
needs=peers                               services whose constructor names the contract, and nobody else
needs=Role("operator") & any_tenant       who belongs to no tenant; he sees the rows of all of them
needs=Owner & Fresh("5m")                 a caller who proved who he is in the last five minutes
needs=Role("support") & may_refund        and a rule of your own about the caller and the arguments; see rule.py

A need answers two questions about a call: is it `met`, and where it is, does it `cross` tenants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from enfilade.contract.limit import period
from enfilade.contract.principal import Principal


class Asked(Protocol):
    """A call, as far as a need looks at it."""

    @property
    def caller(self) -> Principal | None: ...
    @property
    def peer(self) -> str: ...
    @property
    def arguments(self) -> Mapping[str, Any]: ...
    @property
    def now(self) -> datetime: ...


class Need:
    """A condition on the caller."""

    def __and__(self, other: Need) -> Need:
        return AllOf((*_flat(AllOf, self), *_flat(AllOf, other)))

    def __or__(self, other: Need) -> Need:
        return AnyOf((*_flat(AnyOf, self), *_flat(AnyOf, other)))

    def met(self, call: Asked) -> bool:
        """Whether the call may be served, as far as this is concerned. A peer is one that the guard knows."""
        raise NotImplementedError

    def crosses(self, call: Asked) -> bool:
        """Whether a call that meets it is of all tenants."""
        return False


@dataclass(frozen=True)
class Anyone(Need):
    def __str__(self) -> str:
        return "anyone"

    def met(self, call: Asked) -> bool:
        return True


@dataclass(frozen=True)
class SignedIn(Need):
    def __str__(self) -> str:
        return "signed in"

    def met(self, call: Asked) -> bool:
        return call.caller is not None


@dataclass(frozen=True)
class Peers(Need):
    def __str__(self) -> str:
        return "peers"

    def met(self, call: Asked) -> bool:
        return call.peer != ""


@dataclass(frozen=True)
class OwnerNeed(Need):
    """A caller, here; that he sees his own rows only is the store's part."""

    def __str__(self) -> str:
        return "owner"

    def met(self, call: Asked) -> bool:
        return call.caller is not None


@dataclass(frozen=True)
class Scope(Need):
    """The caller's token carries this scope."""

    name: str

    def __str__(self) -> str:
        return f"scope {self.name}"

    def met(self, call: Asked) -> bool:
        return call.caller is not None and self.name in call.caller.scopes


@dataclass(frozen=True)
class Role(Need):
    """The caller's token carries this role."""

    name: str

    def __str__(self) -> str:
        return f"role {self.name}"

    def met(self, call: Asked) -> bool:
        return call.caller is not None and self.name in call.caller.roles


@dataclass(frozen=True)
class AnyTenant(Need):
    """The operation crosses tenants: for callers who belong to none, and for peers. It says so; others decide who.

    A person who belongs to a tenant brings no service across: for him a peer meets it only where `peers` stands beside.
    """

    def __str__(self) -> str:
        return "any tenant"

    def met(self, call: Asked) -> bool:
        return call.peer != "" if call.caller is None else call.caller.tenant == ""

    def crosses(self, call: Asked) -> bool:
        return True


@dataclass(frozen=True)
class Fresh(Need):
    """The caller proved who he is not longer ago than `within`, and as well as `assurance` says (RFC 9470).

    `within` is a period like "5m"; `assurance` the authentication context classes (`acr`) that will do, with spaces
    between them.
    """

    within: str = ""
    assurance: str = ""

    def __str__(self) -> str:
        said = (f"within {self.within}" if self.within else "", f"as {self.assurance}" if self.assurance else "")
        return f"a log-in {' '.join(one for one in said if one)}"

    @property
    def seconds(self) -> float:
        """`within` in seconds, infinite where it says nothing. Raises ValueError where it cannot be read."""
        return period(self.within or "forever")

    def met(self, call: Asked) -> bool:
        caller = call.caller
        if caller is None or (self.assurance and caller.assurance not in self.assurance.split()):
            return False
        return call.now.timestamp() - caller.authenticated <= self.seconds


@dataclass(frozen=True)
class AllOf(Need):
    needs: tuple[Need, ...]

    def __str__(self) -> str:
        return " and ".join(f"({need})" if isinstance(need, AnyOf) else str(need) for need in self.needs)

    def met(self, call: Asked) -> bool:
        if all(one.met(call) for one in self.needs):
            return True
        if call.peer and peers in self.needs:
            return all(one.met(call) for one in self.needs if not isinstance(one, AnyTenant))
        return False

    def crosses(self, call: Asked) -> bool:
        return any(one.crosses(call) for one in self.needs)


@dataclass(frozen=True)
class AnyOf(Need):
    needs: tuple[Need, ...]

    def __str__(self) -> str:
        return " or ".join(str(need) for need in self.needs)

    def met(self, call: Asked) -> bool:
        return any(one.met(call) for one in self.needs)

    def crosses(self, call: Asked) -> bool:
        return any(one.crosses(call) and one.met(call) for one in self.needs)


anyone = Anyone()
signed_in = SignedIn()
peers = Peers()
any_tenant = AnyTenant()
Owner = OwnerNeed()


def parts(need: Need) -> Iterator[Need]:
    """What a need is made of, without the `&` and `|` between."""
    if isinstance(need, AllOf | AnyOf):
        for one in need.needs:
            yield from parts(one)
    else:
        yield need


def replaced(need: Need, change: Callable[[Need], Need | None]) -> Need | None:
    """The need with each part changed. What becomes None can never be met, and takes what needs it along."""
    match need:
        case AllOf():
            changed = [replaced(one, change) for one in need.needs]
            left = tuple(one for one in changed if one is not None)
            return AllOf(left) if len(left) == len(changed) else None
        case AnyOf():
            left = tuple(one for part in need.needs if (one := replaced(part, change)) is not None)
            return AnyOf(left) if len(left) > 1 else left[0] if left else None
        case _:
            return change(need)


def outside(need: Need) -> Need | None:
    """What is asked of a caller from outside, who is no peer; None where he can never have it."""
    return replaced(need, lambda part: None if isinstance(part, Peers) else part)


def _flat(kind: type[AllOf] | type[AnyOf], need: Need) -> tuple[Need, ...]:
    return need.needs if isinstance(need, kind) else (need,)
