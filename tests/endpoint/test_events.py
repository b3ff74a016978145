"""Streams: the status waits for the first item, problems come as events, silence is filled, and leaving ends all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

import httpx2
import pytest

from enfilade import Key, Message, Problem, Stream, anyone, contract, query
from enfilade.call import Call
from enfilade.clock import VirtualClock
from enfilade.contract.read import read
from enfilade.endpoint.asgi import serve_http
from enfilade.endpoint.http import Request
from enfilade.endpoint.rest.events import stream_replier
from enfilade.endpoint.rest.problems import Problems
from enfilade.errors import Unavailable


class Tick(Message, tag="tick"):
    number: Key[int]


class Note(Message, tag="note"):
    text: str


class Tired(Problem, status=409):
    """Enough."""

    after: int


@contract(needs=anyone)
class Ticks(Protocol):
    @query("GET /ticks", raises=[Tired])
    def ticks(self, fail: int = -1) -> Stream[Tick]: ...

    @query("GET /mixed")
    def mixed(self) -> Stream[Tick | Note]: ...

    @query("GET /forever")
    def forever(self) -> Stream[Tick]: ...

    @query("GET /bytes")
    def bytes(self, fail: bool = False) -> Stream[bytes]: ...

    @query("GET /none")
    def none(self) -> Stream[Tick]: ...


class Clockwork:
    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.tasks: set[Any] = set()
        self.produced = 0
        self.error: Exception | None = None

    async def ticks(self, fail: int = -1) -> AsyncGenerator[Tick]:
        for number in range(3):
            if number == fail:
                raise self.error or Tired(after=number)
            yield Tick(number=number)

    async def mixed(self) -> AsyncGenerator[Tick | Note]:
        yield Tick(number=1)
        yield Note(text="line\nbreak")

    async def forever(self) -> AsyncGenerator[Tick]:
        try:
            while True:
                self.tasks.add(asyncio.current_task())
                self.produced += 1
                yield Tick(number=self.produced)
                if self.produced == 3:
                    await asyncio.Event().wait()
        finally:
            self.closed.set()

    async def bytes(self, fail: bool = False) -> AsyncGenerator[bytes]:
        yield b"a"
        if fail:
            raise RuntimeError("broken")
        yield b"b"

    async def none(self) -> AsyncGenerator[Tick]:
        return
        yield


@pytest.fixture
def works() -> Clockwork:
    return Clockwork()


@pytest.fixture
def client(serve: Any, works: Clockwork) -> Any:
    return serve({Ticks: works})


async def test_items_are_events_with_the_key_as_their_id(client) -> None:
    response = await client.get("/ticks")

    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-store"
    assert "content-length" not in response.headers
    assert response.text == "".join(
        f'id: {number}\nevent: tick\ndata: {{"type":"tick","number":{number}}}\n\n' for number in range(3)
    )


async def test_items_of_several_types_have_their_event_and_stay_on_one_line(client) -> None:
    events = (await client.get("/mixed")).text.split("\n\n")

    assert events[1] == 'event: note\ndata: {"type":"note","text":"line\\nbreak"}'


async def test_who_asks_for_lines_gets_a_value_a_line(client) -> None:
    response = await client.get("/ticks?fail=2", headers={"Accept": "application/x-ndjson"})

    first, second, last = response.text.splitlines()
    assert response.headers["content-type"] == "application/x-ndjson"
    assert (first, second) == ('{"type":"tick","number":0}', '{"type":"tick","number":1}')
    assert last.startswith('{"problem":{"type":"/problems/test_events/tired"')


async def test_a_stream_that_the_client_does_not_take_is_406(client) -> None:
    assert (await client.get("/ticks", headers={"Accept": "application/json"})).status_code == 406


async def test_a_problem_before_the_first_item_is_an_ordinary_one(client) -> None:
    response = await client.get("/ticks?fail=0")

    assert (response.status_code, response.headers["content-type"]) == (409, "application/problem+json")
    assert response.json()["after"] == 0


async def test_a_problem_after_it_is_the_last_event(client) -> None:
    response = await client.get("/ticks?fail=1")

    _, last, end = response.text.split("\n\n")
    assert (response.status_code, end) == (200, "")
    assert last.startswith('event: problem\ndata: {"type":"/problems/test_events/tired"')
    assert response.headers["trace-id"] in last


async def test_a_bug_within_a_stream_leaks_nothing(client, works) -> None:
    works.error = RuntimeError("swordfish")
    text = (await client.get("/ticks?fail=1")).text

    assert '"status":500' in text
    assert "swordfish" not in text


async def test_a_stream_that_is_lost_says_so(client, works) -> None:
    works.error = Unavailable()

    assert '"/problems/unavailable"' in (await client.get("/ticks?fail=1")).text


async def test_a_stream_without_items_is_empty(client) -> None:
    response = await client.get("/none")

    assert (response.status_code, response.text) == (200, "")


async def test_bytes_that_fail_break_the_connection(client) -> None:
    assert (await client.get("/bytes")).content == b"ab"
    with pytest.raises((RuntimeError, httpx2.RemoteProtocolError)):
        await client.get("/bytes?fail=true")


async def test_head_of_a_stream_starts_it_and_ends_it(client, works) -> None:
    response = await client.head("/forever")

    assert (response.status_code, response.content) == (200, b"")
    assert works.closed.is_set()


class Visitor:
    """A client that takes what is sent as it likes and leaves when told."""

    def __init__(self, client: Any, path: str) -> None:
        self.client = client
        self.scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
        self.sent: list[Any] = []
        self.left = asyncio.Event()
        self.takes = asyncio.Semaphore(100)
        self._asked = False

    async def receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.takes.acquire()
        self.sent.append(message)

    async def visit(self) -> None:
        await serve_http(self.client.served, self.scope, self.receive, self.send)

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not met():  # noqa: ASYNC110  (what is waited for is what was sent)
                await asyncio.sleep(0)


async def test_a_client_that_leaves_ends_the_generator_where_it_stands(client, works) -> None:
    visitor = Visitor(client, "/forever")
    visiting = asyncio.create_task(visitor.visit())
    await visitor.until(lambda: len(visitor.sent) == 4)
    assert not works.closed.is_set()

    visitor.left.set()
    await asyncio.wait_for(visiting, 5)

    assert works.closed.is_set()


async def test_a_generator_runs_in_one_task_from_first_to_last(client, works) -> None:
    visitor = Visitor(client, "/forever")
    visiting = asyncio.create_task(visitor.visit())
    await visitor.until(lambda: works.produced == 3)
    visitor.left.set()
    await visiting

    assert len(works.tasks) == 1


async def test_a_slow_client_slows_the_generator(client, works) -> None:
    visitor = Visitor(client, "/forever")
    visitor.takes = asyncio.Semaphore(1)  # the head, and nothing more
    visiting = asyncio.create_task(visitor.visit())
    for _ in range(100):
        await asyncio.sleep(0)

    assert works.produced <= 3
    assert len(visitor.sent) == 1
    visitor.left.set()
    await asyncio.wait_for(visiting, 5)
    assert works.closed.is_set()


async def test_a_server_that_stops_ends_the_generator_and_is_told(client, works) -> None:
    visitor = Visitor(client, "/forever")
    visiting = asyncio.create_task(visitor.visit())
    await visitor.until(lambda: works.produced == 3)
    visiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await visiting
    assert works.closed.is_set()


async def test_silence_is_filled_with_comments(client, works) -> None:
    operation = read(Ticks).operation("forever")
    reply = stream_replier(operation, Problems(client.stage.site({Ticks: works}), "Bearer", None), heartbeat=0.01)
    request = Request("GET", "/forever", b"", {})
    response = await reply(request, Call(operation, {}, VirtualClock(), 1.0), works.forever())

    pieces: list[bytes] = []
    assert not isinstance(response.body, bytes)
    async for piece in response.body:
        pieces.append(piece)
        if len(pieces) == 5:
            break
    await response.body.aclose()

    assert pieces[3:] == [b":\n\n", b":\n\n"]
    assert works.closed.is_set()
