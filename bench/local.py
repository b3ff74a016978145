"""A call between two services of one process, with its context, deadline, guards, span and metrics, over a plain await.

CPU of the process per call, both sides interleaved, the minimum of the rounds.
"""

import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

sys.path.insert(0, str(Path(__file__).parent / "support"))

import uvloop
from claims import Claim, tell

from enfilade import App, Message, contract, peers, query, signed_in
from enfilade.call import Principal
from enfilade.config import Config, TraceConfig

ROUNDS = 200
COUNT = 1_000


class Product(Message):
    sku: str
    price: int
    name: str = ""


@contract(needs=peers)
class Catalog(Protocol):
    @query()
    async def product(self, sku: str, language: str = "en") -> Product:
        """One product."""
        ...


@contract(needs=signed_in)
class Orders(Protocol):
    @query()
    async def measure(self, remote: bool) -> float:
        """CPU microseconds of one call."""
        ...


@final
class CatalogService(Catalog):
    async def product(self, sku: str, language: str = "en") -> Product:
        return Product(sku=sku, price=250)


@final
@dataclass
class OrdersService(Orders):
    catalog: Catalog

    async def measure(self, remote: bool) -> float:
        call = self.catalog.product if remote else CatalogService().product
        return await timed(call)


async def timed(call: Callable[[str], Awaitable[Product]]) -> float:
    start = time.process_time()
    for _ in range(COUNT):
        await call("tea")
    return (time.process_time() - start) * 1e6 / COUNT


async def main() -> list[Claim]:
    with tempfile.TemporaryDirectory() as folder:
        config = Config(folder=folder, data="sqlite::memory:", codec="never", trace=TraceConfig(file=False))
        app = App("bench", services=[Catalog, Orders], config=config)
        app.service(Catalog).by(CatalogService)
        app.service(Orders).by(OrdersService)
        async with app.running():
            orders = app.get(Orders, acting=Principal(subject="ann"))
            plain, called = float("inf"), float("inf")
            for _ in range(ROUNDS):
                plain = min(plain, await orders.measure(False))
                called = min(called, await orders.measure(True))
    return [
        Claim("an in-process contract call over a plain await", called - plain, "us CPU", "<= 3"),
        Claim("a plain await", plain, "us CPU", ""),
        Claim("a contract call with context, deadline, guards, span and metrics", called, "us CPU", ""),
    ]


tell(uvloop.run(main()))
