"""The routes of a contract: everything that it says about an operation and that can be held before the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from enfilade.contract.blob import Blob
from enfilade.contract.limit import period
from enfilade.contract.need import outside
from enfilade.contract.operation import Contract, Operation
from enfilade.contract.signature import is_stream
from enfilade.edge.model import Route, Share

GRACE: Final = 1.0
"""Seconds more than the service has: its own answer is the better one, the edge's only for when none comes."""


def routes(contract: Contract, to: str | Sequence[Share], *, prefix: str = "") -> tuple[Route, ...]:
    """A route for each operation that somebody from outside can call; `to` is the upstream, or shares of several."""
    shares = (Share(upstream=to),) if isinstance(to, str) else tuple(to)
    return tuple(
        _route(one, shares, prefix) for one in contract.operations if one.path and outside(one.needs) is not None
    )


def pages(to: str, *, prefix: str = "", docs: bool = True) -> tuple[Route, ...]:
    """What every app answers besides its contracts. Its numbers are not for strangers: `/metrics` is left out."""
    found = ["/healthz", "/readyz", f"/.well-known/oauth-protected-resource{prefix}"]
    if docs:
        found += ["/.well-known/api-catalog", f"{prefix}/openapi.json", f"{prefix}/docs"]
    return tuple(
        Route(id=path, path=path, to=(Share(upstream=to),), methods=("GET",), need=None, repeatable=True)
        for path in found
    )


def _route(operation: Operation, to: tuple[Share, ...], prefix: str) -> Route:
    streams = operation.style in ("stream", "bytes", "blob")
    return Route(
        id=operation.id,
        path=f"{prefix}{operation.path}" if operation.path != "/" else prefix or "/",
        to=to,
        methods=(operation.method,),
        need=outside(operation.needs),
        rates=operation.rates,
        service=operation.service,
        body=0 if _uploads(operation) else operation.body_limit,
        timeout=operation.timeout + GRACE,
        idle=max(operation.timeout, operation.idle) + GRACE if streams else 0.0,
        lasting=period(operation.flow.lasting) + GRACE if streams else 0.0,
        repeatable=operation.kind == "query",
    )


def _uploads(operation: Operation) -> bool:
    """Whether its body may be larger than memory, and is passed on piece by piece."""
    kinds = [one.type for one in operation.parameters]
    return any(is_stream(kind) or Blob in (kind, *getattr(kind, "__args__", ())) for kind in kinds)
