"""What the contracts say about access, as Cedar policies and their schema: to be read, reviewed and tightened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeAlias

import msgspec

from enfilade.contract.need import (
    AllOf,
    AnyOf,
    Anyone,
    AnyTenant,
    Fresh,
    Need,
    OwnerNeed,
    Peers,
    Role,
    Scope,
    SignedIn,
)
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.rule import Rule
from enfilade.errors import Misuse
from enfilade.policy.facts import SCHEMA, Facts

Callers: TypeAlias = Callable[[str], Collection[str]]
_CALLER: Final = "principal is Caller"


def schema_of(contracts: Sequence[Contract]) -> str:
    """The Cedar schema of what policies may ask about these contracts."""
    actions = [Facts(one).schema() for contract in contracts for one in contract.operations]
    groups = [f'action "{contract.name}";\n' for contract in contracts]
    return "\n".join((SCHEMA, *groups, *actions))


def policies_of(contracts: Sequence[Contract], callers: Callers) -> str:
    """One policy for each operation, named as it: the same answers as the contracts give. `callers` are the peers."""
    return "\n".join(
        _policy(operation, callers(operation.service)) for contract in contracts for operation in contract.operations
    )


def _policy(operation: Operation, callers: Collection[str]) -> str:
    head = f'@id("{operation.id}")\npermit (principal, action == Action::"{operation.id}", resource)'
    condition = _condition(operation.needs, callers)
    comment = f"// {operation.needs}\n"
    return f"{comment}{head};\n" if condition == "true" else f"{comment}{head}\nwhen {{ {condition} }};\n"


def _condition(need: Need, callers: Collection[str]) -> str:
    match need:
        case AllOf(needs):
            # Beside `peers`, a peer is let across tenants whoever he calls for.
            asked = [
                one for one in needs if not (isinstance(one, AnyTenant) and any(isinstance(i, Peers) for i in needs))
            ]
            return " && ".join(_within(_condition(one, callers)) for one in asked)
        case AnyOf(needs):
            return " || ".join(_within(_condition(one, callers)) for one in needs)
        case Peers():
            return f"{_texts(sorted(callers))}.contains(context.peer)"
        case _:
            return _part(need)


def _part(need: Need) -> str:
    match need:
        case Anyone():
            return "true"
        case SignedIn() | OwnerNeed():
            return _CALLER
        case Scope(name):
            return f"{_CALLER} && principal.scopes.contains({_text(name)})"
        case Role(name):
            return f"{_CALLER} && principal.roles.contains({_text(name)})"
        case AnyTenant():
            return f'if {_CALLER} then principal.tenant == "" else context.peer != ""'
        case Fresh(within, assurance):
            said = [_CALLER]
            if within:
                said.append(f"context.now - principal.authenticated <= {int(need.seconds * 1_000_000)}")
            if assurance:
                said.append(f"{_texts(assurance.split())}.contains(principal.assurance)")
            return " && ".join(said)
        case Rule():
            return f"context.rules.contains({_text(need.name)})"
        case _:
            raise Misuse(f"Cedar has no words for the need {need}")


def _within(condition: str) -> str:
    return f"({condition})" if " " in condition else condition


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _texts(values: Collection[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"
