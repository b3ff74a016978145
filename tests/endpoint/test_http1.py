"""The driver on real sockets: what a public server is sent, by who means well, who is slow, and who means harm."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any, cast

import pytest
from httptools import HttpResponseParser
from hypothesis import given
from hypothesis import strategies as st

from enfilade.endpoint.http import Request, Response
from enfilade.endpoint.http1 import Connection, Door, Limits, Proxies

PATIENCE = 10.0
"""Seconds after which a test has failed."""
HEAD = b" HTTP/1.1\r\nhost: a\r\n"
QUICK = Limits(head=0.1, idle=0.1, silence=0.1, linger=0.1)


class Ticks:
    """A body that goes on until somebody leaves."""

    def __init__(self, count: int, piece: bytes) -> None:
        self.left = count
        self.piece = piece
        self.given = 0
        self.closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left:
            self.left -= 1
            self.given += 1
            yield self.piece
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        self.closed.set()


class Echo:
    """An endpoint that says what it was asked, and does as it is told."""

    prefix = ""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go = asyncio.Event()
        self.failed: Exception | None = None
        self.ticks = Ticks(1 << 60, b"tick")

    def knows(self, method: str, path: str) -> bool:
        return not path.startswith("/mounted")

    async def answer(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.path}")
        said: Callable[[Request], Awaitable[Response]] = getattr(self, request.path.strip("/*") or "echo", self.echo)
        return await said(request)

    async def echo(self, request: Request) -> Response:
        body = b""
        try:
            while piece := await request.read():
                body += piece
        except Exception as error:
            self.failed = error
            return Response(getattr(error, "status", 500), [(b"x", b"failed")], str(error).encode())
        fields = {name.decode(): value.decode() for name, value in request.fields.items()}
        said = {
            "method": request.method, "path": request.path, "query": request.query.decode(), "fields": fields,
            "body": body.decode(), "address": request.address, "scheme": request.scheme,
        }  # fmt: skip
        return Response(200, [(b"content-type", b"application/json")], json.dumps(said).encode())

    async def deaf(self, request: Request) -> Response:
        return Response(403, [], b"no")

    async def wait(self, request: Request) -> Response:
        await self.go.wait()
        return await self.echo(request)

    async def count(self, request: Request) -> Response:
        await self.go.wait()
        size = 0
        while piece := await request.read():
            size += len(piece)
        return Response(200, [], str(size).encode())

    async def stream(self, request: Request) -> Response:
        return Response(200, [], self.ticks)

    async def short(self, request: Request) -> Response:
        return Response(200, [(b"content-length", b"100")], Ticks(2, b"tick"))

    async def nothing(self, request: Request) -> Response:
        return Response(204, [])

    async def large(self, request: Request) -> Response:
        return Response(200, [], b"x" * 20_000_000)

    async def split(self, request: Request) -> Response:
        return Response(200, [(b"x", b"a\r\nset-cookie: b=c")], b"")

    async def bug(self, request: Request) -> Response:
        raise KeyError("secret")


class Answer:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection, and the answers that came on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.answers: list[Answer] = []
        self.raw = b""
        self._parser = HttpResponseParser(self)
        self._now = Answer()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._now.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self._now.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._now.body += body

    def on_message_complete(self) -> None:
        if self._now.status != 100:
            self.answers.append(self._now)
        self._now = Answer()

    async def send(self, *data: bytes) -> None:
        with suppress(ConnectionError):
            for one in data:
                self.writer.write(one)
                await self.writer.drain()

    async def get(self, count: int = 1) -> list[Answer]:
        """So many answers."""
        async with asyncio.timeout(PATIENCE):
            while len(self.answers) < count:
                data = await self.reader.read(65536)
                assert data, f"closed after {len(self.answers)} answers: {self.raw[:300]!r}"
                self.raw += data
                self._parser.feed_data(data)
        found, self.answers = self.answers[:count], self.answers[count:]
        return found

    async def one(self, *data: bytes) -> Answer:
        await self.send(*data)
        return (await self.get())[0]

    async def rest(self) -> bytes:
        """What came until the connection was closed."""
        said = b""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                while data := await self.reader.read(65536):
                    said += data
        return said

    def close(self) -> None:
        self.writer.close()


class House:
    """A server on a port of its own."""

    def __init__(self, echo: Echo, door: Door) -> None:
        self.echo, self.door = echo, door
        self.clients: list[Client] = []
        self.port = 0

    async def client(self, **said: Any) -> Client:
        made = Client(*await asyncio.open_connection("127.0.0.1", self.port, **said))
        self.clients.append(made)
        return made

    async def said(self, *data: bytes) -> Answer:
        """The one answer to this, on a connection of its own that is closed then."""
        client = await self.client()
        answer = await client.one(*data)
        assert await client.rest() == b""
        return answer


@pytest.fixture
async def house() -> AsyncIterator[Callable[..., Awaitable[House]]]:
    servers: list[asyncio.Server] = []
    houses: list[House] = []

    async def make(**said: Any) -> House:
        echo = Echo()
        door = Door(served=[echo], **said)
        server = await asyncio.get_running_loop().create_server(lambda: Connection(door), "127.0.0.1", 0)
        made = House(echo, door)
        made.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        houses.append(made)
        return made

    yield make
    for server in servers:
        server.close()
    for one in houses:
        for client in one.clients:
            client.close()
            with suppress(ConnectionError):
                await client.writer.wait_closed()
        for connection in list(one.door.connections):
            connection._transport.abort()
    await asyncio.sleep(0)


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not met():  # noqa: ASYNC110  (what is waited for is what a socket brings)
            await asyncio.sleep(0.001)


def get(path: bytes = b"/", fields: bytes = b"") -> bytes:
    return b"GET " + path + HEAD + fields + b"\r\n"


def post(path: bytes, fields: bytes, body: bytes = b"") -> bytes:
    return b"POST " + path + HEAD + fields + b"\r\n" + body


def cut(data: bytes, parts: int) -> list[bytes]:
    size = len(data) // parts + 1
    return [data[at : at + size] for at in range(0, len(data), size)]


CHUNKED = b"transfer-encoding: chunked\r\n"


# -- what is asked


async def test_a_request_is_what_was_sent(house) -> None:
    client = await (await house()).client()
    sent = b"content-length: 3\r\nX-One:  a b \t\r\nx-one: c\r\nempty:\r\n"
    said = (await client.one(post(b"/a%20b?x=1&y=%20", sent, b"tea"))).json()

    assert (said["method"], said["path"], said["query"], said["body"]) == ("POST", "/a%20b", "x=1&y=%20", "tea")
    assert said["fields"] == {"host": "a", "content-length": "3", "x-one": "a b, c", "empty": ""}
    assert (said["address"], said["scheme"]) == ("127.0.0.1", "http")


async def test_an_answer_has_its_length_and_its_date(house) -> None:
    answer = await (await (await house()).client()).one(get())

    assert answer.headers["content-length"] == str(len(answer.body))
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers["date"])
    assert "connection" not in answer.headers


@pytest.mark.parametrize(
    ("url", "path", "query", "host"),
    [
        (b"http://shop.example:81/a?b=1", "/a", "b=1", "shop.example:81"),
        (b"HTTPS://shop.example", "/", "", "shop.example"),
        (b"http://shop.example?b", "/", "b", "shop.example"),
        (b"//a/b", "//a/b", "", "a"),
        (b"/a?b?c", "/a", "b?c", "a"),
    ],
)
async def test_a_target_is_taken_in_each_form(house, url: bytes, path: str, query: str, host: str) -> None:
    said = (await (await (await house()).client()).one(get(url))).json()

    assert (said["path"], said["query"], said["fields"]["host"]) == (path, query, host)


async def test_options_of_the_server_itself_are_asked_with_an_asterisk(house) -> None:
    answer = await (await (await house()).client()).one(b"OPTIONS *" + HEAD + b"\r\n")

    assert answer.json()["path"] == "*"


@pytest.mark.parametrize(
    "sent",
    [
        get(b"*"),
        get(b"a"),
        get(b"/a#b"),
        get(b"ftp://a/"),
        get(b"http://ann@a/"),
        get(b"http:///a"),
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\nhost: a\n\n",
        b"GET / HTTP/1.1\r\nhost: a\nx: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\rx: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nx : a\r\n\r\n",
        b"GET / HTTP/1.1\r\n host: a\r\n\r\n",
        b"GET / HTTP/2.0\r\nhost: a\r\n\r\n",
        b"GET / HTTP/0.9\r\nhost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        post(b"/", b"content-length: 3\r\n" + CHUNKED, b"0\r\n\r\n"),
        post(b"/", CHUNKED + b"content-length: 3\r\n", b"0\r\n\r\n"),
        post(b"/", b"content-length: 3\r\ncontent-length: 4\r\n", b"abcd"),
        post(b"/", b"content-length: 3\r\ncontent-length: 3\r\n", b"abc"),
        post(b"/", b"content-length: 3, 3\r\n", b"abc"),
        post(b"/", b"content-length: +3\r\n", b"abc"),
        post(b"/", b"content-length: 0x3\r\n", b"abc"),
        post(b"/", b"transfer-encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
        post(b"/", b"transfer-encoding: xchunked\r\n", b"0\r\n\r\n"),
        post(b"/", b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n"),
        b"POST / HTTP/1.0\r\nhost: a\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    ],
)
async def test_what_can_be_read_in_two_ways_is_not_read(house, sent: bytes) -> None:
    made = await house()
    answer = await made.said(sent + get(b"/smuggled"))

    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert answer.json()["type"] == "/problems/malformed"
    assert made.echo.asked == []


@pytest.mark.parametrize("parts", [1, 7, 500])
@pytest.mark.parametrize(
    "fields",
    [b"x: " + b"a" * 70_000 + b"\r\n", b"".join(b"x-%d: a\r\n" % one for one in range(200)), b"x: a\r\n" * 200],
    ids=["large", "many", "the same"],
)
async def test_a_head_has_its_size(house, fields: bytes, parts: int) -> None:
    made = await house()
    answer = await made.said(*cut(get(b"/", fields), parts))

    assert (answer.status, answer.json()["type"]) == (431, "/problems/head-too-large")
    assert made.echo.asked == []


async def test_a_head_within_its_size_may_come_in_any_parts(house) -> None:
    client = await (await house()).client()
    sent = get(b"/" + b"a" * 8_000, b"".join(b"x-%d: %s\r\n" % (one, b"a" * 500) for one in range(100)))
    whole = (await client.one(sent)).json()
    parts = (await client.one(*(sent[at : at + 777] for at in range(0, len(sent), 777)))).json()

    assert parts == whole
    assert len(whole["fields"]) == 101


# -- bodies


async def test_a_chunked_body_is_put_together_without_what_frames_it(house) -> None:
    client = await (await house()).client()
    body = b'2;ext="a;b"\r\nte\r\n1 ; a=b\r\na\r\n0\r\nx-trailer: 1\r\nhost: evil\r\n\r\n'
    first = await client.one(post(b"/", CHUNKED, body.replace(b"1 ; ", b"1;")))
    bytewise = await client.one(*(bytes([one]) for one in post(b"/", CHUNKED, b"3\r\ntea\r\n0\r\nx: 1\r\n\r\n")))
    next_ = await client.one(get())

    assert [one.json()["body"] for one in (first, bytewise, next_)] == ["tea", "tea", ""]
    assert next_.json()["fields"] == {"host": "a"}


@pytest.mark.parametrize(
    "body",
    [b"ZZ\r\n", b"-1\r\n", b"3\r\nteapot\r\n", b"3\ntea\n0\n\n", b"fffffffffffffffff\r\n", b"3 \r\ntea\r\n0\r\n\r\n"],
)
async def test_chunks_that_are_none_end_the_body_and_the_connection(house, body: bytes) -> None:
    made = await house()
    answer = await made.said(post(b"/", CHUNKED, body + get(b"/smuggled")))

    assert answer.status == 400
    assert made.echo.asked == ["POST /"]
    assert str(made.echo.failed)


@pytest.mark.parametrize(
    "body",
    [b"1;" + b"a" * 200_000, b"1\r\na\r\n0\r\nx: " + b"a" * 200_000, (b"1;" + b"a" * 500 + b"\r\nx\r\n") * 500],
    ids=["an extension", "a trailer", "many extensions"],
)
async def test_what_frames_a_body_is_not_more_than_the_body(house, body: bytes) -> None:
    answer = await (await house()).said(
        post(b"/", CHUNKED), *(body[at : at + 4000] for at in range(0, len(body), 4000))
    )

    assert answer.status in (400, 431)


async def test_trailers_are_counted(house) -> None:
    many = b"".join(b"x-%d: a\r\n" % one for one in range(200))
    answer = await (await house()).said(post(b"/", CHUNKED, b"0\r\n" + many + b"\r\n"))

    assert answer.status == 431


async def test_a_client_that_asks_is_told_to_go_on_when_somebody_reads(house) -> None:
    client = await (await house()).client()
    await client.send(post(b"/", b"content-length: 3\r\nexpect: 100-continue\r\n"))
    line = await client.reader.readuntil(b"\r\n\r\n")
    answer = await client.one(b"tea")

    assert line == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.json()["body"] == "tea"


async def test_a_client_that_asks_and_is_refused_need_not_send(house) -> None:
    answer = await (await house()).said(post(b"/deaf", b"content-length: 3\r\nexpect: 100-continue\r\n"))

    assert (answer.status, answer.headers["connection"]) == (403, "close")


async def test_a_small_body_that_nobody_reads_costs_no_connection(house) -> None:
    client = await (await house()).client()
    refused = await client.one(post(b"/deaf", b"content-length: 3\r\n"))
    answer = await client.one(b"tea" + get())

    assert (refused.status, answer.status) == (403, 200)


@pytest.mark.parametrize("fields", [b"content-length: 10000000\r\n", CHUNKED], ids=["length", "chunks"])
async def test_a_large_body_that_nobody_reads_ends_the_connection_after_the_answer(house, fields: bytes) -> None:
    made = await house(limits=Limits(linger=0.5))
    client = await made.client()
    await client.send(post(b"/deaf", fields))
    (answer,) = await client.get()
    await client.send(b"fffff\r\n", *[b"x" * 10_000] * 20)

    assert (answer.status, answer.headers["connection"]) == (403, "close")
    assert await client.rest() == b""


async def test_who_sends_more_than_is_read_has_to_wait(house) -> None:
    made = await house()
    client = await made.client()
    client.writer.transport.set_write_buffer_limits(high=0)
    await client.send(post(b"/count", b"content-length: 30000000\r\n"))
    sending = asyncio.create_task(client.send(*[b"x" * 100_000] * 300))
    done, _ = await asyncio.wait([sending], timeout=0.5)
    (connection,) = made.door.connections
    buffered = connection._current.waiting + len(connection._rest)
    made.echo.go.set()
    (answer,) = await client.get()
    await sending

    assert not done
    assert buffered < 1_000_000
    assert answer.body == b"30000000"


# -- time


async def test_a_head_that_does_not_come_is_408_and_a_connection_without_one_is_closed(house) -> None:
    made = await house(limits=QUICK)
    answer = await made.said(b"GET / HTTP/1.1\r\n")
    silent = await made.client()

    assert (answer.status, answer.json()["type"]) == (408, "/problems/too-slow")
    assert await silent.rest() == b""


async def test_a_head_that_comes_drop_by_drop_is_408_all_the_same(house) -> None:
    made = await house(limits=QUICK)
    client = await made.client()
    await client.send(b"GET / HTTP/1.1\r\n")
    getting = asyncio.create_task(client.get())
    while not getting.done():
        await client.send(b"x: a\r\n")
        await asyncio.wait([getting], timeout=0.01)

    assert getting.result()[0].status in (408, 431)
    assert made.echo.asked == []


async def test_a_body_that_does_not_come_is_408(house) -> None:
    answer = await (await house(limits=QUICK)).said(post(b"/", b"content-length: 3\r\n", b"t"))

    assert (answer.status, answer.headers["connection"]) == (408, "close")


async def test_a_connection_that_is_not_used_is_closed(house) -> None:
    client = await (await house(limits=QUICK)).client()
    await client.one(get())

    assert await client.rest() == b""


async def test_a_call_may_take_longer_than_a_client(house) -> None:
    made = await house(limits=QUICK)
    client = await made.client()
    await client.send(get(b"/wait"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.reader.read(1), 0.5)
    made.echo.go.set()

    assert (await client.get())[0].status == 200


async def test_who_does_not_take_his_answer_is_left(house) -> None:
    made = await house(limits=QUICK)
    client = await made.client(limit=1000)
    await client.send(get(b"/large"))
    await until(lambda: bool(made.echo.asked) and not made.door.connections)

    assert len(await client.rest()) < 20_000_000


async def test_who_takes_his_answer_slowly_gets_all_of_it(house) -> None:
    made = await house(limits=Limits(head=0.1, silence=1.0))
    client = await made.client()
    await client.send(get(b"/large", b"connection: close\r\n"))
    size, loop = 0, asyncio.get_running_loop()
    began = loop.time()
    while data := await client.reader.read(65536):
        size += len(data)
        await asyncio.sleep(0.005)

    assert loop.time() - began > 1.0
    assert size > 20_000_000


# -- one after the other


async def test_answers_come_in_the_order_of_the_requests(house) -> None:
    made = await house()
    client = await made.client()
    await client.send(get(b"/wait") + get(b"/b") + post(b"/c", b"content-length: 3\r\n", b"tea") + get(b"/d"))
    made.echo.go.set()
    answers = await client.get(4)

    assert [one.json()["path"] for one in answers] == ["/wait", "/b", "/c", "/d"]
    assert answers[2].json()["body"] == "tea"


async def test_of_a_huge_pipeline_little_is_taken_at_once_and_all_is_answered(house) -> None:
    made = await house(limits=Limits(requests=1 << 30))
    client = await made.client()
    sending = asyncio.create_task(client.send(get(b"/wait") + get(b"/x") * 5_000))
    await asyncio.wait([sending], timeout=0.2)
    (connection,) = made.door.connections
    queued = len(connection._queue)
    made.echo.go.set()
    answers = await client.get(5_001)
    await sending

    assert 100 < queued < 500
    assert {one.status for one in answers} == {200}


async def test_what_is_no_http_behind_requests_is_refused_after_their_answers(house) -> None:
    made = await house()
    client = await made.client()
    await client.send(get(b"/wait") + get(b"/b") + b"nonsense\r\n\r\n")
    made.echo.go.set()
    answers = await client.get(3)

    assert [one.status for one in answers] == [200, 200, 400]
    assert await client.rest() == b""


async def test_after_the_last_request_nothing_is_read(house) -> None:
    made = await house()
    answer = await made.said(get(b"/a", b"connection: close\r\n") + get(b"/b"))

    assert (answer.json()["path"], answer.headers["connection"]) == ("/a", "close")
    assert made.echo.asked == ["GET /a"]


async def test_a_connection_has_so_many_requests(house) -> None:
    client = await (await house(limits=Limits(requests=3))).client()
    await client.send(get() * 5)
    answers = await client.get(3)

    assert [one.headers.get("connection") for one in answers] == [None, None, "close"]
    assert await client.rest() == b""


async def test_http_1_0_is_answered_and_the_connection_closed(house) -> None:
    made = await house()
    answer = await made.said(b"GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    made.echo.ticks = Ticks(3, b"tick")
    client = await made.client()
    await client.send(b"GET /stream HTTP/1.0\r\n\r\n")
    streamed = await client.rest()

    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert b"transfer-encoding" not in streamed
    assert streamed.endswith(b"\r\n\r\ntickticktick")


SENT = (
    get(b"/a", b"x: 1\r\nx: 2\r\n")
    + post(b"/b?c=1", b"content-length: 3\r\n", b"tea")
    + post(b"/c", CHUNKED, b"2;x=1\r\nte\r\n1\r\na\r\n0\r\nx: 1\r\n\r\n")
    + post(b"/d", b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n", b"tea")
    + b"\r\n"
    + get(b"http://b/e")
    + get(b"/f", b"connection: close\r\n")
    + get(b"/never")
)


class Wireless(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@given(cuts=st.lists(st.integers(0, len(SENT)), max_size=40))
def test_it_is_all_the_same_how_the_bytes_are_cut(cuts: list[int]) -> None:
    async def serve() -> None:
        echo, transport = Echo(), Wireless()
        connection = Connection(Door(served=[echo], limits=Limits(linger=0.0)))
        connection.connection_made(transport)
        for start, end in pairwise(sorted({0, len(SENT), *cuts})):
            connection.data_received(SENT[start:end])
            await asyncio.sleep(0)
        while not transport.closed:  # noqa: ASYNC110  (what is waited for is what is done next)
            await asyncio.sleep(0)
        connection.connection_lost(None)

        assert echo.asked == ["GET /a", "POST /b", "POST /c", "POST /d", "GET /e", "GET /f"]
        assert transport.written.count(b"HTTP/1.1 200 OK") == 6
        assert transport.written.count(b'"body": "tea"') == 3
        assert transport.written.count(b"connection: close\r\n") == 1

    asyncio.run(serve())


@given(sent=st.lists(st.sampled_from([SENT[at : at + 7] for at in range(0, len(SENT), 7)]) | st.binary(max_size=9)))
def test_whatever_comes_is_answered_or_refused_and_never_a_bug(sent: list[bytes]) -> None:
    async def serve() -> None:
        echo, transport = Echo(), Wireless()
        connection = Connection(Door(served=[echo], limits=Limits(linger=0.0)))
        connection.connection_made(transport)
        for one in (b"POST / HTTP/1.1\r\nhost: a\r\n", *sent):
            connection.data_received(one)
            await asyncio.sleep(0)
        connection.connection_lost(None)
        await asyncio.sleep(0.0)

        statuses = set(re.findall(rb"HTTP/1.1 (\d+)", transport.written))
        assert statuses <= {b"100", b"200", b"400", b"431"}, transport.written

    asyncio.run(serve())


# -- answers


async def test_head_is_answered_with_the_length_and_without_the_body(house) -> None:
    made = await house()
    client = await made.client()
    await client.send(b"HEAD /deaf" + HEAD + b"\r\nHEAD /stream" + HEAD + b"connection: close\r\n\r\n")
    whole, streamed, end = (await client.rest()).split(b"\r\n\r\n")

    assert (whole[:12], b"content-length: 2" in whole) == (b"HTTP/1.1 403", True)
    assert (streamed[:12], end) == (b"HTTP/1.1 200", b"")
    assert made.echo.ticks.given == 0
    assert made.echo.ticks.closed.is_set()


async def test_an_answer_without_a_body_has_no_length(house) -> None:
    client = await (await house()).client()
    first, second = await client.one(get(b"/nothing")), await client.one(get())

    assert (first.status, first.body, "content-length" in first.headers) == (204, b"", False)
    assert second.status == 200


async def test_a_stream_is_sent_in_chunks(house) -> None:
    made = await house()
    made.echo.ticks = Ticks(3, b"tick")
    client = await made.client()
    streamed, after = await client.one(get(b"/stream")), await client.one(get())

    assert (streamed.headers["transfer-encoding"], streamed.body) == ("chunked", b"tickticktick")
    assert after.status == 200


async def test_a_stream_waits_for_its_client_and_ends_when_he_leaves(house) -> None:
    made = await house()
    made.echo.ticks = Ticks(1 << 60, b"x" * 10_000)
    client = await made.client(limit=1000)
    await client.send(get(b"/stream"))
    await client.reader.readexactly(100)
    await asyncio.sleep(0.2)
    given = made.echo.ticks.given
    await asyncio.sleep(0.1)

    assert made.echo.ticks.given == given
    client.writer.transport.abort()
    async with asyncio.timeout(PATIENCE):
        await made.echo.ticks.closed.wait()


async def test_a_call_goes_on_when_its_client_leaves(house) -> None:
    made = await house()
    client = await made.client()
    await client.send(get(b"/wait"))
    await until(lambda: bool(made.echo.asked))
    (connection,) = made.door.connections
    task = connection._task
    client.writer.transport.abort()
    await until(lambda: not made.door.connections)
    made.echo.go.set()
    await asyncio.wait_for(task, PATIENCE)

    assert not task.cancelled()


async def test_a_body_that_breaks_off_is_told_to_who_reads_it(house) -> None:
    made = await house()
    client = await made.client()
    await client.send(post(b"/", b"content-length: 100\r\n", b"tea"))
    client.close()
    await until(lambda: made.echo.failed is not None)

    assert "closed before the body was complete" in str(made.echo.failed)


async def test_a_stream_that_is_short_of_its_length_is_broken_off(house, caplog) -> None:
    client = await (await house()).client()
    await client.send(get(b"/short"))

    assert b"ticktick" in await client.rest()
    assert "shorter than its Content-Length" in caplog.text


@pytest.mark.parametrize("path", [b"/bug", b"/split"])
async def test_a_bug_below_is_500_with_its_trace_and_nothing_of_it(house, caplog, path: bytes) -> None:
    answer = await (await house()).said(get(path))

    assert answer.status == 500
    assert answer.json()["trace_id"] in caplog.text
    assert b"secret" not in answer.body
    assert b"cookie" not in answer.body


# -- other protocols


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
async def test_who_asks_for_another_protocol_is_answered_in_this_one(house, upgrade: bytes) -> None:
    client = await (await house()).client()
    fields = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: " + upgrade + b"\r\ncontent-length: 3\r\n"
    first = await client.one(post(b"/a", fields), b"tea")
    second = await client.one(post(b"/b", fields, b"tea" + get(b"/c")))
    (third,) = await client.get()

    assert [one.json()["body"] for one in (first, second, third)] == ["tea", "tea", ""]
    assert [one.json()["path"] for one in (first, second, third)] == ["/a", "/b", "/c"]


async def test_connect_makes_no_tunnel(house) -> None:
    made = await house()
    answer = await made.said(b"CONNECT a:1" + HEAD + b"\r\n" + get(b"/smuggled"))

    assert answer.headers["connection"] == "close"
    assert made.echo.asked == ["CONNECT a:1"]


async def test_a_websocket_is_handed_over_with_all_that_came(house) -> None:
    got: list[bytes] = []

    class Socket(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            got.append(data)

        def connection_made(self, transport: Any) -> None:
            transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")

    made = await house(upgrade=Socket)
    client = await made.client()
    await client.send(get(b"/ws", b"connection: upgrade\r\nupgrade: websocket\r\n") + b"frames")
    await client.reader.readuntil(b"\r\n\r\n")
    await client.send(b"more")
    await until(lambda: b"more" in got)

    assert got[0].startswith(b"GET /ws HTTP/1.1\r\nhost: a\r\n")
    assert got[0].endswith(b"\r\n\r\nframes")
    assert made.door.connections == set()


# -- what is mounted


async def mounted(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"].endswith("/silent"):
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    said = {"path": scope["path"], "query": scope["query_string"].decode(), "client": scope["client"][0]}
    headers = [(b"Content-Type", b"text/plain"), (b"Date", b"never"), (b"Transfer-Encoding", b"chunked")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(said).encode(), "more_body": True})
    await send({"type": "http.response.body", "body": body})


async def test_what_no_endpoint_knows_is_the_mounted_applications(house) -> None:
    made = await house(asgi=mounted)
    client = await made.client()
    first = await client.one(post(b"/mounted/a%20b?c=1", b"content-length: 3\r\n", b"tea"))
    second = await client.one(get(b"/ours"))
    third = await client.one(post(b"/mounted", CHUNKED + b"expect: 100-continue\r\n", b"3\r\ntea\r\n0\r\n\r\n"))

    assert first.body == b'{"path": "/mounted/a b", "query": "c=1", "client": "127.0.0.1"}tea'
    assert (first.status, first.headers["content-type"], first.headers["date"] != "never") == (201, "text/plain", True)
    assert second.json()["path"] == "/ours"
    assert third.body.endswith(b"}tea")


async def test_a_mounted_application_that_says_nothing_is_500(house, caplog) -> None:
    answer = await (await house(asgi=mounted)).said(get(b"/mounted/silent"))

    assert answer.status == 500
    assert "has not answered" in caplog.text


# -- proxies


@pytest.mark.parametrize(
    ("believed", "fields", "address", "scheme"),
    [
        (None, b"x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\n", "127.0.0.1", "http"),
        ("10.0.0.0/8", b"x-forwarded-for: 192.0.2.1\r\n", "127.0.0.1", "http"),
        ("127.0.0.1", b"x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\n", "192.0.2.1", "https"),
        ("127.0.0.1", b"x-forwarded-for: 198.51.100.1, 192.0.2.1\r\n", "192.0.2.1", "http"),
        ("127.0.0.0/8,10.0.0.0/8", b"x-forwarded-for: 192.0.2.1\r\nx-forwarded-for: 10.1.1.1\r\n", "192.0.2.1", "http"),
        ("127.0.0.1", b"x-forwarded-for: [2001:db8::1]:80\r\n", "2001:db8::1", "http"),
        ("127.0.0.1", b"x-forwarded-for: 192.0.2.1:80\r\n", "192.0.2.1", "http"),
        ("127.0.0.1", b"x-forwarded-for: <script>\r\nx-forwarded-proto: ftp\r\n", "127.0.0.1", "http"),
        ("*", b"x-forwarded-for: 192.0.2.1, 192.0.2.2\r\n", "192.0.2.1", "http"),
    ],
)
async def test_a_proxy_is_believed_that_is_named(house, believed, fields, address: str, scheme: str) -> None:
    made = await house(proxies=None if believed is None else Proxies(believed))
    said = (await (await made.client()).one(get(b"/", fields))).json()

    assert (said["address"], said["scheme"]) == (address, scheme)


def test_a_proxy_is_an_address_or_a_network() -> None:
    with pytest.raises(ValueError, match="shop"):
        Proxies("shop.example")


# -- the end


async def test_a_server_that_stops_finishes_what_runs_and_closes_the_rest(house) -> None:
    made = await house()
    idle, busy, streaming = await made.client(), await made.client(), await made.client()
    await idle.one(get())
    await busy.send(get(b"/wait") + get(b"/never"))
    await streaming.send(get(b"/stream"))
    await streaming.reader.readuntil(b"tick")
    for connection in list(made.door.connections):
        connection.shutdown()
    running = len(made.door.tasks)
    made.echo.go.set()
    (answer,) = await busy.get()
    for task in list(made.door.tasks):
        task.cancel()

    assert await idle.rest() == b""
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await busy.rest() == b""
    await streaming.rest()
    assert running == 2
    assert made.echo.asked.count("GET /never") == 0
    assert made.echo.ticks.closed.is_set()


async def test_a_server_that_is_about_to_stop_answers_each_client_once_more_and_says_so(house) -> None:
    made = await house()
    idle, busy = await made.client(), await made.client()
    await idle.one(get())
    await busy.send(get(b"/wait"))
    await until(lambda: "GET /wait" in made.echo.asked)
    for connection in list(made.door.connections):
        connection.leave()
    made.echo.go.set()

    for answer in (await busy.get())[0], await idle.one(get()):
        assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert (await busy.rest(), await idle.rest()) == (b"", b"")


async def test_a_connection_that_is_closed_leaves_nothing_behind(house, caplog) -> None:
    caplog.set_level(logging.WARNING)
    made = await house()
    for path in (b"/", b"/wait", b"/stream", b"/large"):
        client = await made.client()
        await client.send(get(path))
        client.close()
    made.echo.go.set()
    await until(lambda: len(made.echo.asked) == 4 and not made.door.connections)

    assert cast("Any", made.door.tasks) == set()
    assert caplog.text == ""
