"""What of an operation is known to whoever stands before its service: where people outside come in, and what is held
there. It can be told to another process, which need not have the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import msgspec

from enfilade.contract.blob import Blob
from enfilade.contract.limit import Rate, period
from enfilade.contract.need import AllOf, AnyOf, Asked, Need, OwnerNeed, Role, Scope, SignedIn, outside
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.rule import Rule
from enfilade.contract.signature import is_stream


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """The way to one operation."""

    id: str
    service: str
    method: str
    path: str
    needs: Any
    """Who may call, as `told`."""
    rates: tuple[Rate, ...] = ()
    body: int = 0
    """Bytes that a body may have; 0 where it is passed on piece by piece."""
    timeout: float
    idle: float = 0.0
    """Seconds of silence in a stream, or till it begins; 0 is no stream."""
    lasting: float = 0.0
    """Seconds that a stream may last; 0 is without end."""
    query: bool = False
    headers: tuple[str, ...] = ()
    """Fields that are parameters."""


@dataclass(frozen=True)
class Words(Need):
    """A need of which only words are known here: whoever serves the operation asks it."""

    said: str
    knows: bool
    """Whether it asks for the caller."""

    def __str__(self) -> str:
        return self.said

    def met(self, call: Asked) -> bool:
        return not self.knows or call.caller is not None


def doors(contract: Contract) -> tuple[Door, ...]:
    """The operations that somebody from outside can call."""
    return tuple(_door(one, need) for one in contract.operations if one.path and (need := outside(one.needs)))


def told(need: Need) -> Any:
    """A need in plain lists and texts."""
    match need:
        case AllOf():
            return {"all": [told(one) for one in need.needs]}
        case AnyOf():
            return {"any": [told(one) for one in need.needs]}
        case Scope():
            return {"scope": need.name}
        case Role():
            return {"role": need.name}
        case _:
            knows = need.knows if isinstance(need, Rule | Words) else isinstance(need, SignedIn | OwnerNeed)
            return {"words": str(need), "knows": knows}


def heard(said: Mapping[str, Any]) -> Need:
    """The need that was told, as far as it can be."""
    match said:
        case {"all": needs}:
            return AllOf(tuple(map(heard, needs)))
        case {"any": needs}:
            return AnyOf(tuple(map(heard, needs)))
        case {"scope": name}:
            return Scope(name)
        case {"role": name}:
            return Role(name)
        case _:
            return Words(said["words"], said["knows"])


def _door(operation: Operation, need: Need) -> Door:
    streams = operation.style in ("stream", "bytes", "blob")
    return Door(
        id=operation.id,
        service=operation.service,
        method=operation.method,
        path=operation.path,
        needs=told(need),
        rates=operation.rates,
        body=0 if _uploads(operation) else operation.body_limit,
        timeout=operation.timeout,
        idle=max(operation.timeout, operation.idle) if streams else 0.0,
        lasting=lasting if streams and isfinite(lasting := period(operation.flow.lasting)) else 0.0,
        query=operation.kind == "query",
        headers=tuple(one.wire for one in operation.parameters if one.place == "header"),
    )


def _uploads(operation: Operation) -> bool:
    """Whether its body may be larger than memory, and is passed on piece by piece."""
    kinds = [one.type for one in operation.parameters]
    return any(is_stream(kind) or Blob in (kind, *getattr(kind, "__args__", ())) for kind in kinds)
