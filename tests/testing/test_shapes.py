"""The same test in each shape: in one process, or in several."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, final

import httpx2
import pytest

from enfilade import (
    Event,
    Message,
    Money,
    Problem,
    Scope,
    Unavailable,
    anyone,
    command,
    contract,
    current,
    peers,
    query,
)
from enfilade.app import App
from enfilade.clock import Clock
from enfilade.endpoint.rpc import PeerFailed
from enfilade.errors import DeadlineExceeded, Misuse, NotFound, StartError
from enfilade.service import Key, Owned, Row, Secret, Settings, Table, Topic, atomic, every, new_id, on
from enfilade.testing import SHAPES, Bench, Shape, Stage


class UnknownProduct(Problem, status=404):
    """The shop does not sell this."""

    sku: str


@contract(needs=anyone)
class Catalog(Protocol):
    @query("GET /products/{sku}/price", raises=[UnknownProduct])
    async def price(self, sku: str) -> Money: ...


@contract(needs=peers)
class Bank(Protocol):
    """Somebody else's."""

    @command(idempotent=True)
    async def charge(self, order: str, amount: Money, key: str) -> None: ...


class Order(Message):
    id: str
    customer: str
    total: Money


class Placed(Event, key="order.id"):
    order: Order


class Ends(Event, key="id"):
    id: str


class Billed(Event, key="order"):
    order: str


@contract(needs=Scope("orders:write"))
class Orders(Protocol):
    @command("POST /orders", status=201, raises=[UnknownProduct])
    async def place(self, sku: str, quantity: int = 1) -> Order: ...

    @query("GET /orders/patience", needs=anyone, timeout=30.0)
    async def patience(self, seconds: float) -> float: ...

    @query(needs=peers)
    async def inside(self) -> str: ...


@contract(needs=anyone)
class Bills(Protocol):
    @query("GET /bills")
    async def bills(self) -> tuple[str, ...]: ...


class OrderRow(Row):
    id: Key[str]
    customer: Owned[str]
    total: Money


class BillRow(Row):
    order: Key[str]
    key: str


class OrdersSettings(Settings):
    life: float = 86400.0


@final
@dataclass
class OrdersService(Orders):
    catalog: Catalog
    clock: Clock
    settings: OrdersSettings
    rows: Table[OrderRow]
    placed: Topic[Placed]
    ends: Topic[Ends]

    async def place(self, sku: str, quantity: int = 1) -> Order:
        return await self._record(await self.catalog.price(sku) * quantity)

    @atomic
    async def _record(self, total: Money) -> Order:
        row = await self.rows.add(OrderRow(id=new_id("ord"), customer=current().me, total=total))
        order = row.into(Order)
        await self.placed.publish(Placed(order=order))
        await self.ends.publish(Ends(id=row.id), at=current().now + timedelta(seconds=self.settings.life))
        return order

    @on(Ends)
    @atomic
    async def end(self, event: Ends) -> None:
        await self.rows.delete(event.id)

    async def patience(self, seconds: float) -> float:
        before = self.clock.monotonic()
        await self.clock.sleep(seconds)
        await self.catalog.price("tea")
        return self.clock.monotonic() - before

    async def inside(self) -> str:
        return current().peer


@final
@dataclass
class BillsService(Bills):
    bank: Bank
    rows: Table[BillRow]
    billed: Topic[Billed]
    key: Secret = Secret("bills/key")

    async def bills(self) -> tuple[str, ...]:
        return tuple(row.order for row in await self.rows.find())

    @on(Placed)
    async def bill(self, event: Placed) -> None:
        key = (await self.key.reveal())[0]
        await self.bank.charge(event.order.id, event.order.total, key)
        await self._record(event.order.id, key)

    @atomic
    async def _record(self, order: str, key: str) -> None:
        await self.rows.add(BillRow(order=order, key=key))
        await self.billed.publish(Billed(order=order))

    @every("10m")
    async def remind(self) -> None: ...


@contract(needs=anyone)
class Mortal(Protocol):
    @command()
    async def die(self) -> None: ...


