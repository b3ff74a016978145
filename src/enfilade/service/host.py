"""Where a row ends: the user's method is called, with the call as the ambient one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from typing import Any

from enfilade.call import Call, Handler, enter, leave
from enfilade.contract.operation import Operation
from enfilade.store import Store


def ambient(store: Store | None) -> Any:
    """The station that makes the call the current one, at home in the service's own store, while it passes."""

    def station(operation: Operation, handler: Handler) -> Handler:
        async def unary(call: Call) -> Any:
            call.home = store
            token = enter(call)
            try:
                return await handler(call)
            finally:
                leave(token)

        async def stream(call: Call) -> Any:
            call.home = store
            token = enter(call)
            try:
                items = await handler(call)
            finally:
                leave(token)
            return _ambient_items(call, items)

        return stream if operation.style in ("stream", "bytes") else unary

    return station


async def _ambient_items(call: Call, items: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """A generator runs in the context of whoever asks for its next item; for that moment it is the call's own."""
    try:
        while True:
            token = enter(call)
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            finally:
                leave(token)
            yield item
    finally:
        token = enter(call)
        try:
            await items.aclose()
        finally:
            leave(token)


def hosted(operation: Operation, service: object) -> Handler:
    """The last handler: the method of the service. A plain function: no frame of ours stands before the user's."""
    method = getattr(service, operation.name)
    if operation.style in ("stream", "bytes"):

        async def begin(call: Call) -> Any:
            return method(**call.arguments)

        return begin

    def run(call: Call) -> Awaitable[Any]:
        return method(**call.arguments)

    return run
