"""Encrypted fields in an app: sealed for one tenant, under data keys that come from its secrets and rotate."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner

from enfilade import anyone, command, contract, query
from enfilade.cli import main
from enfilade.config import Config
from enfilade.errors import StartError
from enfilade.secrets.seal import DATA_KEY, DataKeys, Unsealable, next_key
from enfilade.service import Encrypted, Key, Row, Table, atomic
from enfilade.testing import Bench

OLD = next_key("")
BOTH = next_key(OLD)


class NoteRow(Row):
    id: Key[str]
    text: Encrypted[str]


@contract(needs=anyone)
class Diary(Protocol):
    @command("PUT /notes/{id}")
    async def write(self, id: str, text: str) -> None: ...

    @query("GET /notes/{id}")
    async def read(self, id: str) -> str: ...


@dataclass
class DiaryService(Diary):
    notes: Table[NoteRow]

    @atomic
    async def write(self, id: str, text: str) -> None:
        await self.notes.put(NoteRow(id=id, text=text))

    async def read(self, id: str) -> str:
        row = await self.notes.get(id)
        return row.text if row is not None else "none"


def bench(folder: Path, key: str = "") -> Bench:
    made = Bench(DiaryService, config=Config(data=f"sqlite:{folder}/{{service}}.db", secret="s" * 32))
    return made.secret(DATA_KEY, key) if key else made


def file(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in folder.iterdir())


async def test_what_a_service_stores_is_not_in_its_file(tmp_path: Path) -> None:
    async with bench(tmp_path, OLD) as stage:
        diary = stage.nobody.of(Diary)
        await diary.write("1", "a canary in the diary")
        assert await diary.read("1") == "a canary in the diary"

    assert b"canary" not in file(tmp_path)


async def test_without_a_data_key_development_makes_one_of_the_apps_secret(tmp_path: Path) -> None:
    for _ in range(2):
        async with bench(tmp_path) as stage:
            if await stage.nobody.of(Diary).read("1") == "none":
                await stage.nobody.of(Diary).write("1", "a canary in the diary")
            assert await stage.nobody.of(Diary).read("1") == "a canary in the diary"

    assert b"canary" not in file(tmp_path)


async def test_a_data_key_that_is_none_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="enfilade/data-key"):
        async with bench(tmp_path, "nonsense"):
            pass


async def test_a_value_of_another_tenant_is_not_read_where_it_was_put(tmp_path: Path) -> None:
    async with bench(tmp_path, OLD) as stage:
        first, second = (stage.acting("ann", tenant=name).of(Diary) for name in ("t1", "t2"))
        await first.write("1", "of the first tenant")
        await second.write("1", "of the second tenant")
        with closing(sqlite3.connect(tmp_path / "diary.db")) as connection:
            connection.execute("UPDATE note SET text = (SELECT text FROM note WHERE tenant = 't1') WHERE tenant = 't2'")
            connection.commit()

        assert await first.read("1") == "of the first tenant"
        with pytest.raises(Unsealable, match="another tenant"):
            await second.read("1")


APP = """
from dataclasses import dataclass
from typing import Any, Protocol
from enfilade import App, anyone, command, contract, query
from enfilade.service import Encrypted, Key, Row, Table, atomic

class NoteRow(Row):
    id: Key[str]
    text: Encrypted[str]

@contract(needs=anyone)
class Diary(Protocol):
    @command("PUT /notes/{id}")
    async def write(self, id: str, text: str) -> None: ...

@dataclass
class DiaryService(Diary):
    notes: Table[NoteRow]
    @atomic
    async def write(self, id: str, text: str) -> None:
        await self.notes.put(NoteRow(id=id, text=text))

app = App("diaries", services=[Diary])
app.service(Diary).by(DiaryService)
"""


def test_the_command_wraps_what_older_versions_wrapped(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "diaries.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ENFILADE_SECRET_ENFILADE_DATA_KEY", OLD)
    module = importlib.import_module("diaries")

    async def write() -> None:
        async with module.app.running():
            await module.app.get(module.Diary).write("1", "a canary in the diary")

    asyncio.run(write())

    def run() -> tuple[int, str]:
        done = CliRunner().invoke(main, ["secrets", "rewrap", "diaries:app"])
        return done.exit_code, done.output

    monkeypatch.setenv("ENFILADE_SECRET_ENFILADE_DATA_KEY", BOTH.split()[1])
    lost = run()
    monkeypatch.setenv("ENFILADE_SECRET_ENFILADE_DATA_KEY", BOTH)

    assert lost[0] == 1
    assert "no version 1" in lost[1]
    assert run() == (0, "diary: 1 value wrapped anew\n")
    assert run() == (0, "diary: 0 values wrapped anew\n")


async def test_a_new_version_is_read_with_at_once_and_written_with_later(tmp_path: Path) -> None:
    async with bench(tmp_path, OLD) as stage:
        supplies, keys = stage.running.supplies, DataKeys(OLD)
        following = asyncio.create_task(supplies.follow(keys))
        await asyncio.sleep(0)
        stage.secret(DATA_KEY, BOTH)
        await stage.clock.advance(20)
        early = keys.newest
        elsewhere = DataKeys(BOTH).seal(b"written by another process", b"here")
        assert keys.open(elsewhere, b"here") == b"written by another process"
        await stage.clock.advance(130)
        following.cancel()

    assert (early, keys.newest) == (1, 2)
