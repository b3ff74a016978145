"""@on and @every: what they mark, what they refuse, and what the row is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, Protocol

import pytest

from enfilade.contract.declare import command, contract
from enfilade.contract.message import Event
from enfilade.contract.need import anyone
from enfilade.errors import StartError
from enfilade.topic import every, handlers_of, on, operation_for, schedules_of


class OrderPlaced(Event, key="order"):
    order: str


class OrderSent(Event, key="order"):
    order: str


def wrapped(method: Callable[..., Any]) -> Any:
    """What a decorator such as @atomic does to a method."""

    @wraps(method)
    async def run(*args: Any) -> Any:
        return await method(*args)

    return run


class Notifications:
    @on(OrderPlaced)
    async def thank(self, event: OrderPlaced) -> None:
        """Thank for the order.

        And no more.
        """

    @on(OrderSent)
    @wrapped
    async def announce(self, sent: OrderSent) -> None: ...

    @wrapped
    @on(OrderPlaced)
    async def count(self, event: OrderPlaced | OrderSent) -> None: ...

    @every("1d", at="03:00")
    async def clean(self) -> None: ...

    @every("30s", where="replica")
    async def refresh(self) -> None: ...


def findings(read: Callable[[type], object], service: type) -> list[str]:
    with pytest.raises(StartError) as raised:
        read(service)
    for one in raised.value.findings:
        assert __file__ in one.where
        assert one.remedy
    return [one.what for one in raised.value.findings]


def test_handlers_are_read_in_the_order_they_are_written() -> None:
    heard = handlers_of(Notifications)

    assert [(one.name, one.event, one.parameter) for one in heard] == [
        ("thank", OrderPlaced, "event"),
        ("announce", OrderSent, "sent"),
        ("count", OrderPlaced, "event"),
    ]
    assert heard[0].topic == "test_handlers.OrderPlaced"
    assert heard[0].summary == "Thank for the order."


def test_schedules_are_read_in_the_order_they_are_written() -> None:
    scheduled = schedules_of(Notifications)

    assert [(one.name, one.runs, one.schedule.every) for one in scheduled] == [
        ("clean", "fleet", timedelta(days=1)),
        ("refresh", "replica", timedelta(seconds=30)),
    ]


def test_a_handler_is_a_command_of_its_service_without_a_route() -> None:
    operation = operation_for(handlers_of(Notifications)[1], "notifications")

    assert (operation.id, operation.kind, operation.method) == ("notifications.announce", "command", "")
    assert [one.name for one in operation.parameters] == ["sent"]
    assert operation.request(sent=OrderSent(order="1")) is not None
    assert operation_for(schedules_of(Notifications)[0], "notifications").parameters == ()


def test_a_class_without_handlers_has_none() -> None:
    assert handlers_of(Protocol) == ()  # type: ignore[arg-type]
    assert schedules_of(object) == ()


def test_every_mistake_of_a_handler_is_found_at_once() -> None:
    class Wrong:
        @on(str)  # type: ignore[type-var]
        async def no_event(self, event: str) -> None: ...

        @on(OrderPlaced)  # type: ignore[arg-type]
        async def other(self, event: OrderSent) -> None: ...

        @on(OrderPlaced)  # type: ignore[arg-type]
        def sync(self, event: OrderPlaced) -> None: ...

        @on(OrderPlaced)  # type: ignore[arg-type]
        async def too_much(self, event: OrderPlaced, more: str) -> None: ...

        @on(OrderPlaced)
        async def untyped(self, event) -> None: ...  # type: ignore[no-untyped-def]

        @on(OrderPlaced)
        @on(OrderPlaced)
        async def twice(self, event: OrderPlaced) -> None: ...

    assert findings(handlers_of, Wrong) == [
        "no_event hears str, which is no Event.",
        "other hears OrderPlaced and takes OrderSent.",
        "sync is not async.",
        "too_much takes (event, more), and a handler takes the event alone.",
        "untyped hears OrderPlaced and takes anything.",
        "twice is marked more than once by @on or @every.",
    ]


def test_a_handler_cannot_be_an_operation_too() -> None:
    @contract(needs=anyone)
    class Shop(Protocol):
        @command("POST /orders")
        async def take(self, event: OrderPlaced) -> None: ...

    class ShopService(Shop):
        @on(OrderPlaced)
        async def take(self, event: OrderPlaced) -> None: ...

    assert findings(handlers_of, ShopService) == ["take is an operation of a contract and a handler too."]


def test_two_events_of_one_name_in_one_service_are_refused() -> None:
    first = OrderPlaced

    class Other(Event):
        order: str

    Other.__name__ = "OrderPlaced"

    class Both:
        @on(first)
        async def one(self, event: first) -> None: ...  # type: ignore[valid-type]

        @on(Other)
        async def two(self, event: Other) -> None: ...

    Both.one.__annotations__["event"] = first
    Both.two.__annotations__["event"] = Other

    assert findings(handlers_of, Both) == [
        "two and one hear two different events that are both named test_handlers.OrderPlaced."
    ]


@pytest.mark.parametrize(
    ("period", "at", "what"),
    [
        ("often", "", "a period is written like '30s', '12h', '7d' or 'forever', not 'often'"),
        ("0s", "", "a schedule comes every second or more rarely, not every '0s'"),
        ("forever", "", "a schedule comes every second or more rarely, not every 'forever'"),
        ("1h", "03:00", "a time of day (at='03:00') goes with whole days, not with '1h'"),
        ("1d", "3am", "a time of day is written like '03:00' (UTC), not '3am'"),
        ("1d", "24:00", "a time of day is written like '03:00' (UTC), not '24:00'"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_found(period: str, at: str, what: str) -> None:
    class Wrong:
        @every(period, at=at)
        async def tick(self) -> None: ...

    assert findings(schedules_of, Wrong) == [f"tick: {what}."]


def test_a_method_that_runs_by_the_clock_takes_nothing() -> None:
    class Wrong:
        @every("1h")  # type: ignore[arg-type]
        async def tick(self, more: str) -> None: ...

    assert findings(schedules_of, Wrong) == ["tick runs by the clock and takes more than self."]
