"""Our client calls a server of connectrpc: values, problems of its own kind, streams, deadlines and cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import uvicorn
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.server import ConnectASGIApplication, Endpoint

from enfilade.endpoint.rpc import PeerFailed
from enfilade.errors import DeadlineExceeded, NotFound, Overloaded, Unavailable


class Plain:
    """Messages as dictionaries, where connectrpc's own are protobuf's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._with = msgspec.json if name == "json" else msgspec.msgpack

    def name(self) -> str:
        return self._name

    def encode(self, message: Any) -> bytes:
        return self._with.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type) -> Any:
        return self._with.decode(bytes(data))


class Oracle:
    """A catalog as somebody else would serve it."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.left: list[str] = []
        self.late = 0.0

    async def price(self, asked: Any, context: Any) -> Any:
        self.fields = dict(context.request_headers.items())
        self.late = (context.timeout_ms or 0) / 1000
        if asked["sku"] == "tea":
            return {"amount": "2.50", "currency": "EUR"}
        raise ConnectError(Code[asked["sku"]], "as you like it")

    async def slow(self, asked: Any, _: Any) -> Any:
        try:
            await asyncio.sleep(asked["seconds"])
        except asyncio.CancelledError:
            self.left.append("slow")
            raise
        return asked["seconds"]

    async def billed(self, asked: Any, _: Any) -> AsyncIterator[Any]:
        try:
            for at in range(asked["count"]):
                yield at
                await asyncio.sleep(0)
            if fail := asked.get("fail"):
                raise ConnectError(Code[fail], "as you like it")
        finally:
            self.left.append("billed")

    def endpoints(self, _: Any) -> dict[str, Any]:
        return {
            "/catalog/price": Endpoint.unary(_method("price"), self.price),
            "/catalog/slow": Endpoint.unary(_method("slow"), self.slow),
            "/catalog/billed": Endpoint.server_stream(_method("billed", StreamType.SERVER_STREAM), self.billed),
        }


class Application(ConnectASGIApplication[Oracle]):
    """As its generated code has it."""

    path = "/catalog"  # type: ignore[assignment]


def _method(name: str, kind: StreamType = StreamType.UNARY) -> Any:
    message: Any = dict
    return MethodInfo(
        name=name, service_name="catalog", input=message, output=message, idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=kind,
    )  # fmt: skip


@asynccontextmanager
async def serving(world: Any) -> AsyncGenerator[Oracle]:
    oracle = Oracle()
    app: Any = Application(service=oracle, endpoints=oracle.endpoints, codecs=[Plain("json"), Plain("msgpack")])
    path = world.address.removeprefix("unix:")
    server = uvicorn.Server(uvicorn.Config(app, uds=path, lifespan="off", log_level="error", ws="none"))
    task = asyncio.create_task(server.serve())
    await world.until(lambda: server.started or task.done())
    try:
        yield oracle
    finally:
        server.should_exit = True
        await task


async def test_its_server_gives_a_value_and_hears_what_goes_with_the_call(world: Any, kinds: Any) -> None:
    async with serving(world) as oracle:
        money = await world.ask(caller=kinds.ann, tenant="acme", trace_id=7, span_id=9).price("tea")

        assert (str(money.amount), money.currency) == ("2.50", "EUR")
        assert oracle.fields["traceparent"] == f"00-{7:032x}-{9:016x}-01"
        assert 0 < oracle.late <= 5


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("NOT_FOUND", NotFound), ("UNAVAILABLE", Unavailable), ("RESOURCE_EXHAUSTED", Overloaded),
        ("INTERNAL", PeerFailed), ("DEADLINE_EXCEEDED", DeadlineExceeded),
    ],
)  # fmt: skip
async def test_its_server_refuses(world: Any, code: str, kind: type[Exception]) -> None:
    async with serving(world):
        with pytest.raises(kind):
            await world.ask(timeout=1).price(code)


async def test_its_server_streams(world: Any) -> None:
    link = world.link()
    async with serving(world):
        assert [one async for one in world.ask(link).billed(1000)] == list(range(1000))
        got: list[int] = []
        with pytest.raises(NotFound):
            async for one in world.ask(link).billed(2, "NOT_FOUND"):
                got.append(one)  # noqa: PERF401  (a comprehension would forget them)

        assert got == [0, 1]
        assert link.statistics()[world.address]["open"] == 1


async def test_its_server_is_left(world: Any) -> None:
    async with serving(world) as oracle:
        items = world.ask().billed(1_000_000)
        async for _ in items:
            break
        await items.aclose()
        await world.until(lambda: oracle.left == ["billed"])
        with pytest.raises(DeadlineExceeded):
            await world.ask(timeout=0.3).slow(60.0)
        await world.until(lambda: oracle.left == ["billed", "slow"])


async def test_what_its_server_does_not_have_is_told(world: Any) -> None:
    async with serving(world):
        with pytest.raises(Unavailable):
            await world.ask(timeout=1).note("x")
