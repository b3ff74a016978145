"""Whose rows a call may see: `needs=Owner` in the contract, `Owned` on the row."""

from __future__ import annotations

from functools import lru_cache

from enfilade.call import Call
from enfilade.contract.need import AllOf, AnyOf, Need, OwnerNeed


def own_rows_only(call: Call) -> bool:
    """Whether the operation lets this caller see and write his own rows only.

    Of `Role("editor") | Owner` an editor sees all rows, and everybody else his own.
    """
    needs = call.operation.needs
    return _about_owner(needs) and _bound(needs, call)


@lru_cache(1024)
def _about_owner(need: Need) -> bool:
    if isinstance(need, (AllOf, AnyOf)):
        return any(_about_owner(one) for one in need.needs)
    return isinstance(need, OwnerNeed)


def _bound(need: Need, call: Call) -> bool:
    if isinstance(need, AllOf):
        return any(_bound(one, call) for one in need.needs)
    if isinstance(need, AnyOf):
        return not any(not _about_owner(one) and one.met(call) for one in need.needs)
    return isinstance(need, OwnerNeed)
