"""Bodies that are broken, too long, too slow or not what they say: each gets its problem, and nothing is called."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import msgspec
import pytest

from enfilade import Message, Stream, anyone, command, contract
from enfilade.endpoint.asgi import serve_http


class Address(Message):
    street: str
    city: str = ""


@contract(needs=anyone, body=1000, timeout=0.05)
class Orders(Protocol):
    @command("POST /orders")
    async def place(self, sku: str, quantity: int = 1, to: Address | None = None) -> str: ...

    @command("POST /raw")
    async def raw(self, data: Stream[bytes]) -> int: ...


class Shop:
    async def place(self, **given: Any) -> str:
        return "placed"

    async def raw(self, data: Stream[bytes]) -> int:
        return sum([len(piece) async for piece in data])


@pytest.fixture
def shop(serve: Any) -> Any:
    return serve({Orders: Shop()})


JSON = {"Content-Type": "application/json"}


async def refused(shop: Any, content: Any, headers: dict[str, str] = JSON) -> Any:
    response = await shop.post("/orders", content=content, headers=headers)

    assert shop.stage.calls == []
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["instance"] == "/orders"
    assert document["trace_id"] == response.headers["trace-id"]
    return document


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"sku": "tea"',
        b'{"sku": "tea"} x',
        b"nothing",
        b'{"sku": "tea", "quantity": NaN}',
        b'{"sku": "tea", "quantity": Infinity}',
        b'{"sku": "tea", "sku": "coffee"}',
        b'{"sku": "tea", "to": {"street": "a", "street": "b"}}',
        b'{"sku": "\xff"}',
        '{"sku": "tea"}'.encode("utf-16"),
        b"[" * 10_000 + b"]" * 10_000,
        b'{"to":' * 10_000,
    ],
    ids=[
        "open",
        "cut",
        "more",
        "word",
        "nan",
        "infinity",
        "twice",
        "twice-inside",
        "latin",
        "utf16",
        "deep",
        "deep-open",
    ],
)
async def test_a_body_that_is_not_json_is_malformed(serve, content: bytes) -> None:
    @contract(needs=anyone)
    class Roomy(Protocol):
        @command("POST /orders")
        async def place(self, sku: str, quantity: int = 1, to: Address | None = None) -> str: ...

    document = await refused(serve({Roomy: Shop()}), content)

    assert (document["status"], document["type"]) == (400, "/problems/malformed")


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (b"[]", ""),
        (b"null", ""),
        (b'"tea"', ""),
        (b"{}", "/sku"),
        (b'{"sku": 7}', "/sku"),
        (b'{"sku": null}', "/sku"),
        (b'{"sku": "tea", "quantity": "2"}', "/quantity"),
        (b'{"sku": "tea", "quantity": 99999999999999999999}', "/quantity"),
        (b'{"sku": "tea", "colour": "red"}', "/colour"),
        (b'{"sku": "tea", "to": {"street": "a", "zip": "b"}}', "/to/zip"),
        (b'{"sku": "tea", "to": {}}', "/to/street"),
    ],
)
async def test_json_that_is_not_what_the_contract_says_is_pointed_at(shop, content: bytes, pointer: str) -> None:
    document = await refused(shop, content)

    assert (document["status"], document["type"]) == (422, "/problems/invalid")
    assert pointer in [error["pointer"] for error in document["errors"]]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/jsonp",
        "application/json, application/json",
        "",
    ],
)
async def test_another_content_type_or_charset_is_415(shop, kind: str) -> None:
    document = await refused(shop, b'{"sku": "tea"}', {"Content-Type": kind})

    assert (document["status"], document["type"]) == (415, "/problems/unsupported-media")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=UTF-8", 'APPLICATION/JSON;charset="utf-8"', "application/json;"]
)
async def test_json_may_say_that_it_is_utf8(shop, kind: str) -> None:
    response = await shop.post("/orders", content=b'{"sku": "tea"}', headers={"Content-Type": kind})

    assert response.status_code == 200


async def test_a_body_over_the_limit_is_413_and_says_the_limit(shop) -> None:
    document = await refused(shop, b'{"sku": "' + b"x" * 1000 + b'"}')

    assert (document["status"], document["limit"]) == (413, 1000)


async def drive(shop: Any, headers: list[tuple[bytes, bytes]], pieces: list[bytes], *, forever: bool = False) -> Any:
    """Sends a body piece by piece: (status, document, headers, pieces that were not taken before the answer)."""
    sent: list[Any] = []
    left = list(pieces)
    untaken = 0

    async def receive() -> Any:
        if not left:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or forever}

    async def send(message: Any) -> None:
        nonlocal untaken
        untaken = untaken if sent else len(left)
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/orders", "query_string": b"", "headers": [*headers]}
    await serve_http(shop.served, scope, receive, send)
    document = msgspec.json.decode(sent[1]["body"])
    return sent[0]["status"], document, dict(sent[0]["headers"]), untaken


KIND = (b"content-type", b"application/json")


async def test_a_body_of_100_megabytes_is_refused_before_any_of_it_is_read(shop) -> None:
    status, _, headers, left = await drive(shop, [KIND, (b"content-length", b"104857600")], [b"x"] * 100)

    assert (status, left) == (413, 100)
    assert headers[b"connection"] == b"close"


async def test_a_body_that_does_not_say_its_length_is_read_to_the_limit_only(shop) -> None:
    status, _, headers, left = await drive(shop, [KIND, (b"transfer-encoding", b"chunked")], [b"x" * 100] * 100)

    assert (status, left) == (413, 89)
    assert headers[b"connection"] == b"close"


@pytest.mark.parametrize("pieces", [[], [b'{"sku":'], [b" "] * 20])
async def test_a_body_that_never_ends_is_408_when_the_time_is_over(shop, pieces: list[bytes]) -> None:
    headers = [KIND, (b"transfer-encoding", b"chunked")]
    status, document, fields, _ = await drive(shop, headers, pieces, forever=True)

    assert (status, document["type"]) == (408, "/problems/too-slow")
    assert fields[b"connection"] == b"close"
    assert shop.stage.calls == []


async def test_a_body_in_pieces_is_one_body(shop) -> None:
    status, answer, headers, _ = await drive(shop, [KIND], [b'{"sku"', b"", b': "tea"', b"}"])

    assert (status, answer) == (200, "placed")
    assert b"connection" not in headers


async def test_a_client_that_hangs_up_within_the_body_calls_nothing(shop) -> None:
    sent: list[Any] = []
    given = [{"type": "http.request", "body": b'{"sku": "tea"}', "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return given.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/orders", "query_string": b"", "headers": [KIND]}
    await serve_http(shop.served, scope, receive, send)

    assert sent[0]["status"] == 400
    assert shop.stage.calls == []


@pytest.mark.parametrize("length", [b"-1", b"1_0", b"abc", b"10, 20"])
async def test_a_length_that_is_no_number_is_malformed(shop, length: bytes) -> None:
    status, _, _, left = await drive(shop, [KIND, (b"content-length", length)], [b"{}"])

    assert (status, left) == (400, 1)


# -- compressed bodies

CODED = {**JSON, "Content-Encoding": "gzip"}


async def test_a_gzip_body_is_decoded(shop) -> None:
    once = await shop.post("/orders", content=gzip.compress(b'{"sku": "tea"}'), headers=CODED)
    twice = await shop.post("/orders", content=gzip.compress(b'{"sku":') + gzip.compress(b' "tea"}'), headers=CODED)

    assert (once.status_code, twice.status_code) == (200, 200)


async def test_a_small_gzip_body_that_becomes_large_is_413(serve) -> None:
    @contract(needs=anyone, body="64KiB")
    class Roomy(Protocol):
        @command("POST /orders")
        async def place(self, sku: str) -> str: ...

    bomb = gzip.compress(b'{"sku": "' + b"x" * 50_000_000 + b'"}')
    document = await refused(serve({Roomy: Shop()}), bomb, CODED)

    assert len(bomb) < 64 * 1024
    assert document["status"] == 413


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b'{"sku": "tea"}')[:-4], gzip.compress(b"{}") + b"more"],
    ids=["none", "cut off", "followed by more"],
)
async def test_gzip_that_is_none_is_malformed(shop, content: bytes) -> None:
    assert (await refused(shop, content, CODED))["status"] == 400


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_another_coding_is_415(shop, coding: str) -> None:
    content = zlib.compress(b'{"sku": "tea"}')

    assert (await refused(shop, content, {**JSON, "Content-Encoding": coding}))["status"] == 415


# -- raw bodies


async def test_a_raw_body_is_a_stream_of_its_pieces(shop) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(5):
            yield b"x" * 100

    response = await shop.post("/raw", content=pieces())
    assert response.json() == 500

    coded = await shop.post("/raw", content=gzip.compress(b"y" * 800), headers={"Content-Encoding": "gzip"})
    assert coded.json() == 800


async def test_a_raw_body_over_the_limit_is_413_from_within_the_service(shop) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(50):
            yield b"x" * 100

    response = await shop.post("/raw", content=pieces())

    assert (response.status_code, response.json()["limit"]) == (413, 1000)
