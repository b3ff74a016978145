"""`enfilade test --parity`: the tests of a project in every shape, and what differs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = '''
"""Tests of a service that greets."""

from dataclasses import dataclass
from typing import Protocol, final

import pytest

from enfilade import anyone, contract, query
from enfilade.testing import Bench


@contract(needs=anyone)
class Greeter(Protocol):
    @query("GET /greetings/{name}")
    async def greet(self, name: str) -> str: ...


@final
@dataclass
class GreeterService(Greeter):
    async def greet(self, name: str) -> str:
        return f"Hello, {name}."


async def test_ann_is_greeted() -> None:
    async with Bench(GreeterService) as bench:
        assert await bench.nobody.of(Greeter).greet("Ann") == "Hello, Ann."


async def test_the_inside_is_looked_at() -> None:
    async with Bench(GreeterService) as bench:
        assert bench.running.stores == {}


async def test_the_inside_is_looked_at_in_one_process_only() -> None:
    async with Bench(GreeterService, shape="codec") as bench:
        assert bench.running.stores == {}


def test_what_has_no_stage_is_not_asked_twice(tmp_path) -> None:
    assert True
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "test_greeter.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\naddopts = -q -p pytest_asyncio.plugin -p enfilade.cli.plugin\n"
    )
    return tmp_path


def ran(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("ENFILADE_", "PYTEST_"))}
    plain["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # plugins of others take longer than all the rest
    return subprocess.run(
        [sys.executable, "-m", "enfilade.cli", "test", *arguments],
        cwd=folder, env={**plain, **environ}, capture_output=True, text=True,
    )  # fmt: skip


def test_what_differs_is_told_by_test_and_shape_and_counted(project: Path) -> None:
    done = ran(project, "--parity")

    *_, name, plain, codec, rpc, split, figure = done.stdout.splitlines()
    assert (name, figure) == ("test_greeter.py::test_the_inside_is_looked_at", "parity: 2/3")
    assert [plain.split(), codec.split()] == [["plain", "passed"], ["codec", "passed"]]
    assert all("failed" in one and "ask by stage.rows" in one for one in (rpc, split))
    assert done.returncode == 1


def test_one_shape_is_said_to_the_command_or_to_pytest_itself(project: Path) -> None:
    command = ran(project, "--shape", "rpc", "-k", "inside_is_looked_at")
    itself = ran(project, "-k", "inside_is_looked_at", "--", "--shape=rpc")

    for done in (command, itself):
        assert done.returncode == 1
        assert "in the shape rpc there are several" in done.stdout
        assert "1 failed, 1 passed" in done.stdout


def test_no_test_with_a_stage_is_no_parity(project: Path) -> None:
    told = ran(project, "--parity", "-k", "no_stage")
    as_json = ran(project, "--parity", "--json", "-k", "no_stage")

    said = ["No test has a Stage or a Bench: see docs/testing.md.", "parity: 0/0"]
    assert (told.stdout.splitlines()[-2:], told.returncode) == (said, 1)
    assert (json.loads(as_json.stdout), as_json.returncode) == ({"parity": "0/0", "tests": {}}, 1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--shape", "round"], "shape='round' is no shape of a test: say one of plain, codec, rpc, split."),
        (["--", "--shape=round"], "--shape: shape='round' is no shape of a test"),
        (["--parity", "nowhere.py"], "file or directory not found: nowhere.py"),
    ],
)
def test_what_cannot_be_is_said(project: Path, arguments: list[str], complaint: str) -> None:
    done = ran(project, *arguments)

    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, 4)


def test_without_pytest_it_is_said_how_to_get_it(project: Path) -> None:
    hidden = "import sys; sys.modules['pytest'] = None; from enfilade.cli import main; main(['test'])"
    done = subprocess.run([sys.executable, "-c", hidden], cwd=project, capture_output=True, text=True)

    assert "pip install pytest pytest-asyncio" in done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
