"""Whose rows a statement is about: one tenant's, and of these perhaps one owner's."""

from __future__ import annotations

from typing import NamedTuple

from enfilade.call import current_or_none
from enfilade.errors import Misuse
from enfilade.store.owner import own_rows_only


class Scope(NamedTuple):
    """What a statement may see. It writes only where the tenant is one."""

    tenant: str | None = ""
    """None for all of them. `""` is a tenant too: the only one of an app that knows none."""
    owner: str | None = None
    """None for all of them."""


_NOBODY = Scope()


def scope() -> Scope:
    """Of the call that is served; of the tenant `""` where none is."""
    call = current_or_none()
    if call is None:
        return _NOBODY
    return Scope(None if call.wide else call.tenant, call.me if own_rows_only(call) else None)


def tenant() -> str | None:
    """The tenant of the call; None where it is of all of them."""
    call = current_or_none()
    return "" if call is None else None if call.wide else call.tenant


def refuse_wide(what: str) -> None:
    """Raises Misuse where the call is of all tenants: `refuse_wide("orders.add")`."""
    if tenant() is None:
        raise Misuse(
            f"{what} in an operation that is of all tenants: say whose row it is, "
            f"`with acting(tenant=...)` around what writes."
        )
