"""Whether the contract there is one that we can use: asked once where the fingerprints differ."""

from __future__ import annotations

from typing import Any

import msgspec

from enfilade.contract.compare import Told, differences, told
from enfilade.contract.operation import Contract, Operation
from enfilade.endpoint.rpc.replica import Replica
from enfilade.endpoint.rpc.served import CONTRACTS
from enfilade.errors import Unavailable


class Incompatible(Unavailable):
    """The contract there is one that we cannot use; the message names the difference. It did not run."""


class _There(msgspec.Struct):
    version: int
    operations: dict[str, Told]


async def agree(contract: Contract, replica: Replica, until: float) -> None:
    """Learn what a replica serves of a contract: which operations differ, and which of them cannot be used."""
    asked = f"GET {CONTRACTS}{contract.name} HTTP/1.1\r\nhost: {contract.name}\r\n\r\n"
    answer = await replica.ask(asked.encode(), until)
    try:
        there = msgspec.json.decode(answer.body, type=_There) if answer.status == 200 else None
        for operation in contract.operations:
            _note(operation, replica, there)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LookupError, TypeError, AttributeError) as wrong:
        raise Unavailable(f"{replica.address} does not tell the contract of {contract.name}") from wrong


def _note(operation: Operation, replica: Replica, there: _There | None) -> None:
    theirs = None if there is None else there.operations.get(operation.id)
    replica.fingerprints.pop(operation.id, None)
    replica.refused.pop(operation.id, None)
    if theirs is None:
        what = f"has no {operation.id}" if there is not None else f"serves no {operation.service}"
        replica.refused[operation.id] = f"{replica.address} {what}"
    elif found := differences(_as_told(operation), theirs):
        replica.refused[operation.id] = (
            f"{operation.id} of {replica.address} is another one than the one called: {'; '.join(found[:5])}"
        )
    else:
        replica.fingerprints[operation.id] = str(theirs["fingerprint"]).encode()


def _as_told(operation: Operation) -> Any:
    """As it would have come over the wire."""
    return msgspec.json.decode(msgspec.json.encode(told(operation)))
