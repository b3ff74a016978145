"""Only declared problems leave a service."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from enfilade.call import Call, Handler, Station
from enfilade.contract.operation import Operation
from enfilade.errors import Misuse, Problem


class Undeclared(Misuse):
    """A service raised a problem that its contract does not declare. A bug: 500, with its cause in the log."""


def raises() -> Station:
    """Lets pass what the contract declares and the platform's own problems; any other problem is a bug.

    So callers can rely on `raises=` being the whole truth, and a neighbour's problem that nobody caught does not leave
    under the name of another service.
    """

    def station(operation: Operation, handler: Handler) -> Handler:
        async def checked(call: Call) -> Any:
            try:
                return await handler(call)
            except Problem as problem:
                _let_pass(operation, problem)
                raise

        async def stream(call: Call) -> Any:
            return _items(operation, await handler(call))

        return stream if operation.style in ("stream", "bytes") else checked

    return station


async def _items(operation: Operation, items: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    try:
        async for item in items:
            yield item
    except Problem as problem:
        _let_pass(operation, problem)
        raise
    finally:
        await items.aclose()


def _let_pass(operation: Operation, problem: Problem) -> None:
    # A program's own subclass of Conflict inherits `platform`, and is to be declared all the same.
    if isinstance(problem, operation.raises) or "platform" in vars(type(problem)):
        return
    name = type(problem).__name__
    raise Undeclared(
        f"{operation.id} raised {name}, which its contract does not declare: catch it, or add {name} to raises= "
        f"({operation.where})"
    ) from problem
