"""API10:2023, unsafe consumption of APIs: whatever another system answers, what comes of it is a typed error, in time
and in bounded memory, and never a mistake that our own caller is blamed for."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeAlias, final

import pytest

from enfilade import App, Message, Problem, Unavailable, anyone, contract, query
from enfilade.clock import SystemClock
from enfilade.config import Config, OutboundConfig
from enfilade.outbound import Answered, Http, Reach
from enfilade.testing import Stage
from enfilade.trace.recorder import Recorder

Hostile: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Rate(Message):
    currency: str
    value: int


class Closed(Problem, status=409):
    """The exchange is closed."""

    until: int


@contract(needs=anyone)
class Rates(Protocol):
    """Another system's, as its owner describes it."""

    @query("GET /rates/{currency}", raises=[Closed])
    async def rate(self, currency: str) -> Rate: ...


@contract(needs=anyone)
class Shop(Protocol):
    @query("GET /price", raises=[Closed], timeout=0.5)
    async def price(self) -> int: ...

    @query("GET /fetched", timeout=0.5)
    async def fetched(self) -> int: ...


@final
class ShopService(Shop):
    rates: Rates
    http: Http

    def __init__(self, rates: Rates, http: Http) -> None:
        self.rates, self.http = rates, http

    async def price(self) -> int:
        return (await self.rates.rate("CHF")).value

    async def fetched(self) -> int:
        return (await self.http.fetch("GET", UPSTREAM.url, answer=Rate)).value


class Upstream:
    """A server that answers as it is told."""

    answer: Hostile
    port = 0
    visits = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rates/CHF"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            await self.answer(reader, writer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


UPSTREAM = Upstream()


@pytest.fixture(autouse=True)
async def upstream() -> AsyncIterator[Upstream]:
    server = await asyncio.start_server(UPSTREAM.serve, "127.0.0.1", 0)
    UPSTREAM.port, UPSTREAM.visits = server.sockets[0].getsockname()[1], 0
    async with server:
        yield UPSTREAM


@pytest.fixture
async def shop(upstream: Upstream) -> AsyncIterator[Stage]:
    here = f"127.0.0.1:{upstream.port}"
    app = App("shop", services=[Shop, Rates])
    app.service(Shop).by(ShopService)
    outbound = OutboundConfig(allow=(here,))
    config = Config(data="sqlite::memory:", outbound=outbound, service={"rates": {"at": f"http://{here}"}})
    async with Stage(app, config=config) as stage:
        yield stage


def says(
    body: bytes | Any,
    status: str = "200 OK",
    kind: str = "application/json",
    length: int | None = None,
    fields: str = "",
) -> Hostile:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = len(content) if length is None else length
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {said}\r\n{fields}connection: close\r\n\r\n"
        )
        writer.write(head.encode() + content)

    return answer


def wire(data: bytes) -> Hostile:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return answer


GOOD = {"currency": "CHF", "value": 7}
PROBLEM = "application/problem+json"
PACKED = gzip.compress(json.dumps(GOOD).encode())
DEEP = b"[" * 100_000 + b"]" * 100_000
CLOSED = {"type": Closed.type, "title": "Closed", "status": 409, "until": 5}

