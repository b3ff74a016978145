"""SQLite: one file a service, shared commits, other processes, and disks that fail."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from enfilade.clock import SystemClock
from enfilade.contract.marks import Key
from enfilade.errors import StartError
from enfilade.store import Entry, Row, Store, Table, atomic, open_store
from enfilade.store.engine import Statement
from enfilade.trace.recorder import Recorder

CLOCK = SystemClock()


class NoteRow(Row):
    id: Key[str]
    text: str = ""


class Notes:
    def __init__(self, store: Store) -> None:
        self.notes: Table[NoteRow] = store.table(NoteRow)
        self.database = store.database

    @atomic
    async def write(self, id: str, fail: bool = False) -> None:
        await self.notes.add(NoteRow(id=id))
        if fail:
            raise ZeroDivisionError

    @atomic
    async def many(self, count: int, text: str = "") -> None:
        await self.notes.put(*(NoteRow(id=str(at), text=text) for at in range(count)))


def opened(path: Path | str, **more: Any) -> Store:
    return open_store(f"sqlite:{path}", "shop", clock=CLOCK, recorder=Recorder(CLOCK), secret=b"s" * 32, **more)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    store = opened(tmp_path / "data" / "shop.db")
    await store.open()
    store.table(NoteRow)
    await store.migrate(apply=True)
    yield store
    await store.close()


async def test_each_service_has_a_file_of_its_own(tmp_path: Path) -> None:
    for service in ("orders", "stock"):
        url = f"sqlite:{tmp_path}/data/{{service}}.db"
        store = open_store(url, service, clock=CLOCK, recorder=Recorder(CLOCK), secret=b"s" * 32)
        await store.open()
        await store.close()

    assert sorted(file.name for file in (tmp_path / "data").iterdir()) == ["orders.db", "stock.db"]


@pytest.mark.parametrize("synchronous", ["full", "normal"])
async def test_what_a_power_cut_may_take_is_told(tmp_path: Path, synchronous: Any) -> None:
    store = opened(tmp_path / "shop.db", synchronous=synchronous)
    await store.open()

    async def told(pragma: str) -> Any:
        return (await store.home.engine.read(Statement(f"PRAGMA {pragma}"))).rows[0][0]

    assert await told("synchronous") == {"full": 2, "normal": 1}[synchronous]
    assert await told("journal_mode") == "wal"
    await store.close()


async def test_a_unit_that_fails_takes_no_other_of_its_commit_with_it(store: Store, calling: Any) -> None:
    notes = Notes(store)

    async def one(at: int) -> None:
        with calling(store):
            await notes.write(str(at), fail=at % 3 == 0)

    ends = await asyncio.gather(*(one(at) for at in range(60)), return_exceptions=True)

    assert {int(row.id) for row in await notes.notes.find()} == {at for at in range(60) if at % 3}
    assert sum(isinstance(end, ZeroDivisionError) for end in ends) == 20


async def test_a_unit_waits_for_another_process(store: Store, calling: Any) -> None:
    notes = Notes(store)
    other = sqlite3.connect(store.home.engine.where, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO note VALUES ('theirs', '', '')")

    async def write(id: str) -> None:
        with calling(store):
            await notes.write(id)

    writing = [asyncio.create_task(write(id)) for id in ("a", "b")]
    await asyncio.sleep(0.05)
    assert await notes.notes.count() == 0
    other.execute("COMMIT")
    other.close()
    await asyncio.gather(*writing)

    assert sorted(row.id for row in await notes.notes.find()) == ["a", "b", "theirs"]


async def test_a_full_disk_fails_the_unit_and_not_the_store(store: Store, calling: Any) -> None:
    notes = Notes(store)
    with calling(store):
        await notes.many(10)
    connection = store.home.engine._writer.connection  # type: ignore[attr-defined]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")

    async def one(at: int) -> None:
        with calling(store):
            await notes.many(20, "x" * 4000)

    ends = await asyncio.gather(*(one(at) for at in range(3)), return_exceptions=True)

    assert all(isinstance(end, sqlite3.OperationalError) and "full" in str(end) for end in ends)
    connection.execute("PRAGMA max_page_count = 100000")
    with calling(store):
        await notes.many(20, "x" * 4000)
    assert await notes.notes.count() == 20


async def test_what_a_full_disk_undid_at_a_commit_was_answered_to_nobody(store: Store, calling: Any) -> None:
    notes = Notes(store)
    with calling(store):
        await notes.many(10)
    connection = store.home.engine._writer.connection  # type: ignore[attr-defined]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    huge = Entry(id="huge", topic="shop.Said", source="shop", at=CLOCK.now(), body=b"x" * 100_000)

    async def small(at: int) -> None:
        with calling(store):
            await notes.write(f"small {at}")

    async def large() -> None:
        async with store.unit():
            await store.outbox.add(huge)  # it is written with the commit

    works = [small(0), small(1), large(), small(2)]
    ends = await asyncio.gather(*works, return_exceptions=True)

    connection.execute("PRAGMA max_page_count = 100000")
    stored = {row.id for row in await notes.notes.find()}
    assert isinstance(ends[2], sqlite3.OperationalError)
    assert {f"small {at}" for at, end in enumerate((ends[0], ends[1], ends[3])) if end is None} == {
        one for one in stored if one.startswith("small")
    }


async def test_long_reads_do_not_keep_units_waiting(store: Store, calling: Any) -> None:
    notes = Notes(store)
    long = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000000) select count(*) from n"
    reading = asyncio.create_task(notes.database.value(int, long))
    await asyncio.sleep(0)

    with calling(store):
        await notes.write("a")

    assert not reading.done()
    assert await reading == 3000000


async def test_the_loop_goes_on_while_much_is_written(store: Store, calling: Any) -> None:
    notes = Notes(store)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    with calling(store):
        await notes.many(3000)
    beating.cancel()

    assert beats > 10


def no_directory(path: Path) -> Path:
    path.write_text("a file where a directory should be")
    return path / "shop.db"


def no_database(path: Path) -> Path:
    path.write_bytes(b"this is no database" * 1000)
    return path


def damaged(path: Path) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE note (id TEXT PRIMARY KEY)")
    content = bytearray(path.read_bytes())
    content[100:4000] = os.urandom(3900)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("spoil", "remedy"), [(no_directory, "directory"), (no_database, "Restore"), (damaged, "Restore")]
)
async def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path: Path, spoil: Any, remedy: str) -> None:
    path = spoil(tmp_path / "shop")

    with pytest.raises(StartError) as refused:
        await opened(path).open()

    (finding,) = refused.value.findings
    assert finding.where == str(path)
    assert remedy in finding.remedy


async def test_a_url_that_names_no_place_is_one_clear_error() -> None:
    with pytest.raises(StartError, match="sqlite:PATH"):
        open_store("mysql://x", "shop", clock=CLOCK, recorder=Recorder(CLOCK), secret=b"s" * 32)


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """Kills a writing process and looks what is there: all that was answered, and each row with its event."""
    program = textwrap.dedent("""
        import asyncio, sys
        from datetime import UTC, datetime
        from enfilade.clock import SystemClock
        from enfilade.contract.marks import Key
        from enfilade.store import Entry, Row, open_store
        from enfilade.trace.recorder import Recorder

        class NoteRow(Row):
            id: Key[str]
            text: str = ""

        async def main():
            clock = SystemClock()
            store = open_store(sys.argv[1], "shop", clock=clock, recorder=Recorder(clock), secret=b"s" * 32)
            await store.open()
            notes = store.table(NoteRow)
            await store.migrate(apply=True)

            async def work(name):
                for at in range(100000):
                    id = f"{name}-{at}"
                    async with store.unit():
                        await notes.add(NoteRow(id=id))
                        await store.outbox.add(Entry(id=id, topic="t", source="shop", at=clock.now(), body=b""))
                    print(id, flush=True)

            tasks = [asyncio.create_task(asyncio.to_thread(lambda: None))]
            for name in "abcdefgh":
                tasks.append(asyncio.create_task(work(name)))
            await asyncio.gather(*tasks)

        asyncio.run(main())
    """)
    url = f"sqlite:{tmp_path}/shop.db"
    process = subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert process.stdout is not None
    answered = [process.stdout.readline().strip() for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    answered += process.stdout.read().split("\n")[:-1]
    process.wait()
    process.stdout.close()

    store = opened(tmp_path / "shop.db")
    await store.open()
    stored = {row.id for row in await store.table(NoteRow).find()}
    said = {one.id for one in await store.outbox.due(CLOCK.now(), limit=1000000)}
    await store.close()

    assert set(answered) <= stored
    assert said == stored
