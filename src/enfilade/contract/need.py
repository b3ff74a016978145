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
"""

from __future__ import annotations

from dataclasses import dataclass


class Need:
    """A condition on the caller."""

    def __and__(self, other: Need) -> Need:
        return AllOf((self, other))

    def __or__(self, other: Need) -> Need:
        return AnyOf((self, other))


@dataclass(frozen=True)
class Anyone(Need):
    def __str__(self) -> str:
        return "anyone"


@dataclass(frozen=True)
class SignedIn(Need):
    def __str__(self) -> str:
        return "signed in"


@dataclass(frozen=True)
class Peers(Need):
    def __str__(self) -> str:
        return "peers"


@dataclass(frozen=True)
class OwnerNeed(Need):
    def __str__(self) -> str:
        return "owner"


@dataclass(frozen=True)
class Scope(Need):
    """The caller's token carries this scope."""

    name: str

    def __str__(self) -> str:
        return f"scope {self.name}"


@dataclass(frozen=True)
class Role(Need):
    """The caller's token carries this role."""

    name: str

    def __str__(self) -> str:
        return f"role {self.name}"


@dataclass(frozen=True)
class AnyTenant(Need):
    """The operation crosses tenants: for callers who belong to none, and for peers. It says so; others decide who."""

    def __str__(self) -> str:
        return "any tenant"


@dataclass(frozen=True)
class Fresh(Need):
    """The caller proved who he is not longer ago than `within`, and as well as `assurance` says (RFC 9470).

    `within` is a period like "5m"; `assurance` an authentication context class (`acr`) that the issuer knows.
    """

    within: str = ""
    assurance: str = ""

    def __str__(self) -> str:
        said = (f"within {self.within}" if self.within else "", f"as {self.assurance}" if self.assurance else "")
        return f"a log-in {' '.join(one for one in said if one)}"


@dataclass(frozen=True)
class AllOf(Need):
    needs: tuple[Need, ...]

    def __str__(self) -> str:
        return " and ".join(f"({need})" if isinstance(need, AnyOf) else str(need) for need in self.needs)


@dataclass(frozen=True)
class AnyOf(Need):
    needs: tuple[Need, ...]

    def __str__(self) -> str:
        return " or ".join(str(need) for need in self.needs)


anyone = Anyone()
signed_in = SignedIn()
peers = Peers()
any_tenant = AnyTenant()
Owner = OwnerNeed()
