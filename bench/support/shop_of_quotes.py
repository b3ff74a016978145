"""A service that calls Pricing, and measures it: a client with all that a call carries."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol, final

from quotes import ASKED, Pricing

from enfilade import contract, query, signed_in


@contract(needs=signed_in)
class Shop(Protocol):
    @query(timeout=300)
    async def measure(self, count: int, concurrency: int) -> tuple[float, ...]:
        """How long each of so many calls took, in seconds."""
        ...


@final
@dataclass
class ShopService(Shop):
    pricing: Pricing

    async def measure(self, count: int, concurrency: int) -> tuple[float, ...]:
        took: list[float] = []
        left = count

        async def work() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                began = time.perf_counter()
                await self.pricing.quote(**ASKED)
                took.append(time.perf_counter() - began)

        await asyncio.gather(*(work() for _ in range(concurrency)))
        return tuple(took)
