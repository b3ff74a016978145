"""Guards that were probably forgotten. Warnings: the contract may mean it, and then says why in an exemption."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import get_args, get_origin

import msgspec

from enfilade.call import current
from enfilade.contract.marks import has_mark
from enfilade.contract.need import AllOf, AnyOf, Anyone, Need, Scope, SignedIn
from enfilade.errors import Finding
from enfilade.govern.infer import Types
from enfilade.govern.program import Function, Service
from enfilade.govern.reach import operation_of, reached
from enfilade.store import Table


def forgotten_owner(service: Service) -> Iterator[Finding]:
    """An operation that names one row by the path, keeps rows of owners, and lets every caller at all of them."""
    for operation, method in service.operations:
        by_path = [one for one in operation.parameters if one.place == "path"]
        if by_path and _knows_only_that(operation.needs) and (row := _owned(service, method)) is not None:
            what = f"{operation.id} gives every caller the {row} of every owner who knows its {by_path[0].name}."
            remedy = "Say needs=Owner, or ask for current().me in it; or say why not in an exemption."
            yield Finding(operation.where, what, remedy, "forgotten-owner")


def forgotten_rate(service: Service) -> Iterator[Finding]:
    """A command that anyone may call as often as he likes."""
    for operation in service.contract.operations:
        if operation.kind == "command" and operation.method and _for_anyone(operation.needs) and not operation.rates:
            what = f"{operation.id} changes something, anyone may call it, and as often as he likes."
            remedy = 'Say rate=Rate("20/minute", per="address").'
            yield Finding(operation.where, what, remedy, "forgotten-rate")


def unspent_budget(service: Service) -> Iterator[Finding]:
    """A budget that nothing is ever taken from."""
    for operation, method in service.operations:
        units = [
            rate.quota().unit for rate in operation.rates
            if rate.taken() == 1 and rate.quota().unit not in ("calls", "bytes")
        ]  # fmt: skip
        if units and not any(_may_spend(types, call) for types, call, _ in reached(service, method, lambda _: True)):
            what = f"{operation.id} has a budget of {units[0]}, and nothing in it says what it took."
            how = (
                f"current().spend(price) in {units[0]}" if units[0].isupper() else f'current().spend(..., "{units[0]}")'
            )
            remedy = f"Say {how}, or what each call costs: Rate(..., cost=...)."
            yield Finding(operation.where, what, remedy, "unspent-budget")


def _may_spend(types: Types, call: ast.Call) -> bool:
    """Whether a call spends, or calls another service that may."""
    return (isinstance(call.func, ast.Attribute) and call.func.attr == "spend") or operation_of(types, call) is not None


def _knows_only_that(need: Need) -> bool:
    """Whether it asks for a caller, and for nothing that tells his rows from another's."""
    if isinstance(need, AllOf | AnyOf):
        return all(_knows_only_that(one) for one in need.needs)
    return isinstance(need, SignedIn | Scope)


def _for_anyone(need: Need) -> bool:
    return isinstance(need, Anyone) or (isinstance(need, AnyOf) and any(_for_anyone(one) for one in need.needs))


def _owned(service: Service, method: Function) -> str | None:
    """The rows with an owner that a method works on; None where it asks itself who calls."""
    rows: set[str] = set()
    for types, call, _ in reached(service, method, lambda _: True):
        if types.function.resolve(call.func) is current:
            return None
        owner = types.of(call.func.value) if isinstance(call.func, ast.Attribute) else None
        if get_origin(owner) is Table:
            (row,) = get_args(owner)
            if any(has_mark(one.type, "owner") for one in msgspec.structs.fields(row)):
                rows.add(row.__name__)
    return min(rows, default=None)
