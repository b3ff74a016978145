"""Where a row ends: the user's method is called, at home in the store of its service."""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import signature
from typing import Any

from enfilade.call import Call, Handler, Station
from enfilade.contract.operation import Operation
from enfilade.store import Store


def home(store: Store | None) -> Station:
    """The station that gives the call the service's own store; no station where the service has none."""

    def station(_: Operation, handler: Handler) -> Handler:
        def at_home(call: Call) -> Awaitable[Any]:
            call.home = store
            return handler(call)

        return handler if store is None else at_home

    return station


def hosted(operation: Operation, service: object) -> Handler:
    """The last handler: the method of the service. A plain function: no frame of ours stands before the user's."""
    method = getattr(service, operation.name)
    if operation.style in ("stream", "bytes"):

        async def begin(call: Call) -> Any:
            return method(**call.arguments)

        return begin

    names = [one.name for one in operation.parameters]
    taken = list(signature(method).parameters.values())
    if [one.name for one in taken if one.kind is one.POSITIONAL_OR_KEYWORD] == names and len(taken) == len(names):
        # Compiled, as a handle's methods are: to pass them on by name takes twice as long.
        given = ", ".join(f"call.arguments[{name!r}]" for name in names)
        return eval(f"lambda call: method({given})", {"method": method})  # noqa: S307  (of identifiers alone)

    def run(call: Call) -> Awaitable[Any]:
        return method(**call.arguments)

    return run
