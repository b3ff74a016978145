"""A small app on a port, and a real Envoy before it; a plain server that tells what reached it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Protocol, final

import httpx2
import pytest
import pytest_asyncio

from enfilade import (
    App,
    Flow,
    Message,
    Meta,
    Rate,
    Role,
    Scope,
    Stream,
    anyone,
    command,
    contract,
    peers,
    query,
    signed_in,
)
from enfilade.cli.serve import serving
from enfilade.clock import SystemClock
from enfilade.config import Config, TraceConfig
from enfilade.contract.read import read
from enfilade.edge import Edge, Gateway, Listen, Route, Upstream, pages, routes
from enfilade.endpoint import Cors, rest
from enfilade.identity import DevelopmentIssuer, Issuer, Tokens

CORS = Cors(origins=("https://shop.example",), credentials=True)
AUDIENCE = "parcels"


class Parcel(Message):
    id: str
    to: Annotated[str, Meta(max_length=100_000)] = ""


@contract(owner="post", version=1, needs=anyone)
class Parcels(Protocol):
    @query("GET /parcels/{id}")
    async def parcel(self, id: str) -> Parcel: ...

    @query("GET /parcels/latest")
    async def latest(self) -> Parcel: ...

    @query("GET /parcels", needs=signed_in)
    async def mine(self) -> Parcel: ...

    @command("POST /parcels", needs=Scope("parcels:write"), body="2KB", status=201)
    async def send(self, to: str) -> Parcel: ...

    @command("DELETE /parcels/{id}", needs=Role("clerk") | Scope("parcels:all"))
    async def lose(self, id: str) -> None: ...

    @query("GET /counted", rate=Rate("3/minute"))
    async def counted(self) -> Parcel: ...

    @query("GET /weighed", rate=Rate("10/minute", cost=5), needs=signed_in)
    async def weighed(self) -> Parcel: ...

    @query("GET /inside", needs=peers)
    async def inside(self) -> Parcel: ...

    @query("GET /slow", timeout=0.2)
    async def slow(self) -> Parcel: ...

    @query("GET /parcels/{id}/way", flow=Flow(lasting="10s"))
    def way(self, id: str) -> Stream[Parcel]: ...

    @command("PUT /parcels/{id}/label", body="4MB")
    async def label(self, id: str, data: Stream[bytes]) -> Parcel: ...

    @query("GET /large")
    async def large(self) -> Parcel: ...


@final
class ParcelsService(Parcels):
    async def parcel(self, id: str) -> Parcel:
        return Parcel(id=id)

    async def latest(self) -> Parcel:
        return Parcel(id="the latest")

    async def mine(self) -> Parcel:
        return Parcel(id="mine")

    async def send(self, to: str) -> Parcel:
        return Parcel(id="new", to=to)

    async def lose(self, id: str) -> None: ...

    async def counted(self) -> Parcel:
        return Parcel(id="counted")

    async def weighed(self) -> Parcel:
        return Parcel(id="weighed")

    async def inside(self) -> Parcel:
        return Parcel(id="inside")

    async def slow(self) -> Parcel:
        await asyncio.sleep(5)
        return Parcel(id="slow")

    async def way(self, id: str) -> AsyncGenerator[Parcel]:
        for at in ("hall", "van", "door"):
            yield Parcel(id=id, to=at)

    async def label(self, id: str, data: Stream[bytes]) -> Parcel:
        size = 0
        async for piece in data:
            size += len(piece)
        return Parcel(id=id, to=str(size))

    async def large(self) -> Parcel:
        return Parcel(id="large", to="x" * 5000)


@dataclass
class Plain:
    """A server of no platform's: answers each request with what it was, and remembers it."""

    name: str
    address: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    broken: bool = False
    delay: float = 0.0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                fields = {name.lower(): value for name, _, value in (one.partition(": ") for one in head[1:] if one)}
                await reader.readexactly(int(fields.get("content-length", "0")))
                self.seen.append({"method": method, "path": path, "fields": fields})
                if self.broken:
                    break
                await asyncio.sleep(self.delay)
                body = json.dumps({"name": self.name, "method": method, "path": path, "fields": fields}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
                await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncGenerator[Plain]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Town:
    """The app, the edge before it, and two plain servers."""

    folder: Path
    process: httpx2.AsyncClient
    outside: httpx2.AsyncClient
    gateway: Gateway
    edge: Edge
    first: Plain
    second: Plain
    tokens: Tokens
    issuer: Issuer

    def bearer(self, subject: str = "ann", **said: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens.issue(subject, **said)}"}

    @staticmethod
    def free_port() -> int:
        return free_port()

    async def serve(self, *more: Route, **changed: Any) -> None:
        """Put more routes before the app's."""
        await self.gateway.apply(replace(self.edge, **{"routes": (*more, *self.edge.routes), **changed}))

    def lines(self) -> list[dict[str, Any]]:
        """The access log."""
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Town]:
    folder = tmp_path_factory.mktemp("edge")
    config = Config(
        folder=str(folder / "app"), data="sqlite::memory:", audience=AUDIENCE, trace=TraceConfig(file=False)
    )
    app = App("post", services=[Parcels], endpoints=[rest("/", cors=CORS)], config=config)
    app.service(Parcels).by(ParcelsService)
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(app, port=0))
        first = await stack.enter_async_context(Plain("first").at_work())
        second = await stack.enter_async_context(Plain("second").at_work())
        key = DevelopmentIssuer(folder / "app", AUDIENCE)
        edge = Edge(
            name="post",
            listen=(Listen(port=port),),
            upstreams=(
                Upstream(name="parcels", at=(url.removeprefix("http://"),)),
                Upstream(name="first", at=(first.address,)),
                Upstream(name="second", at=(second.address,)),
            ),
            routes=(*routes(read(Parcels), "parcels"), *pages("parcels")),
            issuers=(key.issuer,),
            cors=CORS,
            resource="",
            log=folder / "access.log",
        )
        gateway = await stack.enter_async_context(Gateway(edge, folder / "envoy", workers=1))
        process = await stack.enter_async_context(httpx2.AsyncClient(base_url=url))
        outside = await stack.enter_async_context(httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}"))
        tokens = Tokens(key, SystemClock())
        yield Town(folder, process, outside, gateway, edge, first, second, tokens, key.issuer)


@pytest_asyncio.fixture(loop_scope="session")
async def town(whole: Town) -> AsyncGenerator[Town]:
    """The town as it was made, whatever a test changes."""
    yield whole
    whole.first.__dict__.update(seen=[], broken=False, delay=0.0)
    whole.second.__dict__.update(seen=[], broken=False, delay=0.0)
    if whole.gateway.edge is not whole.edge:
        await whole.gateway.apply(whole.edge)


@pytest.fixture
def town_contract() -> type:
    return Parcels
