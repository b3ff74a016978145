"""A call between two processes with its whole row on both sides, against others' ways of calling.

CPU of client and server together per call (of NATS the broker's, too), 64 at once and one at a time; all ways
interleaved in each round, the minimum of the rounds. Ours carries caller, tenant, trace, deadline and contract, is
checked and traced on both sides; theirs carry nothing, but for one way of grpcio's that carries the same. All are as
cheap as their settings let them be: msgspec instead of protobuf or pydantic, no compression, uvloop where it helps.
"""

import asyncio
import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import getrandbits
from statistics import median

sys.path.insert(0, str(Path(__file__).parent / "support"))

import aiohttp
import grpc
import grpc.aio
import httpx2
import msgspec
import nats
import uvloop
from claims import Claim, tell
from connectrpc.client import ConnectClient
from http_load import Server
from over_connect import METHOD, Codec
from pyqwest import Client, HTTPTransport
from quotes import ASKED, Pricing, PricingService, Quote, Request
from shop_of_quotes import Shop, ShopService

from enfilade import App
from enfilade.call import Principal
from enfilade.clock import SystemClock
from enfilade.config import Config, TraceConfig
from enfilade.identity.workload import Workload
from enfilade.placement import Share, Way

ROUNDS = 16
MANY, FEW = 1000, 150
THEIRS, OURS = gc.get_threshold(), (7_000, 20, 20)
"""How often the garbage collector looks: each as it comes. Processes of `enfilade run` have it look less often."""

ANN = Principal(subject="ann", tenant="acme", scopes=frozenset({"orders:read", "orders:write"}))
REQUEST = msgspec.convert(ASKED, Request)
pack, write = msgspec.msgpack.Encoder().encode, msgspec.json.Encoder().encode
unpack, read = msgspec.msgpack.Decoder(Quote).decode, msgspec.json.Decoder(Quote).decode

Measure = Callable[[int, int], Awaitable[tuple[float, ...]]]


async def ours(exit: AsyncExitStack, at: str = "", trust: Workload | None = None) -> Measure:
    """By an app whose pricing is in the process at an address, or here."""
    folder = exit.enter_context(tempfile.TemporaryDirectory())
    config = Config(folder=folder, data="sqlite::memory:", codec="never", trace=TraceConfig(file=False))
    app = App("shop", services=[Pricing, Shop], endpoints=[], config=config)
    app.service(Shop).by(ShopService)
    if at:
        ways = {"pricing": (Way(process="pricing"),)}
        app.share = Share(process="shop", at={"pricing": (at,)}, ways=ways, trust=trust)
    else:
        app.service(Pricing).by(PricingService)
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


def by_grpc(exit: AsyncExitStack, address: str, *, carries: bool = False) -> Measure:
    """Its bare call; or one that carries what ours does, as metadata, which the server reads."""
    channel = grpc.aio.insecure_channel(address)
    exit.push_async_callback(channel.close)
    ask = channel.unary_unary("/bench.Pricing/Quote", request_serializer=pack, response_deserializer=unpack)

    async def call() -> object:
        return await ask(ASKED)

    async def carrying() -> object:
        said = (
            ("traceparent", f"00-{getrandbits(128):032x}-{getrandbits(64):016x}-01"), ("peer", "shop"),
            ("caller", write(ANN).decode()), ("contract", "37c023e2ff39d53f"),
        )  # fmt: skip
        return await ask(ASKED, metadata=said, timeout=300)

    return theirs(carrying if carries else call)


async def by_connectrpc(exit: AsyncExitStack, port: int) -> Measure:
    http = Client(HTTPTransport(enable_otel=False, enable_gzip=False, enable_brotli=False, enable_zstd=False))
    client = await exit.enter_async_context(
        ConnectClient(
            f"http://127.0.0.1:{port}", codec=Codec(), http_client=http, accept_compression=(), send_compression=None
        )
    )

    async def call() -> object:
        return await client.execute_unary(request=REQUEST, method=METHOD)

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


async def by_nats(exit: AsyncExitStack, port: int) -> Measure:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    exit.push_async_callback(client.close)
    async with asyncio.timeout(30):
        while True:
            try:
                await client.request("pricing.quote", pack(ASKED), timeout=1)
                break
            except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
                await asyncio.sleep(0.1)

    async def call() -> object:
        return unpack((await client.request("pricing.quote", pack(ASKED), timeout=60)).data)

    return theirs(call)


async def main(servers: dict[str, Server]) -> dict[str, tuple[float, float, float]]:
    """By way: CPU us per call at 64, CPU us per call at 1, median us at 1."""
    mine, grpcs, https = servers["ours"], servers["grpc"], servers["aiohttp"]
    folder = Path(f"/tmp/enfilade-quotes-{mine.port}")
    async with AsyncExitStack() as exit:
        me = await exit.enter_async_context(Workload("quotes", "shop", folder, SystemClock()))
        ways: dict[str, tuple[Measure, Server | None]] = {
            "in process": (await ours(exit), None),
            "rpc, Unix socket": (await ours(exit, f"unix:{folder}.sock"), mine),
            "rpc, TCP and certificates": (await ours(exit, f"https://127.0.0.1:{mine.port}", me), mine),
            "grpcio aio, Unix socket": (by_grpc(exit, f"unix:/tmp/grpc-quotes-{grpcs.port}.sock"), grpcs),
            "grpcio aio, Unix socket, carrying what ours does": (
                by_grpc(exit, f"unix:/tmp/grpc-quotes-{grpcs.port}.sock", carries=True),
                grpcs,
            ),
            "grpcio aio, TCP": (by_grpc(exit, f"127.0.0.1:{grpcs.port}"), grpcs),
            "connectrpc, TCP": (await by_connectrpc(exit, servers["connect"].port), servers["connect"]),
            "aiohttp, TCP": (await by_aiohttp(exit, https.port), https),
            "httpx2 to aiohttp, TCP": (await by_httpx2(exit, https.port), https),
            "NATS request and reply, TCP": (await by_nats(exit, servers["nats"].port), servers["nats"]),
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
    gc.set_threshold(*(OURS if server in (None, servers["ours"]) else THEIRS))
    here, there = time.process_time(), server.cpu() if server else 0.0
    took = await measure(count, concurrency)
    spent = time.process_time() - here + ((server.cpu() if server else 0.0) - there)
    return spent * 1e6 / len(took), median(took) * 1e6


names = {
    "ours": "enfilade_quotes", "grpc": "grpc_quotes", "connect": "connect_quotes", "aiohttp": "aiohttp_quotes",
    "nats": "nats_quotes",
}  # fmt: skip
servers = {name: Server(script) for name, script in names.items()}
try:
    best = uvloop.run(main(servers))
finally:
    for one in servers.values():
        one.stop()
    shutil.rmtree(f"/tmp/enfilade-quotes-{servers['ours'].port}", ignore_errors=True)
us, grpcs = best["rpc, Unix socket"], min(best["grpcio aio, Unix socket"], best["grpcio aio, TCP"])
quickest = min(best["grpcio aio, Unix socket"][2], best["grpcio aio, TCP"][2])
claims = [
    Claim(
        "64 at once: CPU of the cheaper grpcio aio, which carries nothing, over ours", grpcs[0] / us[0], "times", ">= 6"
    ),
    Claim(
        "64 at once: CPU of grpcio aio that carries what ours does, over ours",
        best["grpcio aio, Unix socket, carrying what ours does"][0] / us[0],
        "times",
        ">= 6",
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
