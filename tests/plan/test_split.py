"""An app as several processes: the same answers, each process with its own services only, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import httpx2
import psutil
import pytest

from enfilade.trace.file import read_traces

FILES = {
    "duo/app.py": """
        from enfilade.app import App
        from duo.menu.contract import Menu
        from duo.kitchen.contract import Kitchen

        app = App("duo", services=[Menu, Kitchen])
    """,
    "duo/menu/contract.py": """
        from typing import Protocol
        from enfilade import Event, Message, Problem, anyone, contract, query

        class Dish(Message):
            name: str
            price: int

        class Unknown(Problem, status=404):
            name: str

        @contract(needs=anyone)
        class Menu(Protocol):
            @query("GET /dishes/{name}", raises=[Unknown])
            async def dish(self, name: str) -> Dish: ...

            @query("GET /served")
            async def served(self) -> tuple[str, ...]: ...

            @query("GET /menu-process")
            async def process(self) -> tuple[str, ...]: ...
    """,
    "duo/menu/service.py": """
        import os, sys
        from dataclasses import dataclass
        from typing import final
        from duo.kitchen.contract import Cooked
        from duo.menu.contract import Dish, Menu, Unknown
        from enfilade.service import Key, Row, Settings, Table, atomic, on

        class MenuSettings(Settings):
            price: int = 3

        class Served(Row):
            id: Key[str]

        @final
        @dataclass
        class MenuService(Menu):
            settings: MenuSettings
            rows: Table[Served]

            async def dish(self, name: str) -> Dish:
                if name != "soup":
                    raise Unknown(name=name)
                return Dish(name=name, price=self.settings.price)

            async def served(self) -> tuple[str, ...]:
                return tuple(row.id for row in await self.rows.find())

            async def process(self) -> tuple[str, ...]:
                return (str(os.getpid()), *sorted(name for name in sys.modules if name.endswith(".service")))

            @on(Cooked)
            async def note(self, event: Cooked) -> None:
                await self._note(event.name)

            @atomic
            async def _note(self, name: str) -> None:
                await self.rows.add(Served(id=name))
    """,
    "duo/kitchen/contract.py": """
        from typing import Protocol
        from duo.menu.contract import Dish, Unknown
        from enfilade import Event, anyone, command, contract

        class Cooked(Event, key="name"):
            name: str

        @contract(needs=anyone)
        class Kitchen(Protocol):
            @command("POST /orders", raises=[Unknown])
            async def cook(self, name: str) -> Dish: ...
    """,
    "duo/kitchen/service.py": """
        from dataclasses import dataclass
        from typing import final
        from duo.kitchen.contract import Cooked, Kitchen
        from duo.menu.contract import Dish, Menu
        from enfilade.service import Topic, atomic

        @final
        @dataclass
        class KitchenService(Kitchen):
            menu: Menu
            cooked: Topic[Cooked]

            async def cook(self, name: str) -> Dish:
                dish = await self.menu.dish(name)
                await self._say(name)
                return dish

            @atomic
            async def _say(self, name: str) -> None:
                await self.cooked.publish(Cooked(name=name))
    """,
    "plan.toml": """
        [split.service.menu]
        price = 5

        [base]
        extends = "split"
        [base.process.menu]
        replicas = 2
        [base.store]
        data = "postgresql:"
        events = "nats:"

        [wrong.process.all]
        services = "*"
        [wrong.service.menu]
        price = "much"
        [wrong.store]
        data = { "*" = "sqlite:one.db" }
    """,
}


def make(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text))
    return folder


@dataclass
class Shape:
    """A plan at work."""

    url: str
    supervisor: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list[str])

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.supervisor.pid).children(recursive=True)

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=60)

    def cook(self, name: str) -> httpx2.Response:
        return httpx2.post(f"{self.url}/orders", json={"name": name}, timeout=60)

    def process(self) -> list[str]:
        return self.get("/menu-process").json()


@contextmanager
def running(folder: Path, plan: str) -> Generator[Shape]:
    command = [sys.executable, "-m", "enfilade.cli", "run", "--plan", plan, "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean()
    ) as supervisor:
        assert supervisor.stdout is not None
        shape = Shape("", supervisor)
        reader = threading.Thread(target=lambda: shape.lines.extend(supervisor.stderr or ()))
        reader.start()
        try:
            said = supervisor.stdout.readline()
            found = re.fullmatch(r"Ready: (http://127\.0\.0\.1:\d+)\n", said)
            assert found, "".join(shape.lines)
            shape.url = found[1]
            yield shape
        finally:
            supervisor.terminate()
            supervisor.wait(30)
            reader.join(5)


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ENFILADE_")}


def eventually(true: Callable[[], object], within: float = 60.0) -> bool:
    until = time.monotonic() + within
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shape]:
    with running(make(tmp_path_factory.mktemp("duo")), "split") as shape:
        yield shape


def test_a_call_goes_on_in_another_process_and_its_problems_come_back(split: Shape) -> None:
    assert split.cook("soup").json() == {"name": "soup", "price": 5}
    refused = split.cook("cake")
    assert refused.status_code == 404
    assert refused.json()["type"] == "/problems/menu/unknown"
    assert refused.json()["name"] == "cake"


def test_an_event_is_heard_in_another_process(split: Shape) -> None:
    split.cook("soup")

    assert eventually(lambda: split.get("/served").json() == ["soup"])


def test_a_process_imports_its_own_services_only(split: Shape) -> None:
    pid, *services = split.process()

    assert services == ["duo.menu.service", "enfilade.service"]
    assert int(pid) in {one.pid for one in split.family()}


def test_the_logs_of_all_are_one_stream(split: Shape) -> None:
    split.cook("soup")

    assert eventually(lambda: any(line.startswith("kitchen | ") and '"kitchen.cook"' in line for line in split.lines))
    assert [line for line in split.lines if line.startswith("front ")]


def test_a_trace_says_in_which_process_each_part_of_it_was(split: Shape) -> None:
    folder = Path(psutil.Process(split.supervisor.pid).cwd()) / ".enfilade/traces"
    trace = split.cook("soup").headers["trace-id"]

    def homes() -> dict[str, set[str]]:
        spans = [span for one in read_traces(folder) if one.id == trace for span in one.spans]
        return {name: {span.process for span in spans if span.name == name} for name in ("kitchen.cook", "menu.dish")}

    assert eventually(lambda: homes() == {"kitchen.cook": {"front", "kitchen"}, "menu.dish": {"kitchen", "menu"}})


def test_one_that_is_killed_comes_back_and_what_was_said_meanwhile_is_heard(split: Shape) -> None:
    pid = int(split.process()[0])
    os.kill(pid, signal.SIGKILL)

    assert eventually(lambda: split.cook("soup").status_code == 200)
    assert int(split.process()[0]) != pid
    assert any("menu was ended by SIGKILL; it is started again in" in line for line in split.lines)


def test_a_second_supervisor_of_the_same_folder_is_refused(split: Shape) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "enfilade.cli", "run", "--plan", "split", "--port", "0"],
        cwd=psutil.Process(split.supervisor.pid).cwd(), capture_output=True, text=True, timeout=60, env=clean(),
    )  # fmt: skip

    assert refused.returncode == 1
    assert f"another supervisor works in .enfilade/run (process {split.supervisor.pid})" in refused.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_none_is_left(tmp_path: Path, how: signal.Signals) -> None:
    with running(make(tmp_path), "split") as shape:
        family = shape.family()
        shape.supervisor.send_signal(how)

        assert shape.supervisor.wait(30) == (0 if how == signal.SIGINT else -9)
        assert eventually(lambda: not any(one.is_running() for one in family))
        assert len(family) == (4 if sys.platform == "linux" else 3)  # the nursery is one more


def test_database_and_broker_are_the_plans_own_and_replicas_share_them(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="enfilade-") as folder:
        Path(folder).chmod(0o711)  # where we are root, the database is somebody else
        (make(tmp_path) / "enfilade.toml").write_text(f'folder = "{folder}"')
        with running(tmp_path, "base") as shape:
            assert shape.cook("soup").status_code == 200
            assert eventually(lambda: shape.get("/served").json() == ["soup"])
            assert not (Path(folder) / "data").exists()
            assert {"postgres", "nats-server"} < {one.name() for one in shape.family()}
            assert len({shape.process()[0] for _ in range(20)}) == 2


def told(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "enfilade.cli", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=clean())
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_a_plan_is_told_all_that_is_wrong_with_it(tmp_path: Path) -> None:
    text = told(make(tmp_path), "run", "--plan", "wrong")

    assert "menu and kitchen would share the database file" in text
    assert "plan.toml [wrong.service.menu]: Expected `int`, got `str` - at `$.price`" in text


def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = told(make(tmp_path), "run", "--plan", "split", "--port", str(taken.getsockname()[1]))

    assert "is taken: another program listens there" in text
    assert "is ready" not in text


def test_a_missing_binary_is_told_before_anything_starts(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder / "plan.toml").write_text('[split.store]\ndata = "postgresql:/nowhere/bin"')

    text = told(folder, "run", "--plan", "split")

    assert "/nowhere/bin is no program" in text
    assert "is ready" not in text
