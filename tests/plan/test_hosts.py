"""One plan on two hosts, as far as one machine has two: two folders, two supervisors, and TLS between them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx2
import pytest

FILES = {
    "pair/app.py": """
        from enfilade.app import App
        from pair.menu.contract import Menu
        from pair.kitchen.contract import Kitchen

        app = App("Pair of hosts", services=[Menu, Kitchen])
    """,
    "pair/menu/contract.py": """
        from typing import Protocol
        from enfilade import Event, Problem, Stream, anyone, contract, query

        class Served(Event, key="name"):
            name: str

        class Unknown(Problem, status=404):
            name: str

        @contract(needs=anyone)
        class Menu(Protocol):
            @query("GET /dishes/{name}", raises=[Unknown])
            async def dish(self, name: str) -> str: ...

            @query("GET /dishes")
            def dishes(self) -> Stream[str]: ...
    """,
    "pair/menu/service.py": """
        from dataclasses import dataclass
        from typing import final
        from pair.kitchen.contract import Cooked
        from pair.menu.contract import Menu, Served, Unknown
        from enfilade import Stream
        from enfilade.service import Topic, atomic, on

        @final
        @dataclass
        class MenuService(Menu):
            served: Topic[Served]

            async def dish(self, name: str) -> str:
                if name != "soup":
                    raise Unknown(name=name)
                return name

            async def dishes(self) -> Stream[str]:
                for name in ("soup", "cake"):
                    yield name

            @on(Cooked)
            async def serve(self, event: Cooked) -> None:
                await self._say(event.name)

            @atomic
            async def _say(self, name: str) -> None:
                await self.served.publish(Served(name=name))
    """,
    "pair/kitchen/contract.py": """
        from typing import Protocol
        from pair.menu.contract import Unknown
        from enfilade import Event, anyone, command, contract, query

        class Cooked(Event, key="name"):
            name: str

        @contract(needs=anyone)
        class Kitchen(Protocol):
            @command("POST /orders", raises=[Unknown])
            async def cook(self, name: str) -> str: ...

            @query("GET /eaten")
            async def eaten(self) -> tuple[str, ...]: ...
    """,
    "pair/kitchen/service.py": """
        from dataclasses import dataclass
        from typing import final
        from pair.kitchen.contract import Cooked, Kitchen
        from pair.menu.contract import Menu, Served
        from enfilade.service import Key, Row, Table, Topic, atomic, on

        class Eaten(Row):
            id: Key[str]

        @final
        @dataclass
        class KitchenService(Kitchen):
            menu: Menu
            cooked: Topic[Cooked]
            rows: Table[Eaten]

            async def cook(self, name: str) -> str:
                dish = await self.menu.dish(name)
                await self._say(name)
                return dish

            async def eaten(self) -> tuple[str, ...]:
                return tuple(row.id for row in await self.rows.find())

            @atomic
            async def _say(self, name: str) -> None:
                await self.cooked.publish(Cooked(name=name))

            @on(Served)
            async def eat(self, event: Served) -> None:
                await self._note(event.name)

            @atomic
            async def _note(self, name: str) -> None:
                await self.rows.add(Eaten(id=name))
    """,
}
PLAN = """
    [pair]
    extends = "split"
    authority = "127.0.0.1:{authority}"
    [pair.process.menu]
    services = ["menu"]
    elsewhere = true
    listen = "127.0.0.1:{menu}"
    [pair.process.kitchen]
    services = ["kitchen"]
    listen = "127.0.0.1:{kitchen}"
"""
MISTAKES = """
    [far]
    extends = "split"
    [far.process.menu]
    services = ["menu"]
    elsewhere = true
    [far.process.front]
    front = true
    elsewhere = true
    listen = "1.2.3.4:5"

    [near]
    extends = "split"
    authority = "here"
    [near.process.menu]
    services = ["menu"]
    listen = "everywhere"
    [near.process.kitchen]
    services = ["kitchen"]
    elsewhere = true
    listen = "1.2.3.4:5"
    [near.store]
    data = "postgresql:"
