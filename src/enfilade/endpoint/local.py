"""Calls within the process: `serve` is the codec that nothing passes unseen, `connect` the handle that callers hold."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from enfilade.call import Call, Handler, current_or_none
from enfilade.contract.codec import codec
from enfilade.contract.operation import Contract, Operation
from enfilade.endpoint.handle import handle
from enfilade.errors import Invalid, Malformed, Misuse
from enfilade.store import refuse_in_unit


def connect(contract: Contract, handlers: Mapping[str, Handler]) -> Any:
    """The handle that a service of this process is given: its calls are children of the call that is being served."""

    def begin(operation: Operation, arguments: dict[str, Any]) -> Call:
        parent = current_or_none()
        if parent is None:
            raise Misuse(
                f"{operation.id} was called outside of any call: call contracts from operations, handlers and timers; "
                "from a script or a test take `app.get(...)` with the principal to act as."
            )
        if parent.unit is not None:
            refuse_in_unit(f"{operation.id}(...)")
        return parent.child(operation, arguments)

    return handle(contract, handlers, begin)


def through_codec(operation: Operation, handler: Handler) -> Handler:
    """A station for development and tests: arguments, results and problems are what a wire would have made of them.

    So nothing works in one process that would not work between two: no shared mutable value, no field that the codec
    does not know, no type that is not the declared one.
    """
    request = codec(operation.request)
    names = tuple(parameter.name for parameter in operation.parameters)
    whole = all(parameter.name in operation.request.__struct_fields__ for parameter in operation.parameters)
    result = codec(operation.reply)

    def answered(value: Any) -> Any:
        try:
            return result.copy(value)
        except (Invalid, Malformed) as wrong:  # our own mistake, not the caller's
            raise Misuse(f"{operation.id} does not answer with what its contract says: {wrong}") from wrong

    async def unary(call: Call) -> Any:
        if names and whole:
            copied = request.copy(operation.request(**call.arguments))
            call.arguments = {name: getattr(copied, name) for name in names}
        return answered(await handler(call))

    async def stream(call: Call) -> Any:
        return _copied(await handler(call), answered)

    if operation.style == "bytes":
        return handler
    return stream if operation.style == "stream" else unary


async def _copied(items: AsyncGenerator[Any, None], copy: Any) -> AsyncGenerator[Any, None]:
    try:
        async for item in items:
            yield copy(item)
    finally:
        await items.aclose()
