"""`enfilade audit verify`, on what a running app wrote."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol, final

import pytest

from enfilade import App, anyone, command, contract
from enfilade.config import AuditConfig, Config
from enfilade.errors import StartError


@contract(needs=anyone)
class Notes(Protocol):
    @command("PUT /notes/{id}")
    async def note(self, id: str) -> None: ...


@final
class NotesService(Notes):
    async def note(self, id: str) -> None: ...


async def run(config: Config, *ids: str) -> None:
    app = App("notes", services=[Notes], config=config)
    app.service(Notes).by(NotesService)
    async with app.running():
        for id in ids:
            await app.get(Notes).note(id)


@pytest.fixture
def folder(project: Any) -> Any:
    """That of a project whose app ran twice."""
    for ids in (("a", "b"), ("c",)):
        asyncio.run(run(Config(data="sqlite::memory:"), *ids))
    return project.folder / ".enfilade/audit"


def test_what_an_app_wrote_is_whole(project: Any, folder: Any) -> None:
    result = project.run("audit", "verify")

    assert (result.exit_code, result.output) == (0, "Whole: 5 lines in 2 files.\n")
    lines = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    # (two files of one second have no order)
    assert sorted(line["parameters"]["id"] for line in lines if "operation" in line) == ["a", "b", "c"]


def test_what_was_changed_is_told_with_its_line_and_fails(project: Any, folder: Any) -> None:
    path = min(folder.glob("*.jsonl"), key=lambda one: -one.stat().st_size)
    path.write_bytes(path.read_bytes().replace(b'"id":"b"', b'"id":"x"'))

    result = project.run("audit", "verify")
    assert result.exit_code == 1
    assert f"{path.name}:3: changed: The line is not the one" in result.output
    told = json.loads(project.run("audit", "verify", "--json").output)
    assert [(one["where"], one["rule"]) for one in told["findings"]] == [(f"{path.name}:3", "changed")]


def test_another_secret_proves_nothing(project: Any, folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENFILADE_SECRET", "x" * 32)

    assert "foreign" in project.run("audit", "verify", str(folder)).output


def test_no_audit_is_no_proof(project: Any) -> None:
    result = project.run("audit", "verify")

    assert result.exit_code == 1
    assert "No audit" in result.output


def test_an_audit_that_cannot_be_written_stops_the_start(project: Any) -> None:
    (project.folder / ".enfilade").mkdir()
    (project.folder / ".enfilade/audit").touch()

    with pytest.raises(StartError, match=r"\[audit\]: it cannot be written"):
        asyncio.run(run(Config(data="sqlite::memory:")))
    asyncio.run(run(Config(data="sqlite::memory:", audit=AuditConfig(file=False)), "a"))
