"""What an app does when its databases are not what its rows say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

import pytest

from enfilade import App, contract, peers, query
from enfilade.config import Config
from enfilade.errors import StartError
from enfilade.service import Key, Row, Table


@contract(needs=peers)
class Shelves(Protocol):
    @query()
    async def labels(self) -> tuple[str, ...]: ...


class ShelfRow(Row):
    id: Key[str]


class LabelRow(Row):
    id: Key[str]


@final
@dataclass
class WithLabels(Shelves):
    shelves: Table[ShelfRow]
    kept: Table[LabelRow]

    async def labels(self) -> tuple[str, ...]:
        return tuple(row.id for row in await self.kept.find())


@final
@dataclass
class WithoutLabels(Shelves):
    shelves: Table[ShelfRow]

    async def labels(self) -> tuple[str, ...]:
        return ()


async def start(service: type[Shelves], folder: Path, *, development: bool = True) -> None:
    config = Config(
        development=development,
        folder=str(folder),
        secret="what nobody guesses, at all costs",
        data=f"sqlite:{folder}/{{service}}.db",
    )
    app = App("shelves", services=[Shelves], config=config)
    app.service(Shelves).by(service)
    async with app.running():
        pass


async def test_outside_development_an_app_does_not_start_before_its_tables_are_there(tmp_path: Path) -> None:
    with pytest.raises(StartError) as refused:
        await start(WithLabels, tmp_path, development=False)

    assert "create table label" in str(refused.value)
    assert "Run `enfilade migrate`" in str(refused.value)


@pytest.mark.parametrize("development", [True, False])
async def test_a_table_that_nobody_describes_any_more_keeps_no_app_from_starting(
    tmp_path: Path, development: bool
) -> None:
    await start(WithLabels, tmp_path)

    await start(WithoutLabels, tmp_path, development=development)
