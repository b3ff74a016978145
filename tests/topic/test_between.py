"""Two apps on one broker, each with a part of the services: the code does not know where who hears it runs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

import pytest

from enfilade import App, Event, anyone, command, contract, query
from enfilade.config import AuditConfig, Config, TraceConfig
from enfilade.errors import StartError
from enfilade.placement import Share, Way
from enfilade.service import Key, Row, Table, Topic, atomic, on


class OrderPlaced(Event, key="id"):
    id: str


@contract(needs=anyone)
class Orders(Protocol):
    @command("POST /orders")
    async def place(self, id: str) -> None: ...


@contract(needs=anyone)
class Notifications(Protocol):
    @query("GET /notifications")
    async def thanked(self) -> int: ...


class MailRow(Row):
    order: Key[str]


@final
@dataclass
class OrdersService(Orders):
    placed: Topic[OrderPlaced]

    @atomic
    async def place(self, id: str) -> None:
        await self.placed.publish(OrderPlaced(id=id))


@final
@dataclass
class NotificationsService(Notifications):
    mails: Table[MailRow]

    @on(OrderPlaced)
    @atomic
    async def thank(self, event: OrderPlaced) -> None:
        await self.mails.add(MailRow(order=event.id))

    async def thanked(self) -> int:
        return await self.mails.count()


def app(contract: type, service: type, config: Config) -> App:
    made = App("shop", services=[contract], config=config)
    made.service(contract).by(service)
    return made


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Config]:
    return lambda events: Config(
        folder=str(tmp_path), events=events, trace=TraceConfig(file=False), audit=AuditConfig(file=False)
    )


async def test_a_process_that_has_only_who_hears_gets_its_events(broker: Any, config: Callable[[str], Config]) -> None:
    async with (
        app(Orders, OrdersService, config(broker.url)).running() as here,
        app(Notifications, NotificationsService, config(broker.url)).running() as there,
    ):
        for number in range(20):
            await here.get(Orders).place(f"ord_{number}")
        while await there.get(Notifications).thanked() < 20:  # noqa: ASYNC110  (another process's work)
            await asyncio.sleep(0.01)

        assert here.unready() == there.unready() == ()
        broker.kill()
        while not here.unready():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert here.unready() == ("broker",)


async def test_an_address_that_is_no_broker_is_refused_at_start(config: Callable[[str], Config]) -> None:
    with pytest.raises(StartError, match="no broker for events"):
        async with app(Orders, OrdersService, config("kafka://here")).running():
            ...


async def test_a_variant_hears_from_when_it_gets_a_share(broker: Any, config: Callable[[str], Config]) -> None:
    def ways(share: float) -> Share:
        shares = (Way(process="old", share=100 - share), Way(process="next", share=share))
        return Share(process="next", at={"old": ("unix:/nowhere",)}, ways={"notifications": shares})

    there = app(Notifications, NotificationsService, config(broker.url))
    there.share = ways(0)
    async with app(Orders, OrdersService, config(broker.url)).running() as here, there.running() as variant:
        assert variant.messaging.dispatchers == []
        variant.rearrange(ways(100))
        async with asyncio.timeout(30):
            for number in itertools.count():
                await here.get(Orders).place(f"ord_{number}")
                await asyncio.sleep(0.05)
                if await variant.stores["notifications"].table(MailRow).count():
                    break
