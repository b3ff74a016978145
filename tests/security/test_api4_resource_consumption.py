"""API4, unrestricted resource consumption: whatever is asked of an app, it costs no more than it is let."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any, Protocol, final

import httpx2
import msgspec
import pytest

from enfilade import (
    FIRST,
    App,
    Blob,
    Flow,
    Message,
    Meta,
    Page,
    Paging,
    Rate,
    Stream,
    anyone,
    command,
    contract,
    query,
)  # fmt: skip
from enfilade.cli.serve import serving
from enfilade.config import Config
from enfilade.contract.read import read
from enfilade.endpoint import rest
from enfilade.testing import Stage


class Tree(Message):
    """What may stand within itself."""

    name: str = ""
    below: tuple[Tree, ...] = ()


@contract(needs=anyone, name="store")
class Store(Protocol):
    """What a stranger may ask."""

    @command("POST /notes")
    async def note(self, text: str, tags: Annotated[tuple[str, ...], Meta(max_length=3)] = ()) -> int: ...

    @command("POST /large", body="3MiB")
    async def large(self, text: str) -> int: ...

    @command("POST /trees")
    async def plant(self, tree: Tree) -> int: ...

    @command("PUT /picture")
    async def picture(self, picture: Blob) -> int: ...

    @query("GET /pages")
    async def pages(self, page: Paging = FIRST) -> Page[int]: ...

    @query("GET /numbers", flow=Flow(items=1000))
    def numbers(self) -> Stream[int]: ...

    @query("GET /events")
    def events(self) -> Stream[int]: ...

    @query("GET /zeros", flow=Flow(size="1MiB"))
    def zeros(self) -> Stream[bytes]: ...

    @query("GET /dear", rate=Rate("3/minute", per="address"))
    async def dear(self) -> int: ...

    @query("GET /bytes", rate=Rate("10KB/minute", per="address", name="traffic"))
    async def weighed(self, size: int) -> str: ...

    @command("POST /bytes", rate=Rate("10KB/minute", per="address", name="traffic"))
    async def weigh(self, text: str) -> None: ...

    @query("GET /slow")
    async def slow(self) -> None: ...


@final
class StoreService(Store):
    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def note(self, text: str, tags: tuple[str, ...] = ()) -> int:
        return len(text)

    async def large(self, text: str) -> int:
        return len(text)

    async def plant(self, tree: Tree) -> int:
        return 1

    async def picture(self, picture: Blob) -> int:
        return picture.size

    async def pages(self, page: Paging = FIRST) -> Page[int]:
        return Page(items=tuple(range(page.limit)))

    async def numbers(self) -> AsyncGenerator[int]:
        while True:
            yield 1

    async def events(self) -> AsyncGenerator[int]:
        yield 1

    async def zeros(self) -> AsyncGenerator[bytes]:
        while True:
            yield bytes(65536)

    async def dear(self) -> int:
        return 1

    async def weighed(self, size: int) -> str:
        return "x" * size

    async def weigh(self, text: str) -> None: ...

    async def slow(self) -> None:
        await self.go.wait()


def app(*, unknown: Any = "refuse") -> App:
    made = App("strangers", services=[Store], endpoints=[rest("/", unknown=unknown)])
    made.service(Store).by(StoreService)
    return made


@pytest.fixture
async def http() -> AsyncGenerator[httpx2.AsyncClient]:
    async with Stage(app()) as stage:
        yield stage.http


def text(size: int) -> bytes:
    """A JSON body of so many bytes."""
    return b'{"text":"%b"}' % (b"x" * (size - 11))


def nested(levels: int) -> bytes:
    return b'{"tree":' + b'{"below":[' * levels + b"]}" * levels + b"}"


MIB = 1024 * 1024
JSON = {"content-type": "application/json"}
GZIP = {**JSON, "content-encoding": "gzip"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status"),
    [
        ("POST", "/notes", JSON, text(MIB), 200),
        ("POST", "/notes", JSON, text(MIB + 1), 413),
        ("POST", "/large", JSON, text(3 * MIB), 200),
        ("POST", "/large", JSON, text(3 * MIB + 1), 413),
        ("POST", "/notes", GZIP, gzip.compress(text(MIB)), 200),
        ("POST", "/notes", GZIP, gzip.compress(text(64 * MIB)), 413),
        ("PUT", "/picture", {}, bytes(MIB + 1), 413),
        ("POST", "/notes", JSON, b'{"text":"","tags":["a","b","c","d"]}', 422),
        ("POST", "/trees", JSON, nested(30), 200),
        ("POST", "/trees", JSON, nested(200), 400),
        ("POST", "/trees", JSON, nested(50_000), 400),
        ("POST", "/notes", JSON, b"[" * 500_000, 400),
        ("GET", "/pages?limit=1000", {}, b"", 200),
        ("GET", "/pages?limit=1001", {}, b"", 422),
        ("GET", "/pages?limit=1000000000", {}, b"", 422),
        ("GET", "/pages?" + "&".join(f"a{one}=1" for one in range(1001)), {}, b"", 400),
        ("GET", "/pages?" + "limit=1&" * 1001, {}, b"", 400),
    ],
)
async def test_what_is_too_much_is_refused(
    http: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str], content: bytes, status: int
) -> None:
    answer = await http.request(method, path, headers=headers, content=content)

    assert answer.status_code == status


async def test_a_stream_without_an_end_ends(http: httpx2.AsyncClient) -> None:
    lines = {"accept": "application/x-ndjson"}
    answer = await http.get("/numbers", headers=lines)
    *items, last = answer.text.splitlines()

    assert len(items) == 1000
    assert msgspec.json.decode(last)["problem"]["status"] == 413
    assert read(Store).operation("events").flow == Flow(items=100_000, size="1GiB", lasting="1h")


async def test_bytes_without_an_end_break_off(tmp_path: Path) -> None:
    made = app()
    made.config = Config(folder=str(tmp_path))
    async with serving(made, port=0) as url, httpx2.AsyncClient(base_url=url) as client:
        size = 0
        with pytest.raises(httpx2.RemoteProtocolError):
            async with client.stream("GET", "/zeros") as answer:
                async for piece in answer.aiter_bytes():
                    size += len(piece)

        assert 0 < size <= MIB


async def test_a_rate_says_what_is_left_and_when_to_come_again(http: httpx2.AsyncClient) -> None:
    answers = [await http.get("/dear") for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert {one.headers["ratelimit-policy"] for one in answers} == {'"address";q=3;w=60'}
    assert [one.headers["ratelimit"] for one in answers] == [
        '"address";r=2;t=20', '"address";r=1;t=40', '"address";r=0;t=60', '"address";r=0;t=20',
    ]  # fmt: skip
    assert answers[-1].headers["retry-after"] == "20"


async def test_bytes_are_counted_in_and_out(http: httpx2.AsyncClient) -> None:
    def left(answer: httpx2.Response) -> int:
        return int(answer.headers["ratelimit"].partition("r=")[2].partition(";")[0])

    http.headers["accept-encoding"] = "identity"

    assert left(await http.get("/bytes?size=1998")) == 10_000  # what is answered is known afterwards
    assert left(await http.post("/bytes", content=text(3000), headers=JSON)) == 5000
    assert left(await http.post("/bytes", content=_pieces(text(1000)), headers=JSON)) == 4000
    assert (await http.get("/bytes?size=9000")).status_code == 200
    assert [(await http.get("/bytes?size=1")).status_code for _ in range(3)] == [429, 429, 429]


async def _pieces(data: bytes) -> AsyncGenerator[bytes]:
    for at in range(0, len(data), 100):
        yield data[at : at + 100]


async def test_who_is_not_served_at_once_waits_in_a_queue_that_ends() -> None:
    made = app()
    made.config = Config(data="sqlite::memory:", concurrency=2)
    service = StoreService()
    made.service(Store).by(lambda: service)
    async with Stage(made) as stage:
        slow = [asyncio.create_task(stage.http.get("/slow")) for _ in range(4)]
        for _ in range(20):
            await asyncio.sleep(0)
        refused = await stage.http.get("/slow")
        service.go.set()

        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert [one.status_code for one in await asyncio.gather(*slow)] == [204] * 4


async def test_a_head_without_an_end_is_refused(tmp_path: Path) -> None:
    made = app()
    made.config = Config(folder=str(tmp_path))
    async with serving(made, port=0) as url, httpx2.AsyncClient(base_url=url) as client:
        assert (await client.get("/dear?" + "a" * 60_000, headers={"x-long": "a" * 10_000})).status_code == 431
        assert (await client.get("/dear", headers={"x-long": "a" * 70_000})).status_code == 431
        assert (await client.get("/dear")).status_code == 200
