"""An event from the outbox of one service to the handler of another: within the process, and by NATS between two apps.

CPU of the Python side per event, the best of the rounds, and events a second; beside it nats-py alone, which publishes
the same bodies with acknowledgement, pulls and acknowledges them, and keeps neither an outbox nor an inbox. CPU of the
server is not counted. Stores are SQLite files with `synchronous=full`.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

sys.path.insert(0, str(Path(__file__).parent / "support"))

import nats
import uvloop
from claims import Claim, tell

from enfilade import App, Event, contract, peers, signed_in
from enfilade.call import Principal
from enfilade.config import Config, TraceConfig
from enfilade.contract.declare import command, query
from enfilade.service import Topic, atomic, on

ROUNDS = 3
COUNT = 2_000
KEYS = 100


class Placed(Event, key="order"):
    order: str
    email: str = "ann@example.com"
    cents: int = 1250


@contract(needs=signed_in)
class Orders(Protocol):
    @command("POST /orders", timeout=60)
    async def place(self, count: int) -> None:
        """Say so many events."""
        ...


@contract(needs=peers)
class Mails(Protocol):
    @query()
    async def sent(self) -> int:
        """How many were heard."""
        ...


@final
@dataclass
class OrdersService(Orders):
    placed: Topic[Placed]

    @atomic
    async def place(self, count: int) -> None:
        for number in range(count):
            await self.placed.publish(Placed(order=f"ord_{number % KEYS}"))


heard = 0


@final
class MailsService(Mails):
    @on(Placed)
    async def hear(self, event: Placed) -> None:
        global heard
        heard += 1

    async def sent(self) -> int:
        return heard


def made(folder: Path, events: str, *services: tuple[type, type]) -> App:
    config = Config(folder=str(folder), events=events, codec="never", trace=TraceConfig(file=False))
    app = App("bench", services=[one for one, _ in services], config=config)
    for one, service in services:
        app.service(one).by(service)
    return app


async def carried(folder: Path, url: str) -> tuple[float, float]:
    """CPU microseconds of an event, and events a second."""
    said, hears = (Orders, OrdersService), (Mails, MailsService)
    apps = [made(folder, url, said), made(folder, url, hears)] if url else [made(folder, url, said, hears)]
    cpu, rate = float("inf"), 0.0
    async with AsyncExitStack() as running:
        for app in apps:
            await running.enter_async_context(app.running())
        orders = apps[0].get(Orders, acting=Principal(subject="ann"))
        for _ in range(ROUNDS):
            end, began, used = heard + COUNT, time.perf_counter(), time.process_time()
            for _ in range(10):
                await orders.place(COUNT // 10)
            while heard < end:
                await asyncio.sleep(0.005)
            cpu = min(cpu, (time.process_time() - used) / COUNT * 1e6)
            rate = max(rate, COUNT / (time.perf_counter() - began))
    return cpu, rate


async def bare(url: str) -> tuple[float, float]:
    """The same of nats-py alone."""
    client = await nats.connect(url)
    js = client.jetstream()
    await js.add_stream(name="bare", subjects=["bare.>"])
    pulled = await js.pull_subscribe("bare.>", durable="bare")
    body = b'{"order":"ord_1","email":"ann@example.com","cents":1250}'
    cpu, rate = float("inf"), 0.0
    for _ in range(ROUNDS):
        began, used = time.perf_counter(), time.process_time()
        for number in range(COUNT):
            await js.publish_async(f"bare.{number % KEYS}", body, headers={"Nats-Msg-Id": f"{began}{number}"})
        await js.publish_async_completed()
        left = COUNT
        while left:
            for message in await pulled.fetch(min(200, left)):
                await message.ack()
                left -= 1
        cpu = min(cpu, (time.process_time() - used) / COUNT * 1e6)
        rate = max(rate, COUNT / (time.perf_counter() - began))
    await client.close()
    return cpu, rate


async def main() -> list[Claim]:
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        binary = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"
        command = [binary, "-js", "-sd", f"{folder}/nats", "-a", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            await asyncio.sleep(1)
            url = f"nats://127.0.0.1:{port}"
            within = await carried(Path(folder) / "within", "")
            between = await carried(Path(folder) / "between", url)
            alone = await bare(url)
        finally:
            server.kill()
            server.wait()
    return [
        Claim(
            "an event by NATS between two apps, over the same within one process",
            between[0] / within[0],
            "times CPU",
            "<= 2",
        ),
        Claim("an event within the process: outbox, relay, inbox, row, handler", within[0], "us CPU", ""),
        Claim("an event by NATS: outbox, relay, broker, inbox, row, handler", between[0], "us CPU", ""),
        Claim("a message by nats-py alone: publish, pull, acknowledge", alone[0], "us CPU", ""),
        Claim("events within the process", within[1], "a second", ""),
        Claim("events by NATS between two apps", between[1], "a second", ""),
        Claim("messages by nats-py alone", alone[1], "a second", ""),
    ]


tell(uvloop.run(main()))
