"""Those who call in a test, and the places of its fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from typing_extensions import TypeForm

from enfilade.call import Principal

if TYPE_CHECKING:
    from enfilade.testing.stage import Stage

C = TypeVar("C")
S = TypeVar("S", bound="Stage")


class Given(Generic[S, C]):
    """The place of a fake: `given(Catalog).by(fake)`, where the fake must be of the contract's shape."""

    def __init__(self, stage: S, contract: Any) -> None:
        self._stage = stage
        self._contract = contract

    def by(self, fake: C) -> S:
        self._stage._replace(self._contract, fake)
        return self._stage


class Caller:
    """Someone who calls: `ann.of(Orders).place("tea")`, or over HTTP with `headers=ann.headers`."""

    def __init__(self, stage: Stage, principal: Principal | None, peer: str = "") -> None:
        self._stage = stage
        self._peer = peer
        self.principal = principal

    def of(self, contract: TypeForm[C]) -> C:
        """A handle that calls as this caller."""
        return self._stage._scene.mine.get(contract, acting=self.principal, peer=self._peer)

    @property
    def headers(self) -> dict[str, str]:
        """`Authorization`, with a token of the development issuer."""
        tokens = self._stage._scene.mine.supplies.tokens
        if self.principal is None or tokens is None:
            return {}
        who = self.principal
        token = tokens.issue(
            who.subject, scopes=sorted(who.scopes), roles=sorted(who.roles), tenant=who.tenant, kind=who.kind
        )
        return {"authorization": f"Bearer {token}"}
