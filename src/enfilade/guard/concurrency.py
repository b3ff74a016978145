"""How many at once: each service has its own places, so that a slow one does not take those of the others."""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections import deque
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

from enfilade.call import Call, Handler
from enfilade.contract.operation import Operation
from enfilade.errors import Overloaded
from enfilade.guard.flow import bounded


class Bulkhead:
    """The places of one service: `limit` calls run, `queue` more wait for a place (by default as many), others are
    `Overloaded` at once.

    A place is taken where a chain of calls enters, and calls between services pass uncounted. They must: a call that
    waits for a place while it holds one could wait for itself, and to refuse it would throw away what was done so far.
    What they add is bounded by the places at the entrances. A stream holds its place from its first item to its end.
    """

    def __init__(self, limit: int = 128, *, queue: int | None = None) -> None:
        self._free = limit
        self._most = limit if queue is None else queue
        self._waiting: deque[Future[None]] = deque()

    def station(self, operation: Operation, handler: Handler) -> Handler:
        async def unary(call: Call) -> Any:
            if self._free:
                self._free -= 1
            else:
                await self._wait(operation)
            try:
                return await handler(call)
            finally:
                self._leave()

        async def stream(call: Call) -> Any:
            items = await handler(call)
            return items if call.peer else self._holding(operation, bounded(call, items))

        def entering(call: Call) -> Awaitable[Any]:
            return handler(call) if call.peer else unary(call)

        return stream if operation.style in ("stream", "bytes") else entering

    async def _wait(self, operation: Operation) -> None:
        """Come in when somebody leaves, in the order of arrival."""
        if len(self._waiting) >= self._most:
            raise Overloaded(f"{operation.service} has no room for {operation.id} now.")
        turn = get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.cancelled():
                self._waiting.remove(turn)
            else:
                self._leave()  # the place was given just before the caller hung up
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _holding(self, operation: Operation, items: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        try:
            if self._free:
                self._free -= 1
            else:
                await self._wait(operation)
            try:
                async for item in items:
                    yield item
            finally:
                self._leave()
        finally:
            await items.aclose()
