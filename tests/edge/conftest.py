"""A small app on a port, and a real Envoy before it; the same app as a plan; a server that tells what reached it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import pytest_asyncio

from enfilade import App
from enfilade.cli.serve import serving
from enfilade.clock import SystemClock
from enfilade.config import Config, TraceConfig
from enfilade.contract.read import read
from enfilade.edge import Edge, Gateway, Listen, Route, Upstream, pages, routes
from enfilade.endpoint import rest
from enfilade.identity import DevelopmentIssuer, Issuer, Tokens

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)

from post.app import CORS  # noqa: E402
from post.parcels.contract import Parcels  # noqa: E402
from post.stamps.contract import Stamps  # noqa: E402

AUDIENCE = "parcels"


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
            chunked = False
            while not chunked:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                fields = {name.lower(): value for name, _, value in (one.partition(": ") for one in head[1:] if one)}
                chunked = "transfer-encoding" in fields  # whose end nobody looks for here
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
    app = App("post", services=[Parcels, Stamps], endpoints=[rest("/", cors=CORS)], config=config)
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
            routes=(*routes(read(Parcels), "parcels"), *routes(read(Stamps), "parcels"), *pages("parcels")),
            issuers=(key.issuer,),
            cors=CORS,
            cors_headers=("Enfilade-Tenant", "X-Enfilade-Peer"),
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


PLAN = """
[edged]
extends = "split"

[edged.process.stamps]
replicas = 2

[edged.edge]
run = "envoy:"
threads = 1
variant = "x-variant"

[edged.edge.route.legacy]
path = "/legacy"
to = "http://{first}/before"
scopes = ["legacy"]
rates = [{{ limit = "6/minute", per = "caller" }}]
body = "1KB"

[edged.edge.route.partner]
path = "/partner"
to = "http://{second}/"
openapi = "partner.json"
"""
PARTNER = {"openapi": "3.1.0", "paths": {"/things": {"get": {}, "post": {}}, "/things/{id}": {"get": {}}}}


@dataclass
class Arranged:
    """The app as several processes behind the edge of a plan."""

    town: Town
    folder: Path
    outside: httpx2.AsyncClient
    supervisor: asyncio.subprocess.Process
    lines: list[str]

    @property
    def process(self) -> httpx2.AsyncClient:
        return self.town.process

    def bearer(self, subject: str = "ann", **said: Any) -> dict[str, str]:
        return self.town.bearer(subject, **said)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.supervisor.pid).children(recursive=True)

    def envoy(self) -> psutil.Process:
        return next(one for one in self.family() if one.name() == "envoy")

    async def command(self, *words: str) -> str:
        """What a command says to the plan at work."""
        asked = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "enfilade.cli", *words), cwd=self.folder, env=clean(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await asked.communicate())[0].decode()
        assert asked.returncode == 0, said
        return said

    async def until(self, line: str) -> None:
        """Until somebody wrote such a line."""
        async with asyncio.timeout(60):
            while not any(re.search(line, one) for one in self.lines):  # noqa: ASYNC110  (nothing tells us)
                await asyncio.sleep(0.02)


def clean() -> dict[str, str]:
    """Variables without any of ours; the app is imported from here."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ENFILADE_")},
        "PYTHONPATH": HERE,
    }


@contextlib.asynccontextmanager
async def arranging(folder: Path, plan: str, *arguments: str) -> AsyncGenerator[tuple[Any, str, list[str]]]:
    """A plan at work: its supervisor, its address, and what all of it writes."""
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "enfilade.cli", "run", "post.app:app", "--plan", plan, "--port", "0", *arguments),
        cwd=folder, env=clean(), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    lines: list[str] = []

    async def read() -> None:
        assert supervisor.stderr is not None
        async for line in supervisor.stderr:
            lines.append(line.decode().rstrip())  # noqa: PERF401  (they are looked at while more come)

    reading = asyncio.create_task(read())
    try:
        assert supervisor.stdout is not None
        said = (await supervisor.stdout.readline()).decode()
        assert said.startswith("Ready: "), "\n".join(lines)
        yield supervisor, said.split()[1], lines
    finally:
        with contextlib.suppress(ProcessLookupError):
            supervisor.send_signal(signal.SIGTERM)
        await supervisor.wait()
        await reading


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def arranged(whole: Town, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Arranged]:
    folder = tmp_path_factory.mktemp("plan")
    (folder / ".enfilade").mkdir()
    shutil.copy(whole.folder / "app" / "issuer.json", folder / ".enfilade")
    (folder / "enfilade.toml").write_text(f'audience = "{AUDIENCE}"')
    (folder / "plan.toml").write_text(PLAN.format(first=whole.first.address, second=whole.second.address))
    (folder / "partner.json").write_text(json.dumps(PARTNER))
    async with (
        arranging(folder, "edged") as (supervisor, url, lines),
        httpx2.AsyncClient(base_url=url, timeout=20) as outside,
    ):
        yield Arranged(whole, folder, outside, supervisor, lines)


@pytest.fixture
def arrange() -> Any:
    """Another plan at work, for tests that end it."""
    return arranging
