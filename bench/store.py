"""A row and its outbox row in one unit of work on SQLite, 32 at a time: the store against aiosqlite.

Both write to a file of their own on the same disk with `synchronous = full`, in turns; each has the median of its
rounds. The store's side is what a service runs: a call, `@atomic`, `Table.add`, `Topic.publish`. aiosqlite's is one
connection whose transactions take turns by a lock, as its users have it: BEGIN IMMEDIATE, two INSERTs, COMMIT.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent / "support"))

import aiosqlite
import msgspec
from claims import Claim, tell

from enfilade.call import Call, Principal, enter, leave
from enfilade.clock import SystemClock
from enfilade.contract.marks import Index, Key, Version
from enfilade.contract.message import Event
from enfilade.contract.need import anyone
from enfilade.contract.operation import Operation
from enfilade.store import Row, atomic, open_store
from enfilade.topic import Topic
from enfilade.trace.recorder import Recorder

ROUNDS = 7
COUNT = 1600
AT_ONCE = 32
CLOCK = SystemClock()
PLACE = Operation(
    id="orders.place", service="orders", name="place", kind="command", summary="", description="", method="POST",
    path="/orders", parameters=(), defaults={}, request=msgspec.Struct, result=str, style="value", returns="",
    status=201, raises=(), needs=anyone, rates=(), timeout=30.0, idle=60.0, body_limit=1000, idempotent=False,
    deprecated=None, level=None, names="snake", where="",
)  # fmt: skip
ANN = Principal(subject="ann")


class OrderRow(Row):
    id: Key[str]
    customer: Index[str]
    sku: str
    quantity: int
    version: Version = 0


class OrderPlaced(Event, key="order"):
    order: str
    sku: str
    quantity: int


class Orders:
    def __init__(self, store: object) -> None:
        self.orders = store.table(OrderRow)
        self.placed = Topic(OrderPlaced, "orders")

    @atomic
    async def record(self, row: OrderRow) -> None:
        await self.orders.add(row)
        await self.placed.publish(OrderPlaced(order=row.id, sku=row.sku, quantity=row.quantity))


async def load(one: Callable[[int], Awaitable[None]], first: int) -> tuple[float, float]:
    """(operations a second, CPU microseconds an operation) of the whole process, all threads."""
    numbers = iter(range(first, first + COUNT))

    async def work() -> None:
        for number in numbers:
            await one(number)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return COUNT / (time.perf_counter() - began), (time.process_time() - cpu) * 1e6 / COUNT


async def ours(folder: str) -> tuple[Callable[[int], Awaitable[None]], Callable[[], Awaitable[None]]]:
    recorder = Recorder(CLOCK)
    store = open_store(f"sqlite:{folder}/ours.db", "orders", clock=CLOCK, recorder=recorder, secret=b"s" * 32)
    await store.open()
    orders = Orders(store)
    await store.migrate(apply=True)

    async def one(number: int) -> None:
        call = Call(PLACE, {}, CLOCK, CLOCK.monotonic() + 30)
        call.caller, call.home = ANN, store
        token = enter(call)
        try:
            await orders.record(OrderRow(id=f"ord_{number:012}", customer="ann", sku="tea", quantity=2))
        finally:
            leave(token)

    return one, store.close


async def theirs(folder: str) -> tuple[Callable[[int], Awaitable[None]], Callable[[], Awaitable[None]]]:
    connection = await aiosqlite.connect(f"{folder}/theirs.db", isolation_level=None)
    await connection.execute("PRAGMA journal_mode = wal")
    await connection.execute("PRAGMA synchronous = full")
    await connection.execute(
        "CREATE TABLE orders (id TEXT PRIMARY KEY, customer TEXT NOT NULL, sku TEXT NOT NULL, "
        "quantity INTEGER NOT NULL, version INTEGER NOT NULL) STRICT"
    )
    await connection.execute("CREATE INDEX orders_customer ON orders (customer)")
    await connection.execute(
        "CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, topic TEXT NOT NULL, "
        "source TEXT NOT NULL, key TEXT NOT NULL, at TEXT NOT NULL, timer INTEGER NOT NULL, body BLOB NOT NULL, "
        "headers TEXT NOT NULL) STRICT"
    )
    await connection.execute("CREATE INDEX outbox_due ON outbox (timer, at)")
    lock = asyncio.Lock()

    async def one(number: int) -> None:
        id = f"ord_{number:012}"
        body = json.dumps({"order": id, "sku": "tea", "quantity": 2}).encode()
        async with lock:
            await connection.execute("BEGIN IMMEDIATE")
            await connection.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", (id, "ann", "tea", 2, 0))
            await connection.execute(
                "INSERT INTO outbox (id, topic, source, key, at, timer, body, headers) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (f"{number:032x}", "orders.OrderPlaced", "orders", id, CLOCK.now().isoformat(), 0, body, "{}"),
            )
            await connection.execute("COMMIT")

    return one, connection.close


async def main() -> list[Claim]:
    with tempfile.TemporaryDirectory() as folder:
        sides = {"ours": await ours(folder), "aiosqlite": await theirs(folder)}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for round in range(ROUNDS + 1):
            for name, (one, _) in sides.items():
                figures = await load(one, round * COUNT)
                if round:  # the first warms up
                    found[name].append(figures)
        for _, close in sides.values():
            await close()
    speed = {name: median(one[0] for one in figures) for name, figures in found.items()}
    cpu = {name: median(one[1] for one in figures) for name, figures in found.items()}
    said = "a row and its outbox row in one unit of work on SQLite, synchronous = full, 32 at once"
    return [
        Claim(f"{said}: units a second, against aiosqlite", speed["ours"] / speed["aiosqlite"], "times", ">= 3"),
        Claim(f"{said}: CPU a unit of aiosqlite, against ours", cpu["aiosqlite"] / cpu["ours"], "times", ""),
        Claim(f"{said}: ours", speed["ours"], "units/s", ""),
        Claim(f"{said}: aiosqlite", speed["aiosqlite"], "units/s", ""),
        Claim(f"{said}: ours, CPU", cpu["ours"], "us/unit", ""),
        Claim(f"{said}: aiosqlite, CPU", cpu["aiosqlite"], "us/unit", ""),
    ]


if __name__ == "__main__":
    tell(asyncio.run(main()))
