"""One row: every way in passes the same stations, in the order that the page says, and pays for nothing undeclared."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, final

from enfilade import App, Event, anyone, command, contract, query
from enfilade.app import stations
from enfilade.call import Call, Handler, Outside, row
from enfilade.clock import VirtualClock
from enfilade.contract.operation import Operation
from enfilade.contract.read import read
from enfilade.guard import Bulkhead, Meters
from enfilade.identity import Verifier
from enfilade.running import Tools
from enfilade.service import Key, Row, Table, Topic, atomic, current, every, on
from enfilade.testing import Stage
from enfilade.trace import Recorder

PAGE = (Path(__file__).parents[2] / "docs/app.md").read_text("utf-8")

SAID = {
    "Recorder": "trace", "home": "home", "audit": "audit", "identity": "identity", "needs": "needs",
    "Meters": "meters", "reading": "reading", "rules": "rules", "policies": "policies", "deadline": "deadline",
    "Bulkhead": "concurrency",
    "idempotency": "idempotency", "raises": "raises", "through_codec": "codec", "mine": "*yours*",
}  # fmt: skip
"""What the page calls the station that is made by this."""


class Rang(Event, key="id"):
    id: str


@contract(needs=anyone)
class Clock(Protocol):
    @query("GET /time")
    async def time(self) -> int: ...


@contract(needs=anyone)
class Bell(Protocol):
    @command("POST /rings")
    async def ring(self, id: str) -> int: ...


class RingRow(Row):
    id: Key[str]


@final
class ClockService(Clock):
    async def time(self) -> int:
        return current().now.hour


@final
@dataclass
class BellService(Bell):
    clock: Clock
    rings: Table[RingRow]
    rang: Topic[Rang]

    async def ring(self, id: str) -> int:
        hour = await self.clock.time()
        await self._record(RingRow(id=id))
        return hour

    @atomic
    async def _record(self, row: RingRow) -> None:
        await self.rings.add(row)
        await self.rang.publish(Rang(id=row.id))

    @on(Rang)
    async def listen(self, event: Rang) -> None: ...

    @every("1h")
    async def swing(self) -> None: ...


def mine(operation: Operation, handler: Handler) -> Handler:
    return handler


def made(*users: Any, isolate: bool = False) -> tuple[Any, ...]:
    clock = VirtualClock()
    tools = Tools(
        store=None, recorder=Recorder(clock, enabled=False), verifier=Verifier([], clock), resolvers=(),
        callers=lambda service: (), meters=Meters(clock), bulkhead=Bulkhead(8), isolate=isolate, trail=None,
        policy=None,
    )  # fmt: skip
    return tuple(one.station if isinstance(one, Outside) else one for one in stations(tools, users))


def test_the_row_is_the_one_that_the_page_shows() -> None:
    table = PAGE[PAGE.index("| station | does |") : PAGE.index("`stations(...)` in")]

    shown = re.findall(r"^\| ([\w*]+) \|", table, re.MULTILINE)[1:]

    assert [SAID[one.__qualname__.split(".")[0]] for one in made(mine, isolate=True)] == shown


def test_a_station_that_has_nothing_to_do_is_not_in_the_row() -> None:
    async def last(call: Call) -> int:
        return 12

    time = read(Clock).operation("time")

    passed = {SAID[one.__qualname__.split(".")[0]] for one in made(mine) if one(time, last) is last}

    assert passed == {"home", "*yours*", "needs", "meters", "rules", "policies", "idempotency"}


async def test_requests_calls_events_and_timers_pass_the_same_row() -> None:
    seen: list[str] = []

    def watch(operation: Operation, handler: Handler) -> Handler:
        def note(call: Call) -> Awaitable[Any]:
            seen.append(operation.id)
            return handler(call)

        return note

    app = App("tower", services=[Clock, Bell], stations=[watch])
    app.service(Clock).by(ClockService)
    app.service(Bell).by(BellService)
    async with Stage(app) as stage:
        answer = await stage.http.post("/rings", json={"id": "noon"})
        assert (answer.status_code, answer.json()) == (200, 12)
        await stage.settle()
        await stage.advance(timedelta(hours=1))

    assert seen == ["bell.ring", "clock.time", "bell.listen", "bell.swing"]


def test_what_asks_for_a_wire_is_not_passed_between_services() -> None:
    async def last(call: Call) -> int:
        return 12

    tools_row = [Outside(outer), inner]
    time = read(Clock).operation("time")

    assert row(time, tools_row, last, inside=True)(12) == ("inner", 12)
    assert row(time, tools_row, last)(12) == ("outer", ("inner", 12))


def outer(operation: Operation, handler: Any) -> Any:
    return lambda call: ("outer", handler(call))


def inner(operation: Operation, handler: Any) -> Any:
    return lambda call: ("inner", call)
