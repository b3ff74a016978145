"""Two apps on two Unix sockets: a shop that calls a catalog, each its own process for all that passes between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, final

import pytest

from enfilade import (
    App,
    Blob,
    Message,
    Money,
    Page,
    Paging,
    Problem,
    Stream,
    command,
    contract,
    current,
    peers,
    query,
    signed_in,
)  # fmt: skip
from enfilade.call import Call, Principal
from enfilade.clock import SystemClock
from enfilade.config import Config, TraceConfig
from enfilade.contract.operation import Operation
from enfilade.contract.page import FIRST
from enfilade.contract.read import read
from enfilade.endpoint.handle import handle
from enfilade.endpoint.rpc import Link, connect, listening, rpc
from enfilade.placement import Share, Way
from enfilade.running import Running


class Product(Message):
    sku: str
    price: Money
    rate: Decimal
    at: datetime
    keeps: timedelta
    tags: tuple[str, ...] = ()


class Unsold(Problem, status=422):
    """The catalog does not sell it."""

    sku: str
    instead: tuple[str, ...] = ()


class Seen(Message):
    """What a call carried, as the service saw it."""

    subject: str
    tenant: str
    peer: str
    key: str
    trace: str
    remaining: float


@contract(needs=peers)
class Catalog(Protocol):
    @query()
    async def product(self, sku: str, at: datetime | None = None) -> Product:
        """A product."""
        ...

    @query(raises=[Unsold])
    async def price(self, sku: str) -> Money:
        """What it costs."""
        ...

    @query()
    async def seen(self) -> Seen:
        """What the call carried."""
        ...

    @command()
    async def keyed(self, sku: str) -> Seen:
        """The same of a command."""
        ...

    @command()
    async def note(self, text: str) -> None:
        """Write something down."""
        ...

    @query()
    async def products(self, page: Paging = FIRST) -> Page[Product]:
        """All of them."""
        ...

    @query(timeout=2, idle=0.3)
    def watch(self, count: int, fail: str = "") -> Stream[Product]:
        """Products as they come."""
        ...

    @query()
    async def picture(self, blob: Blob) -> Blob:
        """A picture."""
        ...

    @query()
    def export(self, count: int) -> Stream[bytes]:
        """Pieces."""
        ...

    @command()
    async def load(self, name: str, data: Stream[bytes]) -> int:
        """Take pieces."""
        ...

    @query(timeout=5)
    async def slow(self, seconds: float) -> float:
        """Takes its time; gives how much it had."""
        ...

    @query()
    async def bug(self) -> str:
        """Breaks."""
        ...

    @query(raises=[Unsold])
    async def costs(self, amount: int, unit: str, said: str = "", fail: str = "") -> None:
        """Spends something, and says a field."""
        ...

    @query(raises=[Unsold])
    def billed(self, count: int, fail: str = "") -> Stream[int]:
        """Spends a token for each item."""
        ...


@contract(needs=signed_in)
class Shop(Protocol):
    @query("GET /price", raises=[Unsold])
    async def price(self, sku: str) -> Money:
        """What the catalog says."""
        ...

    @query("GET /slow")
    async def slow(self, seconds: float) -> float:
        """What the catalog says."""
        ...

    @query("GET /seen")
    async def seen(self) -> Seen:
        """What the catalog saw."""
        ...

    @command("POST /keyed")
    async def keyed(self, times: int) -> tuple[Seen, ...]:
        """What the catalog saw of several commands."""
        ...


NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def tea(sku: str = "tea", at: datetime | None = None) -> Product:
    return Product(
        sku=sku,
        price=Money.of("2.50", "EUR"),
        rate=Decimal("0.19"),
        at=at or NOW,
        keeps=timedelta(days=3),
        tags=("ä", ""),
    )


@dataclass
class Notes:
    texts: list[str] = field(default_factory=list[str])
    ended: list[str] = field(default_factory=list[str])
    """How slow calls and streams ended."""
    running: int = 0
    most: int = 0


def seen() -> Seen:
    call = current()
    subject = call.caller.subject if call.caller else ""
    return Seen(
        subject=subject, tenant=call.tenant, peer=call.peer, key=call.key, trace=f"{call.trace_id:032x}",
        remaining=call.remaining,
    )  # fmt: skip


@final
class CatalogService(Catalog):
    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    async def product(self, sku: str, at: datetime | None = None) -> Product:
        return tea(sku, at)

    async def price(self, sku: str) -> Money:
        if sku != "tea":
            raise Unsold(sku=sku, instead=("tea", "café"), detail="Try tea.")
        return Money.of("2.50", "EUR")

    async def seen(self) -> Seen:
        return seen()

    async def keyed(self, sku: str) -> Seen:
        return seen()

    async def note(self, text: str) -> None:
        self.notes.texts.append(text)

    async def products(self, page: Paging = FIRST) -> Page[Product]:
        return Page(items=tuple(tea(f"tea-{at}") for at in range(page.limit)), next="more")

    async def watch(self, count: int, fail: str = "") -> Stream[Product]:
        try:
            for at in range(count):
                yield tea(f"tea-{at}")
            if fail == "silent":
                await asyncio.sleep(60)
            if fail:
                raise Unsold(sku=fail)
        finally:
            self.notes.ended.append("watch")

    async def picture(self, blob: Blob) -> Blob:
        return blob

    async def export(self, count: int) -> Stream[bytes]:
        try:
            for at in range(count):
                yield bytes([at % 256]) * 1000
        finally:
            self.notes.ended.append("export")

    async def load(self, name: str, data: Stream[bytes]) -> int:
        size = 0
        async for piece in data:
            size += len(piece)
        self.notes.texts.append(name)
        current().say("Said", name)
        return size

    async def slow(self, seconds: float) -> float:
        self.notes.running += 1
        self.notes.most = max(self.notes.most, self.notes.running)
        left = current().remaining
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.notes.ended.append("cancelled")
            raise
        finally:
            self.notes.running -= 1
        return left

    async def bug(self) -> str:
        raise KeyError("secret")

    async def costs(self, amount: int, unit: str, said: str = "", fail: str = "") -> None:
        current().spend(amount, unit)
        if said:
            current().say("Said", said)
        if fail:
            raise Unsold(sku=fail)

    async def billed(self, count: int, fail: str = "") -> Stream[int]:
        for at in range(count):
            current().spend(1, "tokens")
            yield at
        if fail:
            raise Unsold(sku=fail)


@final
@dataclass
class ShopService(Shop):
    catalog: Catalog

    async def price(self, sku: str) -> Money:
        return await self.catalog.price(sku)

    async def slow(self, seconds: float) -> float:
        return await self.catalog.slow(seconds)

    async def seen(self) -> Seen:
        return await self.catalog.seen()

    async def keyed(self, times: int) -> tuple[Seen, ...]:
        return tuple([await self.catalog.keyed("tea") for _ in range(times)])


Serving: TypeAlias = Callable[..., Any]


@dataclass
class World:
    """Processes as tests see them."""

    folder: Path
    notes: Notes
    format: Literal["json", "msgpack"] = "msgpack"
    exit: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def address(self) -> str:
        return f"unix:{self.folder}/catalog.sock"

    def config(self, name: str) -> Config:
        return Config(
            folder=str(self.folder / name), data="sqlite::memory:", codec="never", trace=TraceConfig(file=False)
        )

    @asynccontextmanager
    async def catalog(self, address: str = "") -> AsyncGenerator[Running]:
        """The process that serves the catalog."""
        app = App("catalog", services=[Catalog, Shop], endpoints=[], config=self.config("catalog"))
        app.service(Catalog).by(lambda: CatalogService(self.notes))
        app.service(Shop).by(ShopService)
        async with app.running() as running, listening(
            rpc().serve(running.site), address or self.address, drain=0.5
        ):  # fmt: skip
            yield running

    @asynccontextmanager
    async def shop(self) -> AsyncGenerator[Running]:
        """The process that serves the shop and calls the catalog."""
        app = App("shop", services=[Catalog, Shop], config=self.config("shop"))
        app.share = Share(process="shop", at={"catalog": (self.address,)}, ways={"catalog": (Way(process="catalog"),)})
        app.service(Shop).by(ShopService)
        async with app.running() as running:
            yield running

    def link(self, *addresses: str, **options: Any) -> Link:
        made = Link(*(addresses or (self.address,)), format=self.format, **options)
        self.exit.callback(made.close)
        return made

    def ask(self, link: Link | None = None, kind: type = Catalog, *, timeout: float = 5.0, **context: Any) -> Any:
        """A handle whose calls go by a link, as the shop calls."""
        found = read(kind)
        return handle(found, connect(found, link or self.link()), self.begin(timeout, **context))

    def watched(self, calls: list[Call]) -> Any:
        """The same; each call is kept, to be looked at afterwards."""
        found, begin = read(Catalog), self.begin(5.0)

        def kept(operation: Operation, arguments: dict[str, Any]) -> Call:
            calls.append(begin(operation, arguments))
            return calls[-1]

        return handle(found, connect(found, self.link()), kept)

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits for something that other tasks bring about."""
        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110  (what is waited for is another process's)
                await asyncio.sleep(0.005)

    def begin(self, timeout: float, **context: Any) -> Callable[[Operation, dict[str, Any]], Call]:
        clock = SystemClock()
        said: dict[str, Any] = {"peer": "shop", **context}

        def begin(operation: Operation, arguments: dict[str, Any]) -> Call:
            return Call(operation, arguments, clock, clock.monotonic() + timeout, **said)

        return begin


@pytest.fixture(params=["msgpack", "json"])
def format(request: pytest.FixtureRequest) -> str:
    """How messages are written: each test is run with both."""
    return request.param


@pytest.fixture
async def world(format: Any, tmp_path: Path) -> AsyncGenerator[World]:
    made = World(tmp_path, Notes(), format)
    async with made.exit:
        yield made


@pytest.fixture
def kinds() -> Any:
    """The contracts, problems and helpers of this file, for tests that need them."""

    class Kinds:
        catalog, shop, unsold, product = Catalog, Shop, Unsold, staticmethod(tea)
        ann = Principal(subject="ann", tenant="acme", scopes=frozenset({"a", "b"}), roles=frozenset({"é"}))

    return Kinds
