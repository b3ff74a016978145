"""The routes of a contract: everything that it says about an operation and that can be held before the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from enfilade.contract.door import Door, doors, heard
from enfilade.contract.operation import Contract
from enfilade.edge.model import Route, Share

GRACE: Final = 1.0
"""Seconds more than the service has: its own answer is the better one, the edge's only for when none comes."""


def routes(contract: Contract, to: str | Sequence[Share], *, prefix: str = "") -> tuple[Route, ...]:
    """A route for each operation that somebody from outside can call; `to` is the upstream, or shares of several."""
    shares = (Share(upstream=to),) if isinstance(to, str) else tuple(to)
    return tuple(route(one, shares, prefix) for one in doors(contract))


def pages(to: str, *, prefix: str = "", docs: bool = True) -> tuple[Route, ...]:
    """What every app answers besides its contracts. Its numbers are not for strangers: `/metrics` is left out."""
    found = ["/healthz", "/readyz", f"/.well-known/oauth-protected-resource{prefix}"]
    if docs:
        found += ["/.well-known/api-catalog", f"{prefix}/openapi.json", f"{prefix}/docs"]
    return tuple(
        Route(id=path, path=path, to=(Share(upstream=to),), methods=("GET",), need=None, repeatable=True)
        for path in found
    )


def route(door: Door, to: tuple[Share, ...], prefix: str = "") -> Route:
    """The route to one operation."""
    return Route(
        id=door.id,
        path=f"{prefix}{door.path}" if door.path != "/" else prefix or "/",
        to=to,
        methods=(door.method,),
        need=heard(door.needs),
        rates=door.rates,
        service=door.service,
        body=door.body,
        timeout=door.timeout + GRACE,
        idle=door.idle + GRACE if door.idle else 0.0,
        lasting=door.lasting + GRACE if door.lasting else 0.0,
        repeatable=door.query,
    )
