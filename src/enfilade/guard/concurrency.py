"""How many at once: each service has its own places, so that a slow one does not take those of the others."""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

from enfilade.call import Call, Handler
from enfilade.contract.operation import Operation
from enfilade.errors import Overloaded


class Bulkhead:
    """The places of one service: `limit` calls run, `queue` more wait for a place (by default as many), others are
    `Overloaded` at once.

    A place is taken where a chain of calls enters, and calls between services pass uncounted. They must: a call that
    waits for a place while it holds one could wait for itself, and to refuse it would throw away what was done so far.
    What they add is bounded by the places at the entrances. A stream holds its place from its first item to its end.
    """

    def __init__(self, limit: int = 128, *, queue: int | None = None) -> None:
        self._places = Semaphore(limit)
        self._queue = limit if queue is None else queue
        self._waiting = 0

    def station(self, operation: Operation, handler: Handler) -> Handler:
        places = self._places

        async def bounded(call: Call) -> Any:
            await self._enter(operation)
            try:
                return await handler(call)
            finally:
                places.release()

        async def stream(call: Call) -> Any:
            items = await handler(call)
            return items if call.peer else self._holding(operation, items)

        def entering(call: Call) -> Awaitable[Any]:
            return handler(call) if call.peer else bounded(call)

        return stream if operation.style in ("stream", "bytes") else entering

    async def _enter(self, operation: Operation) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        if self._waiting >= self._queue:
            raise Overloaded(f"{operation.service} has no room for {operation.id} now.")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1

    async def _holding(self, operation: Operation, items: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        try:
            await self._enter(operation)
            try:
                async for item in items:
                    yield item
            finally:
                self._places.release()
        finally:
            await items.aclose()
