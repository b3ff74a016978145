"""How much of a stream: what would never end, or fill whoever reads it, ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from math import inf
from typing import Any

from enfilade.call import Call
from enfilade.contract.limit import period, size
from enfilade.errors import DeadlineExceeded, TooLarge


async def bounded(call: Call, items: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """The items of a stream, as far as its operation lets it go; then TooLarge, or DeadlineExceeded."""
    operation, monotonic = call.operation, call.clock.monotonic
    flow = operation.flow
    most = size(flow.size) if operation.style == "bytes" else inf
    until = monotonic() + period(flow.lasting)
    count = sent = 0
    try:
        async for item in items:
            count += 1
            if operation.style == "bytes":
                sent += len(item)
            if sent > most:
                raise TooLarge(limit=int(most), detail=f"{operation.id} gives {flow.size} at most.")
            if operation.style == "stream" and count > flow.items:
                raise TooLarge(limit=flow.items, detail=f"{operation.id} gives {flow.items} items at most.")
            if monotonic() > until:
                raise DeadlineExceeded(f"{operation.id} lasts {flow.lasting} at most.")
            yield item
    finally:
        await items.aclose()
