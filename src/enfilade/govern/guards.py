"""Guards that were forgotten, or probably were: where the contract may mean it, it says why in an exemption."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Final, get_args, get_origin

import msgspec

from enfilade.call import current
from enfilade.contract.marks import has_mark
from enfilade.contract.need import AllOf, AnyOf, Anyone, AnyTenant, Fresh, Need, Peers, Role, Scope, SignedIn
from enfilade.contract.operation import Contract, Parameter
from enfilade.contract.rule import Rule
from enfilade.errors import Finding, StartError
from enfilade.govern.infer import Types
from enfilade.govern.program import Function, Service
from enfilade.govern.reach import operation_of, reached
from enfilade.store import Table

if TYPE_CHECKING:
    from enfilade.app import App


def forgotten_owner(service: Service) -> Iterator[Finding]:
    """An operation that takes an id, works on rows, and lets every caller at the rows of every other."""
    for operation, method in service.operations:
        ids = [one for one in operation.parameters if _is_id(one)] if operation.method else []
        if ids and _knows_only_that(operation.needs, ids) and (row := _rows(service, method)) is not None:
            what = f"{operation.id} gives every caller the {row} of every other whose {ids[0].name} he knows."
            remedy = "Say needs=Owner, or ask for current().me in it; or say why not in an exemption."
            yield Finding(operation.where, what, remedy, "forgotten-owner")


def crossing_alone(service: Service) -> Iterator[Finding]:
    """An operation that crosses tenants, and does not say who may."""
    for operation in service.contract.operations:
        if any(
            any(isinstance(one, AnyTenant) for one in way) and not any(isinstance(one, _GRANTS) for one in way)
            for way in _ways(operation.needs)
        ):
            what = f"{operation.id} is of all tenants, for whoever belongs to none: `{operation.needs}`."
            remedy = 'Say who may, beside it: Role("operator") & any_tenant, or peers & any_tenant.'
            yield Finding(operation.where, what, remedy, "any-tenant-alone")


def bad_policies(app: App, contracts: Collection[Contract]) -> Iterator[Finding]:
    """What is wrong with the app's central policies."""
    if app.policy is not None:
        try:
            app.policy.open(tuple(contracts))
        except StartError as wrong:
            yield from wrong.findings


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


_GRANTS: Final = (Role, Scope, Peers, Rule)
"""Needs that not everybody who is signed in meets."""


def _ways(need: Need) -> list[tuple[Need, ...]]:
    """The ways in which a need can be met, each with all that it asks."""
    if isinstance(need, AnyOf):
        return [way for one in need.needs for way in _ways(one)]
    if isinstance(need, AllOf):
        return [sum(ways, ()) for ways in product(*map(_ways, need.needs))]
    return [(need,)]


def _is_id(one: Parameter) -> bool:
    """Whether it says which row is meant."""
    return one.place == "path" or one.key or one.name == "id" or one.name.endswith("_id")


def _knows_only_that(need: Need, ids: Sequence[Parameter]) -> bool:
    """Whether it asks for a caller, and for nothing that tells his rows from another's."""
    if isinstance(need, AllOf | AnyOf):
        return all(_knows_only_that(one, ids) for one in need.needs)
    if isinstance(need, Rule):
        return not need.knows or not any(one.name in need.takes for one in ids)
    return isinstance(need, SignedIn | Scope | Fresh)


def _for_anyone(need: Need) -> bool:
    return isinstance(need, Anyone) or (isinstance(need, AnyOf) and any(_for_anyone(one) for one in need.needs))


def _rows(service: Service, method: Function) -> str | None:
    """The rows that a method works on, those with an owner first; None where it asks itself who calls."""
    rows: set[tuple[bool, str]] = set()
    for types, call, _ in reached(service, method, lambda _: True):
        if types.function.resolve(call.func) is current:
            return None
        owner = types.of(call.func.value) if isinstance(call.func, ast.Attribute) else None
        if get_origin(owner) is Table:
            (row,) = get_args(owner)
            rows.add((not any(has_mark(one.type, "owner") for one in msgspec.structs.fields(row)), row.__name__))
    return min(rows)[1] if rows else None
