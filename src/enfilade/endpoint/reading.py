"""The station where a request is read: after those that ask who calls, whether he may and how often, and not before.

Nobody who is refused makes us take his body, and nobody learns from 422 what a contract says that is not for him.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from enfilade.call import Call, Handler
from enfilade.contract.operation import Operation


def reading(_: Operation, handler: Handler) -> Handler:
    """A station: fills in the arguments of a call that came with `call.read`; others have theirs."""

    async def read(call: Call, arguments: Callable[[], Awaitable[dict[str, Any]]]) -> Any:
        call.read = None
        call.arguments = await arguments()
        return await handler(call)

    def station(call: Call) -> Awaitable[Any]:
        return handler(call) if call.read is None else read(call, call.read)

    return station