"""
JOIN = "ENFILADE_JOIN"


def make(folder: Path, ports: dict[str, int]) -> Path:
    for name, text in {**FILES, "plan.toml": PLAN.format(**ports)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text))
    return folder


def clean(**more: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("ENFILADE_")}, **more}


def eventually(true: Callable[[], object], within: float = 60.0) -> bool:
    until = time.monotonic() + within
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@dataclass
class Host:
    """A supervisor at work."""

    folder: Path
    said: str
    lines: list[str] = field(default_factory=list[str])

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.said + path, timeout=60)

    def cook(self, name: str) -> httpx2.Response:
        return httpx2.post(f"{self.said}/orders", json={"name": name}, timeout=60)


@contextmanager
def running(folder: Path, *options: str, **variables: str) -> Generator[Host]:
    command = [sys.executable, "-m", "enfilade.cli", "run", "--plan", "pair", "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean(**variables)
    ) as supervisor:
        assert supervisor.stdout is not None
        host = Host(folder, "")
        reader = threading.Thread(target=lambda: host.lines.extend(supervisor.stderr or ()))
        reader.start()
        try:
            said = supervisor.stdout.readline()
            assert said.startswith("Ready: "), "".join(host.lines)
            host.said = said.removeprefix("Ready: ").strip()
            yield host
        finally:
            supervisor.terminate()
            supervisor.wait(30)
            reader.join(5)


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "enfilade.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, env=clean(**variables))


@pytest.fixture(scope="module")
def ports(unused_tcp_port_factory: Callable[[], int]) -> dict[str, int]:
    return {name: unused_tcp_port_factory() for name in ("authority", "menu", "kitchen")}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Iterator[Host]:
    with running(make(tmp_path_factory.mktemp("first"), ports)) as host:
        yield host


@pytest.fixture(scope="module")
def key(first: Host) -> str:
    return run(first.folder, "plan", "join", "pair", "menu").stdout.strip()


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Path:
    return make(tmp_path_factory.mktemp("second"), ports)


def test_calls_and_events_go_between_hosts(first: Host, second: Path, key: str) -> None:
    assert first.cook("soup").status_code == 503  # the other host is not there yet

    with running(second, "--only", "menu", **{JOIN: key}) as other:
        assert other.said == "menu"
        assert first.cook("soup").json() == "soup"
        assert first.cook("cake").json()["type"] == "/problems/menu/unknown"
        assert first.get("/dishes/soup").json() == "soup"
        assert first.get("/dishes").text.count("data:") == 2
        assert eventually(
            lambda: first.get("/eaten").json() == ["soup"]
        )  # said here, heard there, said there, heard here

    assert eventually(lambda: first.cook("soup").status_code == 503)
    with running(second, "--only", "menu", **{JOIN: key}):
        assert eventually(lambda: first.cook("soup").status_code == 200)


@pytest.mark.timeout(120)
def test_who_releases_asks_other_hosts_first(first: Host, second: Path, key: str, tmp_path: Path, ports: Any) -> None:
    code = make(tmp_path, ports)
    contract = code / "pair/kitchen/contract.py"
    contract.write_text(contract.read_text().replace("name: str\n\n@contract", "meal: str\n\n@contract"))
    service = code / "pair/kitchen/service.py"
    service.write_text(service.read_text().replace("Cooked(name=name)", "Cooked(meal=name)"))
    trial = ("--from", str(tmp_path), "--steps", "100", "--watch", "0s")

    silent = run(first.folder, "release", "kitchen", *trial)
    assert silent.returncode == 1
    assert "process menu: it is on another host" in silent.stderr
    assert "--without menu" in silent.stderr
    with running(second, "--only", "menu", **{JOIN: key}):
        assert eventually(lambda: first.cook("soup").status_code == 200)
        refused = run(first.folder, "release", "kitchen", *trial)
        assert (
            "menu (process menu) would break: the event kitchen.Cooked, which kitchen says: name is" in refused.stderr
        )
        same = run(second, "release", "menu", "--from", str(second), *trial[2:])
        assert same.returncode == 0, same.stderr
        assert "menu.2 is in force" in same.stdout
        assert first.cook("soup").status_code == 200
    assert "kitchen.2 is in force" in run(first.folder, "release", "kitchen", *trial, "--without", "menu").stdout
    assert run(first.folder, "rollback", "kitchen", "--without", "menu").returncode == 0


def test_keys_stay_where_they_were_made(first: Host, second: Path, key: str) -> None:
    with running(second, "--only", "menu", **{JOIN: key}):
        here, there = (folder / ".enfilade" for folder in (first.folder, second))

        assert (here / "authority.sealed").exists()
        assert not (there / "authority.sealed").exists()
        assert (there / "run/roots.crt").read_bytes() == (here / "run/roots.crt").read_bytes()
        assert (there / "run/menu.pem").read_bytes() != (here / "run/menu.pem").read_bytes()
        assert (there / "run/menu.pem").stat().st_mode & 0o777 == 0o600
        assert not (there / "run/kitchen.pem").exists()


def test_nobody_joins_without_a_key_for_that(first: Host, second: Path, key: str) -> None:
    other = run(first.folder, "plan", "join", "pair", "kitchen").stdout.strip()
    for file in (second / ".enfilade/run").glob("*.pem"):
        file.unlink()
    wrong = "menu:" + ("0" if key[-64] != "0" else "1") + key[-63:]

    for said, what in (
        ("", "would have certificates of another authority"),
        ("nonsense", "this is not what `enfilade plan join` says"),
        (other, "is for kitchen, and not for menu"),
        (wrong, "This is not the key for these processes"),
    ):
        refused = run(second, "run", "--plan", "pair", "--only", "menu", **({JOIN: said} if said else {}))
        assert refused.returncode == 1
        assert what in refused.stderr
    assert any("are asked for, without their key" in line for line in first.lines)
    assert not list((second / ".enfilade/run").glob("*.pem"))


def test_all_that_cannot_be_between_hosts_is_told(tmp_path: Path, ports: dict[str, int]) -> None:
    make(tmp_path, ports)
    (tmp_path / "plan.toml").write_text(dedent(MISTAKES))
    far, near = (run(tmp_path, "plan", "show", name).stderr for name in ("far", "near"))

    assert "menu runs elsewhere, and is not reached there" in far
    assert "menu runs elsewhere, and could get no certificate" in far
    assert "menu runs elsewhere and says events that kitchen hears" in far
    assert "front cannot run elsewhere" in far
    assert "front listens, and has no services" in far
    assert "menu cannot listen at 'everywhere'" in near
    assert "kitchen runs elsewhere and calls menu" not in near  # it listens, as it says
    assert "kitchen runs elsewhere and cannot reach 'postgresql:' of this host" in near
    assert "authority: 'here' is no address" in near


def test_only_processes_of_the_plan_can_be_named(tmp_path: Path, ports: dict[str, int]) -> None:
    make(tmp_path, ports)

    assert "has no process cellar" in run(tmp_path, "run", "--plan", "pair", "--only", "cellar").stderr
    assert "has no process cellar" in run(tmp_path, "plan", "join", "pair", "cellar").stderr