WRONG: dict[str, Hostile] = {
    "a number as text": says({**GOOD, "value": "7"}),
    "a number too large": says({**GOOD, "value": 2**70}),
    "a fraction for a number": says({**GOOD, "value": 7.5}),
    "null for a number": says({**GOOD, "value": None}),
    "an object for a number": says({**GOOD, "value": {"$gt": 0}}),
    "a member that is missing": says({"currency": "CHF"}),
    "a member twice": says(b'{"currency":"CHF","value":7,"value":8}'),
    "a text with a NUL": says({**GOOD, "currency": "C\0F"}),
    "half a character": says(b'{"currency":"\\ud800","value":7}'),
    "a list": says([GOOD]),
    "null": says(None),
    "nothing": says(b""),
    "nothing, and no content": says(b"", status="204 No Content"),
    "a page": says(b"<!doctype html><h1>It works</h1>", kind="text/html"),
    "a page that is said to be JSON": says(b"<html></html>"),
    "half of JSON": says(b'{"currency":"CHF","val'),
    "JSON and more": says(b'{"currency":"CHF","value":7}{}'),
    "not UTF-8": says(b'{"currency":"\xff\xfe","value":7}'),
    "UTF-16": says('{"currency":"CHF","value":7}'.encode("utf-16")),
    "deep": says(b'{"currency":' + b"[" * 100_000),
    "deep in a member that is not known": says(b'{"x":' + DEEP + b',"currency":"CHF","value":7}'),
    "a redirect": says(b"", status="302 Found", fields="location: http://127.0.0.1:{port}/\r\n"),
    "a redirect by its body": says(b"<meta http-equiv=refresh content='0; url=/'>", kind="text/html"),
    "a status that is none": says(GOOD, status="999 What"),
    "a refusal without a word": says(b"", status="404 Not Found"),
    "a refusal that is a page": says(b"<h1>No</h1>", status="403 Forbidden", kind="text/html"),
    "a problem that nobody declared": says({"type": "/problems/other", "status": 400}, "400 Bad Request", PROBLEM),
    "a problem of the platform's": says({"type": "/problems/unauthenticated"}, "401 Unauthorized", PROBLEM),
    "the declared problem, without its member": says({"type": Closed.type}, "409 Conflict", PROBLEM),
    "the declared problem, its member of another type": says({**CLOSED, "until": "never"}, "409 Conflict", PROBLEM),
    "a problem that is a list": says([CLOSED], "409 Conflict", PROBLEM),
    "a problem that is text": says("closed", "409 Conflict", PROBLEM),
    "a problem whose type is a list": says({**CLOSED, "type": [Closed.type]}, "409 Conflict", PROBLEM),
    "a problem that is deep": says(b"[" * 100_000, "409 Conflict", PROBLEM),
    "a problem that is half": says(b'{"type":', "409 Conflict", PROBLEM),
    "an error of its own": says({"trace": "secret"}, "500 Internal Server Error"),
    "less than it said": says(GOOD, length=5000),
    "a length that is no number": wire(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}"),
    "a length that is negative": wire(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}"),
    "two lengths": wire(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x"),
    "chunks that are none": wire(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "no HTTP": wire(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "silence": wire(b""),
    "fields without end": wire(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 300_000),
    "many fields": wire(b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % at for at in range(30_000))),
    "a coding that it is not in": says(GOOD, fields="content-encoding: gzip\r\n"),
    "half of a packed answer": says(PACKED[:-12], fields="content-encoding: gzip\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
async def test_an_answer_that_is_not_what_the_contract_says_is_unavailable(
    shop: Stage, upstream: Upstream, name: str
) -> None:
    upstream.answer = WRONG[name]

    for path in ("/price", "/fetched"):
        answer = await shop.http.get(path)
        fetched_refusal = path == "/fetched" and answer.status_code == 500  # Answered, which the service let through
        assert answer.status_code in (503, 504) or (fetched_refusal and _is_status(name))
        assert "secret" not in answer.text
        assert "127.0.0.1" not in answer.text
        assert "currency" not in answer.text
    assert upstream.visits == (4 if name == "silence" else 2)  # who hangs up without a word is asked once more


def _is_status(name: str) -> bool:
    return any(word in name for word in ("redirect", "refusal", "problem", "status"))


async def test_a_good_answer_and_a_declared_problem_arrive(shop: Stage, upstream: Upstream) -> None:
    upstream.answer = says({**GOOD, "more": "than we know"})
    assert (await shop.http.get("/price")).json() == 7
    upstream.answer = says(PACKED, fields="content-encoding: gzip\r\n")
    assert (await shop.http.get("/fetched")).json() == 7

    upstream.answer = says(CLOSED, "409 Conflict", PROBLEM)
    refused = await shop.http.get("/price")

    assert (refused.status_code, refused.json()["type"], refused.json()["until"]) == (409, Closed.type, 5)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


async def forever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        await writer.drain()


async def drip_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for letter in b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" * 100:
        writer.write(bytes([letter]))
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


def bomb(layers: int) -> bytes:
    data = zlib.compress(bytes(200_000_000), 9, wbits=31)
    for _ in range(layers - 1):
        data = gzip.compress(data)
    return data


BOMB, NESTED = bomb(1), bomb(2)


@pytest.fixture
async def http(upstream: Upstream) -> AsyncIterator[Http]:
    http = Http(Recorder(SystemClock(), service="test"), Reach.to(upstream.url))
    yield http
    await http.aclose()


SLOW: dict[str, Hostile] = {"head": drip_head, "body": drip_body, "nothing": silent, "hints": forever}


@pytest.mark.parametrize("name", SLOW)
async def test_one_byte_now_and_then_does_not_keep_a_call(shop: Stage, upstream: Upstream, name: str) -> None:
    upstream.answer = SLOW[name]

    for path, status in (("/price", 503), ("/fetched", 504)):  # a service that does not answer, and a page
        async with asyncio.timeout(15):  # each of them would go on for longer
            answer = await shop.http.get(path)
        assert answer.status_code == status


HUGE: dict[str, Hostile] = {
    "an endless stream": endless,
    "a bomb": says(BOMB, fields="content-encoding: gzip\r\n"),
    "a bomb in a bomb": says(NESTED, fields="content-encoding: gzip, gzip\r\n"),
    "a bomb by deflate": says(zlib.compress(bytes(200_000_000), 9), fields="content-encoding: deflate\r\n"),
    "a length of a terabyte": says(b"{}", length=10**12),
}


@pytest.mark.parametrize("name", HUGE)
async def test_an_answer_that_is_too_much_is_cut_off(http: Http, upstream: Upstream, name: str) -> None:
    upstream.answer = HUGE[name]

    tracemalloc.start()
    with pytest.raises(Unavailable):
        await http.read(upstream.url)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 30_000_000


async def test_a_hundred_codings_are_not_unpacked(http: Http, upstream: Upstream) -> None:
    upstream.answer = says(NESTED, fields=f"content-encoding: {', '.join(['gzip'] * 100)}\r\n")

    with pytest.raises(Unavailable):
        await http.read(upstream.url)


async def test_after_a_hostile_answer_the_client_is_as_good_as_before(http: Http, upstream: Upstream) -> None:
    for hostile in (*HUGE.values(), WRONG["two lengths"], WRONG["less than it said"], WRONG["silence"]):
        upstream.answer = hostile
        with pytest.raises(Unavailable):
            await http.read(upstream.url)

    upstream.answer = says(GOOD)
    assert await http.fetch("GET", upstream.url, answer=Rate) == Rate(currency="CHF", value=7)


async def test_a_redirect_is_an_answer_and_leads_nowhere(http: Http, upstream: Upstream) -> None:
    upstream.answer = says(b"", status="307 Elsewhere", fields=f"location: {upstream.url}\r\n")

    with pytest.raises(Answered):
        await http.fetch("GET", upstream.url, answer=Rate)
    assert upstream.visits == 1
