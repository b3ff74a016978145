"""An app says what there is; starting it finds every mistake, at once."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol, final

import pytest

from enfilade import (
    App,
    Event,
    Message,
    Problem,
    Scope,
    Stream,
    anyone,
    command,
    contract,
    current,
    peers,
    query,
    signed_in,
)
from enfilade.call import Call, Handler
from enfilade.config import Config
from enfilade.contract.operation import Operation
from enfilade.errors import Forbidden, Misuse, NotFound, StartError, Unauthenticated
from enfilade.service import Index, Key, Row, Settings, Table, Topic, atomic, new_id, on
from enfilade.testing import Bench, Stage


class Product(Message):
    sku: str
    price: int
    tags: tuple[str, ...] = ()


class UnknownProduct(Problem, status=404):
    """No product has this sku."""

    sku: str


class Surprise(Problem, status=418):
    """Nobody declared this."""


@contract(needs=anyone)
class Catalog(Protocol):
    @query("GET /products/{sku}", raises=[UnknownProduct])
    async def product(self, sku: str) -> Product:
        """One product."""
        ...

    @query(needs=peers)
    async def secret_price(self, sku: str) -> int:
        """What it cost us."""
        ...

    @query("GET /products/{sku}/prices")
    def prices(self, sku: str) -> Stream[int]:
        """Prices as they change."""
        ...


class Order(Message):
    id: str
    sku: str
    customer: str


class OrderPlaced(Event, key="order.id"):
    order: Order


@contract(needs=signed_in)
class Orders(Protocol):
    @command("POST /orders", status=201, raises=[UnknownProduct], needs=Scope("orders:write"))
    async def place(self, sku: str) -> Order:
        """Place an order."""
        ...

    @query("GET /margin/{sku}")
    async def margin(self, sku: str) -> int:
        """What is left of the price."""
        ...

    @query("GET /count")
    async def count(self) -> int:
        """How many orders there are."""
        ...


@final
class CatalogService(Catalog):
    async def product(self, sku: str) -> Product:
        if sku == "broken":
            raise ZeroDivisionError("a bug")
        if sku == "surprise":
            raise Surprise()
        if sku != "tea":
            raise UnknownProduct(sku=sku)
        return Product(sku=sku, price=250)

    async def secret_price(self, sku: str) -> int:
        assert current().peer
        return 200

    async def prices(self, sku: str) -> Stream[int]:
        for price in (250, 260):
            assert current().operation.id == "catalog.prices"
            yield price


class OrderRow(Row):
    id: Key[str]
    sku: Index[str]
    customer: str


@final
@dataclass
class OrdersService(Orders):
    catalog: Catalog
    rows: Table[OrderRow]
    placed: Topic[OrderPlaced]

    async def place(self, sku: str) -> Order:
        product = await self.catalog.product(sku)
        return await self._record(OrderRow(id=new_id("ord"), sku=product.sku, customer=current().me))

    @atomic
    async def _record(self, row: OrderRow) -> Order:
        await self.rows.add(row)
        order = row.into(Order)
        await self.placed.publish(OrderPlaced(order=order))
        return order

    async def margin(self, sku: str) -> int:
        prices = [price async for price in self.catalog.prices(sku)]
        return prices[-1] - await self.catalog.secret_price(sku)

    async def count(self) -> int:
        return await self.rows.count()

    @on(OrderPlaced)
    async def heard(self, event: OrderPlaced) -> None:
        assert await self.catalog.secret_price(event.order.sku) == 200


def shop() -> App:
    app = App("shop", services=[Catalog, Orders])
    app.service(Catalog).by(CatalogService)
    app.service(Orders).by(OrdersService)
    return app


async def test_a_call_goes_from_service_to_service_and_comes_back() -> None:
    async with Stage(shop()) as stage:
        ann = stage.acting("ann", scopes=["orders:write"])

        order = await ann.of(Orders).place("tea")

        assert order.customer == "ann"
        assert await ann.of(Orders).count() == 1
        assert stage.said(OrderPlaced) == (OrderPlaced(order=order),)


async def test_a_stream_and_an_internal_operation_are_called_like_any_other() -> None:
    async with Stage(shop()) as stage:
        assert await stage.acting("ann").of(Orders).margin("tea") == 60


async def test_a_declared_problem_arrives_as_the_same_class() -> None:
    async with Stage(shop()) as stage:
        with pytest.raises(UnknownProduct) as refused:
            await stage.acting("ann", scopes=["orders:write"]).of(Orders).place("coffee")

        assert refused.value.sku == "coffee"


async def test_guards_hold_however_an_operation_is_called() -> None:
    async with Stage(shop()) as stage:
        with pytest.raises(Unauthenticated):
            await stage.nobody.of(Orders).count()
        with pytest.raises(Forbidden):
            await stage.acting("ann").of(Orders).place("tea")
        with pytest.raises(NotFound):
            await stage.acting("ann").of(Catalog).secret_price("tea")

        assert await stage.of(Catalog).secret_price("tea") == 200


async def test_a_problem_that_nobody_declared_is_a_bug() -> None:
    async with Stage(shop()) as stage:
        answer = await stage.http.get("/products/surprise")

        assert answer.status_code == 500
        assert "Nobody declared" not in answer.text


async def test_a_bug_says_nothing_to_the_client() -> None:
    async with Stage(shop()) as stage:
        answer = await stage.http.get("/products/broken")

        assert answer.status_code == 500
        assert "a bug" not in answer.text
        assert "ZeroDivision" not in answer.text


async def test_the_traceback_between_two_services_shows_at_most_six_frames_of_ours() -> None:
    async with Stage(shop(), config=Config(data="sqlite::memory:", codec="always")) as stage:
        with pytest.raises(ZeroDivisionError) as bug:
            await stage.acting("ann", scopes=["orders:write"]).of(Orders).place("broken")

    frames = [frame.filename for frame in traceback.extract_tb(bug.value.__traceback__)]
    ours = [("src/enfilade/" in name) for name in frames]
    between = ours[ours.index(False, 1) + 1 :]  # from the caller's own frame on: place() ... product()
    assert 0 < sum(between[: between.index(False)]) <= 6


async def test_http_and_in_process_calls_pass_the_same_row() -> None:
    async with Stage(shop()) as stage:
        ann = stage.acting("ann", scopes=["orders:write"])

        placed = await stage.http.post("/orders", json={"sku": "tea"}, headers=ann.headers)

        assert placed.status_code == 201
        assert placed.json()["customer"] == "ann"
        assert (await stage.http.post("/orders", json={"sku": "tea"})).status_code == 401


async def test_an_event_is_heard_by_the_service_that_wants_it() -> None:
    async with Stage(shop()) as stage:
        await stage.acting("ann", scopes=["orders:write"]).of(Orders).place("tea")

        await stage.settle()

        spans = {span.name for span in stage.running.recorder.recent()}
        assert "orders.heard" in spans


async def test_users_stations_see_every_call_after_the_caller_is_known() -> None:
    seen: list[tuple[str, str]] = []

    def watch(operation: Operation, handler: Handler) -> Handler:
        def pass_on(call: Call) -> Awaitable[object]:
            seen.append((operation.id, call.caller.subject if call.caller else ""))
            return handler(call)

        return pass_on

    app = shop()
    app.stations = (watch,)
    async with Stage(app) as stage:
        ann = stage.acting("ann", scopes=["orders:write"])
        await stage.http.post("/orders", json={"sku": "tea"}, headers=ann.headers)

    assert seen == [("orders.place", "ann"), ("catalog.product", "ann")]


async def test_a_bench_is_one_service_with_fakes() -> None:
    class OneProduct:
        async def product(self, sku: str) -> Product:
            return Product(sku=sku, price=1)

        async def secret_price(self, sku: str) -> int:
            return 200

        async def prices(self, sku: str) -> Stream[int]:
            yield 1

    async with Bench(OrdersService).given(Catalog).by(OneProduct()) as bench:
        order = await bench.acting("ann", scopes=["orders:write"]).of(Orders).place("coffee")

        assert [row.sku for row in await bench.rows(OrderRow)] == ["coffee"]
        assert bench.said(OrderPlaced) == (OrderPlaced(order=order),)


async def test_two_stages_of_one_app_never_meet() -> None:
    app = shop()
    async with Stage(app) as one, Stage(app) as two:
        await one.acting("ann", scopes=["orders:write"]).of(Orders).place("tea")

        assert await two.acting("ann").of(Orders).count() == 0


async def test_in_development_arguments_pass_the_codec() -> None:
    async with Stage(shop()) as stage:
        with pytest.raises(Exception, match="sku: "):
            await stage.acting("ann").of(Orders).margin(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# -- what is wrong is said at start, all at once


class Nowhere(Protocol):
    @query("GET /nowhere", needs=anyone)
    async def nothing(self) -> int:
        """Nobody serves this."""
        ...


class Untold(Settings):
    url: str


@final
@dataclass
class Demanding(Orders):
    nowhere: Nowhere
    settings: Untold
    thing: Path
    maybe: Nowhere | None

    async def place(self, sku: str) -> Order:
        raise NotImplementedError

    async def margin(self, sku: str) -> int:
        raise NotImplementedError

    async def count(self) -> int:
        raise NotImplementedError


async def test_all_that_cannot_be_injected_is_said_at_once() -> None:
    app = App("shop", services=[Orders])
    app.service(Orders).by(Demanding)

    with pytest.raises(StartError) as wrong:
        async with Stage(app):
            pass

    text = str(wrong.value)
    assert "nowhere: Nowhere" in text
    assert "Add Nowhere to the services" in text
    assert "url" in text
    assert "thing: Path" in text
    assert "maybe" not in text


async def test_a_contract_that_nobody_serves_is_named_with_its_remedy() -> None:
    with pytest.raises(StartError, match="Write a @final class that inherits Nowhere"):
        async with Stage(App("shop", services=[Nowhere])):
            pass


async def test_two_services_of_one_name_do_not_start() -> None:
    @contract(name="orders", needs=anyone)
    class Others(Protocol):
        @query("GET /others")
        async def others(self) -> int:
            """Others."""
            ...

    app = shop()
    app.services = (*app.services, Others)

    with pytest.raises(StartError, match="two services are named orders"):
        async with Stage(app):
            pass


async def test_outside_development_a_secret_is_needed() -> None:
    with pytest.raises(StartError, match="ENFILADE_SECRET"):
        async with Stage(shop(), config=Config(data="sqlite::memory:", development=False)):
            pass


async def test_a_handle_outside_of_a_running_app_says_what_to_do() -> None:
    with pytest.raises(Misuse, match="not running"):
        shop().get(Catalog)


# -- mounts


async def guest(scope: dict[str, object], receive: object, send: object) -> None:
    assert callable(send)
    if scope["type"] == "lifespan":
        raise NotImplementedError("no lifespan here")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"guest"})


async def test_a_mounted_application_has_what_is_not_ours() -> None:
    app = shop()
    app.mount("/", guest)
    async with Stage(app) as stage:
        assert (await stage.http.get("/products/tea")).json()["price"] == 250
        assert (await stage.http.delete("/products/tea")).text == "guest"
        assert (await stage.http.get("/elsewhere")).text == "guest"


async def test_a_mounted_application_gets_its_lifespan() -> None:
    said: list[str] = []

    async def living(scope: dict[str, object], receive: object, send: object) -> None:
        assert callable(receive)
        assert callable(send)
        said.append((await receive())["type"])
        await send({"type": "lifespan.startup.complete"})
        said.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})

    app = shop()
    app.mount("/guest", living)
    async with Stage(app):
        assert said == ["lifespan.startup"]
    assert said == ["lifespan.startup", "lifespan.shutdown"]


SAID: list[str] = []


class Inner:
    async def __aenter__(self) -> None:
        SAID.append("inner in")

    async def __aexit__(self, *_: object) -> None:
        SAID.append("inner out")


class Outer:
    def __init__(self, inner: Inner) -> None:
        self.inner = inner

    async def __aenter__(self) -> None:
        SAID.append("outer in")

    async def __aexit__(self, *_: object) -> None:
        SAID.append("outer out")


@final
@dataclass
class WithResources(Nowhere):
    outer: Outer

    async def nothing(self) -> int:
        return len(SAID)


async def test_resources_are_entered_before_ready_and_left_after_drain() -> None:
    app = App("shop", services=[Nowhere])
    app.service(Nowhere).by(WithResources)
    SAID.clear()

    async with Stage(app) as stage:
        assert await stage.nobody.of(Nowhere).nothing() == 2

    assert SAID == ["inner in", "outer in", "outer out", "inner out"]


async def test_calls_may_be_gathered() -> None:
    async with Stage(shop()) as stage:
        ann = stage.acting("ann", scopes=["orders:write"])

        orders = await asyncio.gather(*(ann.of(Orders).place("tea") for _ in range(20)))

        assert len({order.id for order in orders}) == 20
        assert await ann.of(Orders).count() == 20


async def test_idempotency_records_are_forgotten_after_a_day() -> None:
    async with Stage(shop()) as stage:
        records = stage.running.stores["orders"].records
        await records.begin("key", "orders.place", "ann", "fingerprint", 1.0)
        await stage.advance(timedelta(hours=23))
        await stage.running.tidy()
        assert await records.find("key", "orders.place", "ann") is not None

        await stage.advance(timedelta(hours=2))
        await stage.running.tidy()

        assert await records.find("key", "orders.place", "ann") is None