@final
class MortalService(Mortal):
    async def die(self) -> None:
        print("goodbye", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


class Teas:
    """A catalogue of one product."""

    def __init__(self) -> None:
        self.cost = "2.50"

    async def price(self, sku: str) -> Money:
        if sku != "tea":
            raise UnknownProduct(sku=sku)
        return Money.of(self.cost, "EUR")


class Vault:
    """A bank that may be closed."""

    def __init__(self) -> None:
        self.charged: dict[str, tuple[Money, str]] = {}
        self.closed = False

    async def charge(self, order: str, amount: Money, key: str) -> None:
        if self.closed:
            raise Unavailable("closed")
        self.charged[order] = amount, key


app = App("tea", services=[Catalog, Orders, Bills, Bank])
app.service(Orders).by(OrdersService)
app.service(Bills).by(BillsService)


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Shape:
    return request.param


@pytest.fixture
def teas() -> Teas:
    return Teas()


@pytest.fixture
def bank() -> Vault:
    return Vault()


@pytest.fixture
async def stage(shape: Shape, teas: Teas, bank: Vault) -> AsyncIterator[Stage]:
    async with (
        Stage(app, shape=shape).given(Catalog).by(teas).given(Bank).by(bank).secret("bills/key", "hush") as stage
    ):
        yield stage


async def place(stage: Stage, sku: str = "tea") -> Order:
    return await stage.acting("ann", scopes=["orders:write"]).of(Orders).place(sku, 2)


async def test_an_order_is_placed_billed_and_ended_by_moved_time(stage: Stage, bank: Vault) -> None:
    order = await place(stage)
    assert stage.said(Placed) == (Placed(order=order),)
    assert (bank.charged, stage.said(Billed)) == ({}, ())
    await stage.settle()

    assert order == Order(id=order.id, customer="ann", total=Money.of("5.00", "EUR"))
    assert bank.charged == {order.id: (order.total, "h")}
    assert (stage.said(Billed), len(stage.said(Event))) == ((Billed(order=order.id),), 3)
    assert [row.id for row in await stage.rows(OrderRow)] == [order.id]
    assert await stage.nobody.of(Bills).bills() == (order.id,)

    await stage.advance(timedelta(days=1))

    assert await stage.rows(OrderRow) == ()


async def test_what_a_fake_does_is_up_to_the_test_at_any_time(stage: Stage, teas: Teas, bank: Vault) -> None:
    teas.cost, bank.closed = "4.00", True
    order = await place(stage)
    await stage.settle()
    assert (order.total, bank.charged) == (Money.of("8.00", "EUR"), {})

    bank.closed = False
    await stage.advance(timedelta(hours=1))

    assert bank.charged == {order.id: (order.total, "h")}


async def test_a_problem_of_a_fake_arrives_as_it_is(stage: Stage) -> None:
    with pytest.raises(UnknownProduct) as refused:
        await place(stage, "cake")

    assert refused.value.sku == "cake"
    assert (stage.said(Placed), await stage.rows(OrderRow)) == ((), ())


async def test_over_http_callers_are_known_by_their_tokens(stage: Stage) -> None:
    ann = stage.acting("ann", scopes=["orders:write"])
    placed = await stage.http.post("/orders", json={"sku": "tea"}, headers=ann.headers)
    refused = await stage.http.post("/orders", json={"sku": "tea"}, headers=stage.acting("bob").headers)
    unknown = await stage.http.post("/orders", json={"sku": "cake"}, headers=ann.headers)
    await stage.settle()

    assert [one.status_code for one in (placed, refused, unknown)] == [201, 403, 404]
    assert (placed.json()["customer"], unknown.json()["sku"]) == ("ann", "cake")
    assert (await stage.http.get("/bills")).json() == [placed.json()["id"]]


async def test_what_is_for_services_is_called_as_one(stage: Stage) -> None:
    with pytest.raises(NotFound):
        await stage.nobody.of(Orders).inside()

    assert await stage.of(Orders).inside() == "tests"


async def test_an_event_of_somebody_else_is_heard(stage: Stage) -> None:
    order = Order(id="ord_1", customer="bob", total=Money.of("1.00", "EUR"))

    await stage.hear(Placed(order=order))

    assert [row.order for row in await stage.rows(BillRow)] == ["ord_1"]
    assert stage.said(Billed) == (Billed(order="ord_1"),)


async def test_a_secret_may_change(stage: Stage, bank: Vault) -> None:
    stage.secret("bills/key", "other")
    order = await place(stage)
    await stage.settle()

    assert bank.charged[order.id][1] == "o"


async def test_a_call_that_waits_goes_on_when_time_is_moved(stage: Stage) -> None:
    called = asyncio.create_task(stage.nobody.of(Orders).patience(10.0))
    await stage.advance(60)

    async with asyncio.timeout(30):
        assert await called == 10.0


async def test_a_call_that_waits_too_long_is_over(stage: Stage) -> None:
    called = asyncio.create_task(stage.nobody.of(Orders).patience(40.0))
    await stage.settle()
    await stage.clock.advance(29)
    assert not called.done()
    await stage.clock.advance(1)

    async with asyncio.timeout(30):
        with pytest.raises(DeadlineExceeded):
            await called


async def test_rows_that_nobody_keeps_are_a_mistake(stage: Stage) -> None:
    class CatRow(Row):
        id: Key[str]

    with pytest.raises(Misuse, match="CatRow"):
        await stage.rows(CatRow)


async def test_a_bench_takes_its_settings_along(shape: Shape, teas: Teas) -> None:
    from enfilade.config import Config

    config = Config(data="sqlite::memory:", service={"orders": {"life": 60.0}})
    async with Bench(OrdersService, shape=shape, config=config).given(Catalog).by(teas) as bench:
        await place(bench)
        await bench.advance(60)

        assert await bench.rows(OrderRow) == ()


# -- what cannot be


@pytest.mark.parametrize("shape", SHAPES[2:])
async def test_the_inside_of_one_process_is_not_shown_where_there_are_several(shape: Shape, teas: Teas) -> None:
    async with Bench(OrdersService, shape=shape).given(Catalog).by(teas) as bench:
        with pytest.raises(Misuse, match=r"several: ask by stage\.rows"):
            assert bench.running


@pytest.mark.parametrize("shape", SHAPES[2:])
async def test_a_fake_that_lacks_what_others_call_is_refused(shape: Shape) -> None:
    class Nothing: ...

    stage = Bench(OrdersService, shape=shape)
    stage.app.services, stage.app.builders[Catalog] = (*stage.app.services, Catalog), Nothing
    stage._fakes.add(Catalog)

    with pytest.raises(StartError, match=r"Nothing: it has no price"):
        await stage.__aenter__()


async def test_a_secret_that_is_missing_is_told_in_each_shape(shape: Shape, bank: Vault) -> None:
    with pytest.raises(StartError, match=r'\.secret\("bills/key", \.\.\.\)'):
        await Bench(BillsService, shape=shape).given(Bank).by(bank).__aenter__()


def test_a_shape_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misuse, match="one of plain, codec, rpc, split"):
        Stage(app, shape="round")  # type: ignore[arg-type]

    monkeypatch.setenv("ENFILADE_SHAPE", "square")
    with pytest.raises(Misuse, match="ENFILADE_SHAPE='square'"):
        Stage(app)


