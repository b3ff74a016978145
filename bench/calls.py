"""A call between two processes with its whole row on both sides, against grpcio's asyncio, aiohttp and httpx2.

CPU of client and server together per call, 64 at once and one at a time; all ways interleaved, the minimum of the
rounds. Ours carries caller, tenant, trace, deadline and contract, is checked and traced on both sides; theirs carry
nothing.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent / "support"))

import aiohttp
import grpc
import grpc.aio
import httpx2
import msgspec
import uvloop
from claims import Claim, tell
from http_load import Server
from quotes import ASKED, Pricing, PricingService, Quote
from shop_of_quotes import Shop, ShopService

from enfilade import App
from enfilade.call import Principal
from enfilade.config import Config, TraceConfig
from enfilade.contract.read import read as read_contract
from enfilade.endpoint import local
from enfilade.endpoint.rpc import Link, connect

ROUNDS = 6
MANY, FEW = 2000, 400

ANN = Principal(subject="ann", tenant="acme", scopes=frozenset({"orders:read", "orders:write"}))
pack, write = msgspec.msgpack.Encoder().encode, msgspec.json.Encoder().encode
unpack, read = msgspec.msgpack.Decoder(Quote).decode, msgspec.json.Decoder(Quote).decode

Measure = Callable[[int, int], Awaitable[tuple[float, ...]]]


async def ours(exit: AsyncExitStack, at: str) -> Measure:
    """By an app whose pricing is served at an address, or here."""
    folder = exit.enter_context(tempfile.TemporaryDirectory())
    config = Config(
        folder=folder, data="sqlite::memory:", codec="never", trace=TraceConfig(file=False),
        service={"pricing": {"at": at}} if at else {},
    )  # fmt: skip
    app = App("shop", services=[Pricing, Shop], endpoints=[], config=config)
    app.service(Shop).by(ShopService)
    if not at:
        app.service(Pricing).by(PricingService)
    running = await exit.enter_async_context(app.running())
    return running.get(Shop, acting=ANN).measure


async def bare(exit: AsyncExitStack, at: str) -> Measure:
    """By a handle of a link, as services elsewhere are called where the caller keeps no row of its own for them."""
    folder = exit.enter_context(tempfile.TemporaryDirectory())
    config = Config(folder=folder, data="sqlite::memory:", codec="never", trace=TraceConfig(file=False))
    contract, link = read_contract(Pricing), await exit.enter_async_context(Link(at))
    app = App("shop", services=[Shop], endpoints=[], config=config)
    app.service(Shop).by(lambda: ShopService(local.connect(contract, connect(contract, link))))
    running = await exit.enter_async_context(app.running())
    return running.get(Shop, acting=ANN).measure


def theirs(call: Callable[[], Awaitable[object]]) -> Measure:
    async def measure(count: int, concurrency: int) -> tuple[float, ...]:
        took: list[float] = []
        left = count

        async def work() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                began = time.perf_counter()
                await call()
                took.append(time.perf_counter() - began)

        await asyncio.gather(*(work() for _ in range(concurrency)))
        return tuple(took)

    return measure


def by_grpc(exit: AsyncExitStack, address: str) -> Measure:
    channel = grpc.aio.insecure_channel(address)
    exit.push_async_callback(channel.close)
    ask = channel.unary_unary("/bench.Pricing/Quote", request_serializer=pack, response_deserializer=unpack)

    async def call() -> object:
        return await ask(ASKED)

    return theirs(call)


async def by_aiohttp(exit: AsyncExitStack, port: int) -> Measure:
    connector = aiohttp.TCPConnector(limit=0)
    session = await exit.enter_async_context(aiohttp.ClientSession(connector=connector))
    url, headers = f"http://127.0.0.1:{port}/quote", {"content-type": "application/json"}

    async def call() -> object:
        async with session.post(url, data=write(ASKED), headers=headers) as answer:
            return read(await answer.read())

    return theirs(call)


async def by_httpx2(exit: AsyncExitStack, port: int) -> Measure:
    client = await exit.enter_async_context(httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None)))
    url, headers = f"http://127.0.0.1:{port}/quote", {"content-type": "application/json"}

    async def call() -> object:
        return read((await client.post(url, content=write(ASKED), headers=headers)).content)

    return theirs(call)


async def main(servers: dict[str, Server]) -> dict[str, tuple[float, float, float]]:
    """By way: CPU us per call at 64, CPU us per call at 1, median us at 1."""
    mine, grpcs, https = servers["ours"], servers["grpc"], servers["aiohttp"]
    async with AsyncExitStack() as exit:
        ways: dict[str, tuple[Measure, Server | None]] = {
            "in process": (await ours(exit, ""), None),
            "rpc, Unix socket": (await ours(exit, f"unix:/tmp/enfilade-quotes-{mine.port}.sock"), mine),
            "rpc, Unix socket, no row at the caller": (
                await bare(exit, f"unix:/tmp/enfilade-quotes-{mine.port}.sock"),
                mine,
            ),
            "rpc, TCP, no row at the caller": (await bare(exit, f"http://127.0.0.1:{mine.port}"), mine),
            "grpcio aio, Unix socket": (by_grpc(exit, f"unix:/tmp/grpc-quotes-{grpcs.port}.sock"), grpcs),
            "grpcio aio, TCP": (by_grpc(exit, f"127.0.0.1:{grpcs.port}"), grpcs),
            "aiohttp, TCP": (await by_aiohttp(exit, https.port), https),
            "httpx2, TCP": (await by_httpx2(exit, https.port), https),
        }
        best = dict.fromkeys(ways, (float("inf"),) * 3)
        for number in range(ROUNDS + 1):
            for way, (measure, server) in ways.items():
                many, _ = await cost(measure, server, MANY if number else 200, 64)
                few, took = await cost(measure, server, FEW if number else 100, 1)
                if number:
                    best[way] = tuple(map(min, best[way], (many, few, took)))  # pyright: ignore[reportArgumentType]
        return best


async def cost(measure: Measure, server: Server | None, count: int, concurrency: int) -> tuple[float, float]:
    """CPU us per call of both processes, and the median time of a call in us."""
    here, there = time.process_time(), server.cpu() if server else 0.0
    took = await measure(count, concurrency)
    spent = time.process_time() - here + ((server.cpu() if server else 0.0) - there)
    return spent * 1e6 / len(took), median(took) * 1e6


servers = {"ours": Server("enfilade_quotes"), "grpc": Server("grpc_quotes"), "aiohttp": Server("aiohttp_quotes")}
try:
    best = uvloop.run(main(servers))
finally:
    for one in servers.values():
        one.stop()
us, grpcs = best["rpc, Unix socket"], min(best["grpcio aio, Unix socket"], best["grpcio aio, TCP"])
quickest = min(best["grpcio aio, Unix socket"][2], best["grpcio aio, TCP"][2])
claims = [
    Claim(
        "64 at once: CPU of the cheaper grpcio aio, which carries nothing, over ours", grpcs[0] / us[0], "times", ">= 6"
    ),
    Claim("one at a time: median of the quicker grpcio aio over ours", quickest / us[2], "times", ">= 3"),
]
for way, (many, few, took) in best.items():
    claims += [
        Claim(f"{way}, 64 at once", many, "us CPU", ""),
        Claim(f"{way}, one at a time", few, "us CPU", ""),
        Claim(f"{way}, one at a time: median", took, "us", ""),
    ]
tell(claims)
