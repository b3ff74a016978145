"""An inn as the processes of a plan, and guests who ask it all the time while its plan changes."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

from enfilade.cli import main

FILES = {
    "inn/app.py": """
        from enfilade.app import App
        from inn.hall.contract import Hall
        from inn.kitchen.contract import Kitchen

        app = App("inn", services=[Hall, Kitchen])
    """,
    "inn/kitchen/contract.py": """
        from typing import Protocol
        from enfilade import Event, Message, anyone, command, contract, query

        class Dish(Message):
            name: str
            version: str
            pid: int

        class Cooked(Event, key="name"):
            name: str

        @contract(needs=anyone)
        class Kitchen(Protocol):
            @query("GET /dishes/{name}")
            async def dish(self, name: str) -> Dish: ...

            @command("POST /dishes")
            async def cook(self, name: str) -> Dish: ...
    """,
    "inn/kitchen/service.py": """
        import os
        from dataclasses import dataclass
        from typing import final
        from enfilade.service import Key, Row, Table, Topic, atomic
        from inn.kitchen.contract import Cooked, Dish, Kitchen

        VERSION = "first"

        class Meal(Row):
            id: Key[str]

        @final
        @dataclass
        class KitchenService(Kitchen):
            meals: Table[Meal]
            cooked: Topic[Cooked]

            async def dish(self, name: str) -> Dish:
                return Dish(name=name, version=VERSION, pid=os.getpid())

            @atomic
            async def cook(self, name: str) -> Dish:
                await self.meals.add(Meal(id=name))
                await self.cooked.publish(Cooked(name=name))
                return Dish(name=name, version=VERSION, pid=os.getpid())
    """,
    "inn/hall/contract.py": """
        from typing import Protocol
        from enfilade import anyone, command, contract, query
        from inn.kitchen.contract import Dish

        @contract(needs=anyone)
        class Hall(Protocol):
            @query("GET /tables/{name}")
            async def look(self, name: str) -> Dish: ...

            @command("POST /tables")
            async def order(self, name: str) -> Dish: ...
    """,
    "inn/hall/service.py": """
        from dataclasses import dataclass
        from typing import final
        from enfilade.service import on
        from inn.hall.contract import Hall
        from inn.kitchen.contract import Cooked, Dish, Kitchen

        @final
        @dataclass
        class HallService(Hall):
            kitchen: Kitchen

            @on(Cooked)
            async def serve(self, event: Cooked) -> None: ...

            async def look(self, name: str) -> Dish:
                return await self.kitchen.dish(name)

            async def order(self, name: str) -> Dish:
                return await self.kitchen.cook(name)
    """,
    "enfilade.toml": "drain = 3.0\n",
    "plan.toml": """
        [split.store]
        data = { hall = "sqlite::memory:" }
        [rows]
        extends = "split"
        hung = 6.0
        [rows.store]
        data = "sqlite:{service}.db"
    """,
}


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ENFILADE_")}


@dataclass
class Asked:
    """What became of a request."""

    status: int
    version: str
    pid: int
    what: str


_numbers = itertools.count()
"""Of all that was ever asked: a key is used once."""


@dataclass
class Guests:
    """Clients that keep their connections and ask one request after the other."""

    port: int
    done: list[Asked] = field(default_factory=list[Asked])
    _stop: threading.Event = field(default_factory=threading.Event)

    def failed(self) -> list[Asked]:
        return [one for one in self.done if one.status != 200]

    def more(self, count: int = 20) -> list[Asked]:
        """So many further answers."""
        begun, until = len(self.done), time.monotonic() + 60
        while len(self.done) < begun + count:
            assert time.monotonic() < until, self.done[-3:]
            time.sleep(0.01)
        return self.done[begun:]

    def ask(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            while not self._stop.is_set():
                number = next(_numbers)
                if number % 2:
                    self._one(connection, "GET", f"/{'tables' if number % 4 == 1 else 'dishes'}/soup")
                else:
                    self._one(connection, "POST", f"/{'tables' if number % 4 else 'dishes'}", f"meal-{number}")
                time.sleep(0.02)

    def _one(self, connection: http.client.HTTPConnection, method: str, path: str, name: str = "") -> None:
        headers = {"content-type": "application/json", "idempotency-key": name} if name else {}
        try:
            connection.request(method, path, json.dumps({"name": name}) if name else None, headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException) as lost:
            connection.close()
            self.done.append(Asked(0, "", 0, f"{method} {path}: {lost!r}"))
            return
        self.done.append(
            Asked(answer.status, body.get("version", ""), body.get("pid", 0), f"{method} {path}: {body}")
        )  # fmt: skip

    @contextmanager
    def asking(self, clients: int = 2) -> Generator[Guests]:
        threads = [threading.Thread(target=self.ask) for _ in range(clients)]
        for one in threads:
            one.start()
        try:
            self.more()
            yield self
            self.more()
        finally:
            self._stop.set()
            for one in threads:
                one.join(30)


@dataclass
class Inn:
    """A folder with the inn, and the plan that runs there."""

    folder: Path
    port: int = 0
    pid: int = 0
    lines: list[str] = field(default_factory=list[str])

    def write(self, name: str, text: str, folder: Path | None = None) -> None:
        path = (folder or self.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))

    def version(self, name: str, change: Callable[[str, str], str] = lambda _, text: text) -> Path:
        """Another checkout beside it, in which the kitchen says that it is this version."""
        folder = self.folder.parent / name
        for path, text in FILES.items():
            self.write(path, change(path, dedent(text)).replace('"first"', f'"{name}"'), folder)
        return folder

    @contextmanager
    def running(self, plan: str, *more: str) -> Generator[Inn]:
        command = [sys.executable, "-m", "enfilade.cli", "run", "--plan", plan, "--port", "0", *more]
        with subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean()
        ) as supervisor:
            assert supervisor.stdout is not None
            reader = threading.Thread(target=lambda: self.lines.extend(supervisor.stderr or ()))
            reader.start()
            try:
                found = re.fullmatch(r"Ready: http://127\.0\.0\.1:(\d+)\n", supervisor.stdout.readline())
                assert found, "".join(self.lines)
                self.port, self.pid = int(found[1]), supervisor.pid
                yield self
            finally:
                supervisor.terminate()
                supervisor.wait(60)
                reader.join(5)

    def say(self, *arguments: str, code: int = 0) -> str:
        """What a command answers; here, for it to be quick."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            done = CliRunner().invoke(main, arguments)
        finally:
            os.chdir(before)
        if done.exit_code != code:
            pytest.fail("\n".join((done.output, repr(done.exception), *self.lines[-40:])))
        return done.output

    def until(self, true: Callable[[], object]) -> bool:
        """Waits for something that other processes bring about."""
        until = time.monotonic() + 60
        while not true():
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def guests(self) -> Guests:
        return Guests(self.port)


@contextmanager
def built() -> Generator[Inn]:
    with tempfile.TemporaryDirectory(prefix="inn-") as folder:  # short: sockets are named by it
        made = Inn(Path(folder) / "inn")
        for name, text in FILES.items():
            made.write(name, text)
        yield made


@pytest.fixture
def inn() -> Generator[Inn]:
    """An inn that nobody runs yet."""
    with built() as made:
        yield made


@pytest.fixture(scope="module")
def fresh() -> Callable[[], AbstractContextManager[Inn]]:
    """Inns that nobody runs yet, for several tests."""
    return built


@pytest.fixture(scope="module")
def split() -> Generator[Inn]:
    """One whose services are a process each."""
    with built() as made, made.running("split"):
        yield made