def test_the_variable_says_it_for_those_that_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENFILADE_SHAPE", "rpc")

    assert (Stage(app).shape, Stage(app, shape="plain").shape) == ("rpc", "plain")


@pytest.mark.parametrize("shape", SHAPES[2:])
async def test_the_mistake_of_a_fake_is_told_as_one_of_a_peer(
    shape: Shape, teas: Teas, caplog: pytest.LogCaptureFixture
) -> None:
    teas.cost = "a lot"
    async with Bench(OrdersService, shape=shape).given(Catalog).by(teas) as bench:
        with pytest.raises(PeerFailed):
            await place(bench)

    assert "catalog.price failed" in caplog.text


async def test_the_whole_app_is_asked_by_http_where_others_serve_it(teas: Teas) -> None:
    async with Bench(OrdersService, shape="split").given(Catalog).by(teas) as bench:
        transport = httpx2.ASGITransport(app=bench.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://app.test") as http:
            with pytest.raises(Misuse, match=r"ask them by stage\.http"):
                await http.get("/orders/patience")


async def test_what_no_module_names_cannot_be_told_to_another_process() -> None:
    @final
    class Here(Orders):
        async def place(self, sku: str, quantity: int = 1) -> Order:
            raise UnknownProduct(sku=sku)

        async def patience(self, seconds: float) -> float:
            return seconds

        async def inside(self) -> str:
            return ""

    with pytest.raises(StartError, match="names of a module, or let this test have the shape rpc"):
        await Bench(Here, shape="split").__aenter__()

    async with Bench(Here, shape="rpc") as bench:
        assert await bench.nobody.of(Orders).patience(1.0) == 1.0


async def test_a_process_that_dies_does_not_hold_the_test_up(capfd: pytest.CaptureFixture[str]) -> None:
    async with Bench(MortalService, shape="split") as bench:
        async with asyncio.timeout(60):
            with pytest.raises(Unavailable):
                await bench.nobody.of(Mortal).die()

    assert "mortal: goodbye" in capfd.readouterr().err
