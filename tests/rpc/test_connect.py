"""Any client of the Connect protocol can call, and any of its servers can be called: connectrpc is the oracle."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import Any

import msgspec
import pytest
from connectrpc.client import ConnectClient
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from pyqwest import Client, HTTPTransport

from enfilade.endpoint.rpc import listening, rpc


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


def method(name: str, *, stream: bool = False) -> Any:
    kind = StreamType.SERVER_STREAM if stream else StreamType.UNARY
    message: Any = dict
    return MethodInfo(
        name=name, service_name="catalog", input=message, output=message, idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=kind,
    )  # fmt: skip


AS_SHOP = {"enfilade-peer": "shop"}


async def ask(world: Any, work: Any) -> Any:
    """Lets a client of connectrpc, with its defaults, work with the catalog."""
    async with (
        world.catalog() as running,
        listening(rpc(network=True).serve(running.site), "127.0.0.1:0") as url,
    ):
        http = Client(HTTPTransport(enable_otel=False))
        async with ConnectClient(url, codec=Plain(world.format), http_client=http) as client:  # type: ignore[arg-type]
            return await work(client)


async def test_its_client_asks_for_a_value(world: Any) -> None:
    async def work(client: ConnectClient) -> Any:
        return await client.execute_unary(request={"sku": "tea"}, method=method("price"), headers=AS_SHOP)

    assert await ask(world, work) == {"amount": "2.50", "currency": "EUR"}


async def test_its_client_is_told_a_problem(world: Any) -> None:
    async def work(client: ConnectClient) -> Any:
        with pytest.raises(ConnectError) as caught:
            await client.execute_unary(request={"sku": "coffee"}, method=method("price"), headers=AS_SHOP)
        return caught.value

    error = await ask(world, work)
    assert error.code is Code.INVALID_ARGUMENT
    assert error.message == "Try tea."
    assert error.details[0].type_name == "enfilade.Problem"
    assert json.loads(error.details[0].message_bytes)["sku"] == "coffee"


async def test_its_client_reads_a_stream(world: Any) -> None:
    async def work(client: ConnectClient) -> Any:
        stream = client.execute_server_stream(
            request={"count": 3}, method=method("watch", stream=True), headers=AS_SHOP
        )
        return [item["sku"] async for item in stream]

    assert await ask(world, work) == ["tea-0", "tea-1", "tea-2"]


async def test_its_client_is_told_that_its_time_is_over(world: Any) -> None:
    async def work(client: ConnectClient) -> Any:
        with pytest.raises(ConnectError) as caught:
            await client.execute_unary(request={"seconds": 30}, method=method("slow"), headers=AS_SHOP, timeout_ms=100)
        return caught.value.code

    assert await ask(world, work) is Code.DEADLINE_EXCEEDED


async def test_its_client_learns_that_there_is_no_such_operation(world: Any) -> None:
    async def work(client: ConnectClient) -> Any:
        with pytest.raises(ConnectError) as caught:
            await client.execute_unary(request={"sku": ""}, method=method("nothing"), headers=AS_SHOP)
        return caught.value.code

    assert await ask(world, work) is Code.UNIMPLEMENTED


async def test_curl_is_answered_as_the_page_says(world: Any) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl")
    async with world.catalog():
        said = [
            "--unix-socket", world.address.removeprefix("unix:"), "-s", "-H", "content-type: application/json",
            "-H", "enfilade-peer: shop", "-d", '{"sku": "tea"}', "http://catalog/catalog/price",
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(curl, *said, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()

        assert json.loads(out) == {"amount": "2.50", "currency": "EUR"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [("unavailable", "Unavailable"), ("not_found", "NotFound"), ("internal", "PeerFailed"), ("aborted", "Unavailable")],
)
async def test_errors_of_its_servers_are_understood(world: Any, kinds: Any, code: str, kind: str) -> None:
    from enfilade.endpoint.http import Request, Response

    class Served:
        prefix = ""

        def knows(self, method: str, path: str) -> bool:
            return True

        async def answer(self, request: Request) -> Response:
            body = json.dumps({"code": code, "message": "no"}).encode()
            return Response(409, [(b"content-type", b"application/json")], body)

    async with listening(Served(), world.address):
        with pytest.raises(Exception, match="no") as caught:
            await world.ask(timeout=2).price("tea")

    assert type(caught.value).__name__ == kind
