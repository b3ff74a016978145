"""May he, as central policies see it: they may forbid, and they allow nothing that a contract does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

from enfilade.call import Call, Handler, Station
from enfilade.contract.operation import Operation
from enfilade.errors import Forbidden


class Decision(NamedTuple):
    """What policies say about a call."""

    allowed: bool
    by: tuple[str, ...]
    """The names of those that decided; none where nothing allows it."""


Decide: TypeAlias = Callable[[Call], Decision]


class Policy(Protocol):
    """Central policies, at work."""

    def of(self, operation: Operation) -> Decide | None:
        """What decides about calls of an operation; None where policies are not about it."""
        ...


def policies(policy: Policy | None) -> Station:
    """Refuses what policies do not allow: 403. Which of them decided is in the audit, and not told to the caller."""

    def station(operation: Operation, handler: Handler) -> Handler:
        decide = None if policy is None else policy.of(operation)
        if decide is None:
            return handler

        def decided(call: Call) -> Awaitable[Any]:
            allowed, call.policies = decide(call)
            if not allowed:
                raise Forbidden(detail=f"No policy allows this call of {operation.id}, or one forbids it.")
            return handler(call)

        return decided

    return station
