"""A service in two processes at once: who calls chooses, who serves makes copies, and a copy leaves nothing behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, final

import httpx2
import pytest

from enfilade import (
    App,
    Event,
    Key,
    Message,
    Page,
    Paging,
    Principal,
    Problem,
    Sensitive,
    Stream,
    anyone,
    command,
    contract,
    current,
    query,
)  # fmt: skip
from enfilade.call import Call
from enfilade.config import AuditConfig, Config, TraceConfig
from enfilade.contract.page import FIRST
from enfilade.contract.read import read
from enfilade.endpoint.mirror import Compared
from enfilade.endpoint.rpc import Link, connect, listening
from enfilade.errors import Unavailable
from enfilade.placement import Share, Way
from enfilade.running import Running
from enfilade.service import Http, Row, Table, Topic, atomic, on


class Paid(Event, key="order"):
    order: str


class Line(Message):
    sku: str
    cents: int


class Receipt(Message):
    by: str
    lines: tuple[Line, ...] = ()
    card: Sensitive[str] = ""


class Declined(Problem, status=422):
    reason: str


@contract(needs=anyone)
class Payments(Protocol):
    @query("GET /payments/{order}")
    async def served(self, order: Key[str]) -> str: ...

    @query("GET /mine")
    async def mine(self) -> str: ...

    @query("GET /receipts/{order}", raises=[Declined])
    async def receipt(self, order: str) -> Receipt: ...

    @query("GET /orders")
    async def orders(self, page: Paging = FIRST) -> Page[str]: ...

    @query("GET /stream")
    def stream(self, order: Key[str]) -> Stream[str]: ...

    @command("POST /payments")
    async def pay(self, order: str) -> str: ...

    @command("POST /charges")
    async def charge(self, order: str) -> str: ...


@contract(needs=anyone)
class Shop(Protocol):
    @query("GET /shop/{order}")
    async def served(self, order: str) -> str: ...

    @command("POST /shop")
    async def buy(self, order: str) -> str: ...


class Payment(Row):
    id: Key[str]


@dataclass
class Notes:
    """What a process is, and what it saw."""

    name: str
    cents: int = 5
    paid: list[str] = field(default_factory=list[str])
    heard: list[str] = field(default_factory=list[str])
    wait: asyncio.Event | None = None


@final
@dataclass
class PaymentsService(Payments):
    """In each process another one, by its notes."""

    payments: Table[Payment]
    said: Topic[Paid]
    http: Http
    notes: Notes

    async def served(self, order: str) -> str:
        return self.notes.name

    async def mine(self) -> str:
        return self.notes.name

    async def receipt(self, order: str) -> Receipt:
        if order == "none":
            raise Declined(reason=self.notes.name)
        lines = (Line(sku="tea", cents=3), Line(sku="milk", cents=self.notes.cents))
        return Receipt(by=self.notes.name, lines=lines, card=f"4111-{self.notes.name}")

    async def orders(self, page: Paging = FIRST) -> Page[str]:
        return Page(items=("1",), next=f"sealed by {self.notes.name}")

    async def stream(self, order: str) -> Stream[str]:
        for _ in range(2):
            yield self.notes.name

    async def pay(self, order: str) -> str:
        if self.notes.wait is not None:
            await self.notes.wait.wait()
        self.notes.paid.append(f"{order} {'tried' if current().rehearsal else 'done'}")
        return await self._record(order)

    @atomic
    async def _record(self, order: str) -> str:
        await self.payments.add(Payment(id=f"{order} of {self.notes.name}"))
        await self.said.publish(Paid(order=order))
        return "paid"

    async def charge(self, order: str) -> str:
        if self.notes.name == "next":
            await self.http.request("POST", "https://psp.example/charges")
        return "charged"

    @on(Paid)
    async def hear(self, event: Paid) -> None:
        self.notes.heard.append(event.order)


@final
@dataclass
class ShopService(Shop):
    payments: Payments

    async def served(self, order: str) -> str:
        return await self.payments.served(order)

    async def buy(self, order: str) -> str:
        return await self.payments.pay(order)


@dataclass
class World:
    """Processes joined by rpc, in this one."""

    folder: Path
    exit: AsyncExitStack
    ways: tuple[Way, ...] = (Way(process="old"), Way(process="next", share=0))
    notes: dict[str, Notes] = field(default_factory=dict[str, Notes])
    processes: dict[str, Running] = field(default_factory=dict[str, Running])
    sockets: dict[str, AsyncExitStack] = field(default_factory=dict[str, AsyncExitStack])

    def share(self, process: str, *here: str) -> Share:
        at = {name: (f"unix:{self.folder}/{name}.sock",) for name in ("old", "next", "front")}
        shop = {} if "shop" in here or process == "front" else {"shop": (Way(process="old"),)}
        return Share(
            process=process, replica=process, front=process == "front", at=at, ways={"payments": self.ways, **shop},
            calls={"shop": frozenset({"payments"})},
        )  # fmt: skip

    async def start(self, name: str, *here: str, cents: int = 5) -> Running:
        config = Config(
            folder=str(self.folder), data="sqlite::memory:", codec="never",
            trace=TraceConfig(file=False), audit=AuditConfig(file=False),
        )  # fmt: skip
        app = App("till", services=[Payments, Shop], config=config)
        app.share = self.share(name, *here)
        notes = self.notes[name] = Notes(name, cents)
        app.provide(Notes).by(lambda: notes)
        app.service(Payments).by(PaymentsService)
        app.service(Shop).by(ShopService)
        stack = self.sockets[name] = AsyncExitStack()
        self.exit.push_async_callback(stack.aclose)
        running = self.processes[name] = await stack.enter_async_context(app.running())
        if name != "front":
            address = f"unix:{self.folder}/{name}.sock"
            await stack.enter_async_context(listening(running.mesh.serve(running.site), address, drain=0.5))
        return running

    async def stop(self, name: str) -> None:
        await self.sockets[name].aclose()

    def spread(self, **variant: Any) -> None:
        """Let all processes have other ways."""
        share = variant.get("share", self.ways[1].share)
        self.ways = (replace(self.ways[0], share=100 - share), replace(self.ways[1], **variant))
        for running in self.processes.values():
            running.rearrange(replace(running.app.share, ways={**running.app.share.ways, "payments": self.ways}))

    def of(self, who: str = "", kind: Any = Payments) -> Any:
        return self.processes["front"].get(kind, acting=Principal(subject=who) if who else None)

    async def compared(self, operation: str) -> Compared:
        found = self.processes["old"].mesh.compared()
        return next((one for one in found if one.operation == operation), Compared(variant="", operation=""))

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while not await true():  # noqa: ASYNC110  (what is waited for is another process's)
                await asyncio.sleep(0.01)

    async def copies(self, operation: str, **outcomes: int) -> Compared:
        """What became of copies, once so many ended so."""

        async def done() -> bool:
            return (await self.compared(operation)).outcomes == outcomes

        await self.until(done)
        return await self.compared(operation)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    async with AsyncExitStack() as exit:
        yield World(tmp_path, exit)


@pytest.fixture
async def both(world: World) -> World:
    for name in ("old", "next", "front"):
        await world.start(name)
    return world


async def served(world: World, orders: int = 100) -> dict[str, str]:
    return {str(order): await world.of().served(str(order)) for order in range(orders)}


def part(answers: dict[str, str], process: str) -> float:
    return sum(one == process for one in answers.values()) / len(answers)


async def test_a_variant_gets_its_share_of_the_keys_and_keeps_them_when_it_gets_more(both: World) -> None:
    before = await served(both)
    parts: list[float] = []
    kept = set[str]()
    for share in (10, 20, 50, 100):
        both.spread(share=share)
        answers = await served(both)
        assert kept <= (kept := {key for key, one in answers.items() if one == "next"})
        assert answers == await served(both)
        parts.append(part(answers, "next"))

    assert part(before, "old") == 1
    assert [abs(part - wanted) < 0.1 for part, wanted in zip(parts, (0.1, 0.2, 0.5, 1), strict=True)] == [True] * 4
    assert parts == sorted(parts)


async def test_without_a_key_the_same_person_comes_to_the_same_process(both: World) -> None:
    both.spread(share=50)

    people = {f"{who}": {await both.of(f"{who}").mine() for _ in range(5)} for who in range(30)}
    nobody = {await both.of().mine() for _ in range(60)}

    assert all(len(processes) == 1 for processes in people.values())
    assert {name for processes in people.values() for name in processes} == {"old", "next"}
    assert nobody == {"old", "next"}


async def test_what_a_stream_gives_is_all_from_one_process(both: World) -> None:
    both.spread(share=50)

    streams = [[item async for item in both.of().stream(str(order))] for order in range(20)]

    assert {tuple(one) for one in streams} == {("old", "old"), ("next", "next")}


async def test_a_caller_in_the_primary_process_spreads_too_and_what_comes_from_others_stays(world: World) -> None:
    for name, here in (("old", ("shop",)), ("next", ()), ("front", ())):
        await world.start(name, *here)
    world.spread(share=50)

    inside = {str(order): await world.processes["old"].get(Shop).served(str(order)) for order in range(60)}
    outside = await served(world, 60)

    assert inside == outside
    assert set(inside.values()) == {"old", "next"}


async def test_where_a_variant_cannot_be_reached_the_primary_serves(both: World) -> None:
    both.spread(share=50)
    await both.stop("next")

    assert set((await served(both, 40)).values()) == {"old"}
    assert [item async for item in both.of().stream("7")] == ["old", "old"]


async def test_where_the_primary_cannot_be_reached_a_variant_with_a_share_serves(both: World) -> None:
    both.spread(share=1)
    await both.stop("old")

    assert await both.of().served("7") == "next"


async def test_nobody_falls_back_to_a_variant_without_a_share(both: World) -> None:
    both.spread(share=0, mirror=100)
    await both.stop("old")

    with pytest.raises(Unavailable):
        await both.of().served("7")


async def test_a_copy_is_made_after_the_answer_and_leaves_nothing_behind(
    both: World, caplog: pytest.LogCaptureFixture
) -> None:
    both.spread(mirror=100)

    with caplog.at_level(logging.INFO, "enfilade.audit"):
        assert await both.of("ann").pay("1") == "paid"
        await both.copies("payments.pay", sent=1)

    assert both.notes["old"].paid == ["1 done"]
    assert both.notes["next"].paid == ["1 tried"]
    old, new = (both.processes[name].stores["payments"] for name in ("old", "next"))
    assert await old.table(Payment).find() == (Payment(id="1 of old"),)
    assert await new.table(Payment).find() == ()
    assert await new.outbox.pending() == 0
    assert [record.name for record in caplog.records if "payments.pay" in record.getMessage()] == ["enfilade.audit"]


async def test_a_rehearsal_goes_on_where_its_calls_go(world: World) -> None:
    for name, here in (("old", ("shop",)), ("next", ())):
        await world.start(name, *here)
    world.spread(share=100)
    shop = read(Shop)
    async with Link(f"unix:{world.folder}/old.sock") as link:
        clock = world.processes["old"].clock
        buy = shop.operation("buy")

        async def call(order: str, *, rehearsal: bool) -> None:
            until = clock.monotonic() + 5
            await connect(shop, link)[buy.id](Call(buy, {"order": order}, clock, until, rehearsal=rehearsal))

        await call("1", rehearsal=True)
        await call("2", rehearsal=False)

    assert world.notes["next"].paid == ["1 tried", "2 done"]


async def test_nobody_outside_asks_for_a_rehearsal_and_what_is_answered_from_a_record_is_not_copied(
    both: World,
) -> None:
    both.spread(mirror=100)
    app = both.processes["front"].app
    fields = {"enfilade-rehearsal": "1", "idempotency-key": '"k"'}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://till") as http:
        for _ in range(2):
            answered = await http.post("/payments", json={"order": "1"}, headers=fields)
            assert answered.json() == "paid"
    await both.of().receipt("1")
    await both.copies("payments.receipt", sent=1)

    assert answered.headers["idempotency-replayed"] == "true"
    assert both.notes["old"].paid == ["1 done"]
    assert both.notes["next"].paid == ["1 tried"]
    records = both.processes["next"].stores["payments"].records
    assert await records.sweep(datetime.max.replace(tzinfo=UTC)) == 0


async def test_differences_are_told_by_their_paths_alone(both: World, caplog: pytest.LogCaptureFixture) -> None:
    both.spread(mirror=100, compare=True, ignore=("/by",))
    both.notes["next"].cents = 6

    with caplog.at_level(logging.WARNING, "enfilade.variants"):
        for _ in range(12):
            await both.of().receipt("1")
        found = await both.copies("payments.receipt", different=12)

    assert found.paths == {"/lines/*/cents": 12, "/card": 12}
    told = [record.getMessage() for record in caplog.records if record.name == "enfilade.variants"]
    assert [line.partition(" (trace")[0] for line in told] == [
        f"next answers otherwise than before to payments.receipt, for the {times}. time, at /lines/*/cents /card"
        for times in (1, 10)
    ]
    assert "4111" not in caplog.text


async def test_what_is_the_same_is_counted_as_the_same(both: World) -> None:
    both.spread(mirror=100, compare=True, ignore=("/by", "/card"))

    await both.of().receipt("1")
    await both.of().orders()
    with pytest.raises(Declined):
        await both.of().receipt("none")

    assert (await both.copies("payments.receipt", same=1, different=1)).paths == {"/reason": 1}
    await both.copies("payments.orders", same=1)


async def test_what_cannot_be_rehearsed_is_told_apart_from_what_fails(both: World) -> None:
    both.spread(mirror=100, compare=True)

    await both.of().charge("1")
    await both.copies("payments.charge", refused=1)
    await both.stop("next")
    await both.of().receipt("1")

    await both.copies("payments.receipt", failed=1)


async def test_copies_that_are_too_many_are_dropped_and_counted(both: World) -> None:
    both.spread(mirror=100)
    both.notes["next"].wait = asyncio.Event()

    await asyncio.gather(*(both.of().pay(str(order)) for order in range(70)))
    await both.copies("payments.pay", dropped=6)
    both.notes["next"].wait.set()

    await both.copies("payments.pay", dropped=6, sent=64)


async def test_a_variant_without_a_share_hears_nothing_until_it_gets_one(both: World) -> None:
    assert both.processes["next"].messaging.dispatchers == []

    both.spread(share=100)
    assert await both.of().pay("1") == "paid"

    async def heard() -> bool:
        return both.notes["next"].heard + both.notes["old"].heard == ["1"]

    await both.until(heard)
    assert len(both.processes["next"].messaging.dispatchers) == 1
