"""A small site: contracts as they are read, handlers that call an object, blobs in a dictionary."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeAlias

import httpx2
import msgspec
import pytest

from enfilade.call import Call, Handler, enter, leave
from enfilade.clock import VirtualClock
from enfilade.contract.blob import Blob
from enfilade.contract.operation import Operation
from enfilade.contract.read import read
from enfilade.endpoint import rest
from enfilade.endpoint.asgi import serve_http
from enfilade.endpoint.http1 import Connection, Door
from enfilade.endpoint.reading import reading
from enfilade.endpoint.site import Served, Site
from enfilade.errors import NotFound
from enfilade.trace.recorder import Recorder


class FakeBlobs:
    """Blobs in memory, which notes how it was used."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.largest_piece = 0

    async def put(
        self, chunks: AsyncIterable[bytes], media_type: str = "application/octet-stream", name: str = ""
    ) -> Blob:
        data = b""
        async for chunk in chunks:
            self.largest_piece = max(self.largest_piece, len(chunk))
            data += chunk
        return self.keep(data, media_type, name)

    def keep(self, data: bytes, media_type: str = "application/octet-stream", name: str = "") -> Blob:
        digest = hashlib.sha256(data).hexdigest()
        id = f"blob_{len(self.kept)}"
        self.kept[id] = data
        return Blob(id=id, size=len(data), media_type=media_type, sha256=digest, name=name)

    async def open(self, blob: Blob, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        if blob.id not in self.kept:
            raise NotFound(detail="The file is gone.")
        data = self.kept[blob.id][start:end]
        for at in range(0, len(data), 4):
            yield data[at : at + 4]

    async def drop(self, blob: Blob) -> None:
        self.kept.pop(blob.id, None)


class Stage:
    """What a test served, for looking at what came of it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.recorder = Recorder(self.clock, service="test")
        self.blobs = FakeBlobs()
        self.calls: list[Call] = []
        self.waiting: tuple[str, ...] = ()
        self.refuse: Exception | None = None
        """What the row answers with before the service."""

    def site(self, services: dict[type, Any]) -> Site:
        contracts = tuple(read(kind) for kind in services)
        handlers = {
            operation.id: self._row(operation, services[contract.type])
            for contract in contracts
            for operation in contract.operations
        }
        return Site(
            name="shop", contracts=contracts, handlers=handlers, clock=self.clock, recorder=self.recorder,
            blobs=self.blobs, unready=lambda: self.waiting,
        )  # fmt: skip

    def _row(self, operation: Operation, service: Any) -> Handler:
        read = reading(operation, self._handler(operation, service))

        async def guard(call: Call) -> Any:
            if self.refuse is not None:
                raise self.refuse
            return await read(call)

        return self.recorder.station(operation, guard)

    def _handler(self, operation: Operation, service: Any) -> Handler:
        method = getattr(service, operation.name, None)

        async def handle(call: Call) -> Any:
            self.calls.append(call)
            token = enter(call)
            try:
                made = method(**call.arguments)
                return made if operation.style in ("stream", "bytes") else await made
            finally:
                leave(token)

        return handle


class Client(httpx2.AsyncClient):
    """A client of what was served, and the stage behind it."""

    stage: Stage
    served: tuple[Served, ...]


Serve: TypeAlias = Callable[..., Client]


class Wire(httpx2.AsyncBaseTransport):
    """What was served, by our own driver on a socket; it listens from the first request on."""

    def __init__(self, served: tuple[Served, ...], folder: Path) -> None:
        self._door = Door(served=served)
        self._path = str(folder / f"{id(self)}.sock")
        self._wire = httpx2.AsyncHTTPTransport(uds=self._path)
        self._server: asyncio.Server | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(lambda: Connection(self._door), self._path)
        return await self._wire.handle_async_request(request)

    async def aclose(self) -> None:
        await self._wire.aclose()
        if self._server is not None:
            self._server.close()
        for connection in list(self._door.connections):
            connection.shutdown()
        await asyncio.sleep(0)


@pytest.fixture(params=["asgi", "http1"])
def driver(request: pytest.FixtureRequest) -> str:
    """What carries the requests: each test is run with both, where its file does not say otherwise."""
    return request.param


@pytest.fixture
async def serve(driver: str, tmp_path: Path) -> AsyncIterator[Serve]:
    """`serve({Orders: service}, **options of rest)` gives a client; several endpoints by `endpoints=`."""
    opened: list[Client] = []

    def make(
        services: dict[type, Any], *, prefix: str = "/", endpoints: Any = None, recording: bool = True, **options: Any
    ) -> Client:
        stage = Stage()
        stage.recorder.enabled = recording
        site = stage.site(services)
        served = tuple(one.serve(site) for one in endpoints or [rest(prefix, **options)])

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await serve_http(served, scope, receive, send)

        transport = httpx2.ASGITransport(app=app) if driver == "asgi" else Wire(served, tmp_path)
        client = Client(transport=transport, base_url="http://shop.example")
        client.headers.pop("accept-encoding", None)
        client.stage, client.served = stage, served
        opened.append(client)
        return client

    yield make
    for client in opened:
        await client.aclose()


@pytest.fixture
def raw() -> Callable[..., Any]:
    """`await raw(client, method, path, ...)` sends a path as it stands: (status, headers, JSON or bytes)."""

    async def ask(
        client: Client, method: str, path: str, *, headers: tuple[tuple[bytes, bytes], ...] = (), body: bytes = b""
    ) -> tuple[int, dict[str, str], Any]:
        sent: list[Any] = []
        given = [{"type": "http.request", "body": body, "more_body": False}]
        bare, _, query = path.partition("?")
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": bare, "raw_path": bare.encode("latin-1"),
            "query_string": query.encode("latin-1"), "headers": [*headers], "client": ("192.0.2.1", 5000),
        }  # fmt: skip

        async def receive() -> Any:
            return given.pop(0) if given else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await serve_http(client.served, scope, receive, send)
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        data = b"".join(message.get("body", b"") for message in sent[1:])
        is_json = "json" in head.get("content-type", "")
        return sent[0]["status"], head, msgspec.json.decode(data) if is_json else data

    return ask
