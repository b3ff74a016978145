"""Apps as they run: a process of their own, its socket, its log, and its rows seen from outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import psutil
import pytest

from enfilade.clock import SystemClock
from enfilade.identity import DevelopmentIssuer, Tokens

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
LEAKS = re.compile(r"Traceback|\.py\b|site-packages|File \"|enfilade\.|Error\(|0x[0-9a-f]{6}")
"""What no answer may show: where and in what it was made."""


class Answer:
    """An answer as it came over a socket; `closed` where nothing can be asked after it."""

    def __init__(self, connection: socket.socket, method: str = "") -> None:
        got = HTTPResponse(connection, method=method)
        got.begin()
        self.status = got.status
        self.headers = {name.lower(): value for name, value in got.getheaders()}
        self.body = got.read()
        self.closed = got.will_close

    def json(self) -> Any:
        return json.loads(self.body)

    def good(self) -> Any:
        assert self.status < 300, self.body
        return self.json() if self.body else None

    def refused(self, status: int, type: str = "") -> dict[str, Any]:
        """The problem document, which says all that one must, and nothing that it must not."""
        text = self.body.decode()
        assert self.status == status, text
        assert self.headers["content-type"] == "application/problem+json"
        document = json.loads(text)
        assert document["status"] == status
        assert document["title"]
        assert re.fullmatch("[0-9a-f]{32}", document["trace_id"])
        assert self.headers["trace-id"] == document["trace_id"]
        assert document["type"].startswith("/problems/")
        assert not type or document["type"] == f"/problems/{type}"
        assert not LEAKS.search(text), text
        return document


class Served:
    """An app that `enfilade run` serves."""

    def __init__(self, url: str, folder: Path, name: str, process: int) -> None:
        self.url = url
        self.folder = folder
        self.port = int(url.rpartition(":")[2])
        self.process = psutil.Process(process)
        self.tokens = Tokens(DevelopmentIssuer(folder / ".enfilade", name), SystemClock())

    def signed(self, subject: str, **said: Any) -> dict[str, str]:
        """The header of a caller with a good token."""
        return {"authorization": f"Bearer {self.tokens.issue(subject, **said)}"}

    @staticmethod
    def head(method: str, path: str, **fields: object) -> bytes:
        """The head of a request; field names with `_` for `-`."""
        lines = [f"{method} {path} HTTP/1.1", "host: app.test"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def connect(self, timeout: float = 30) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    answer = Answer

    def send(self, *pieces: bytes, method: str = "") -> Answer:
        """What is answered to these very bytes, on a connection of their own. It may be before all were taken."""
        with self.connect() as connection:
            with suppress(ConnectionError):
                for piece in pieces:
                    connection.sendall(piece)
            return Answer(connection, method)

    def ask(self, method: str, path: str, body: Any = None, **fields: object) -> Answer:
        """What is answered to a request; a body that is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if body is not None:
            fields = {"content_type": "application/json", "content_length": len(data), **fields}
        return self.send(self.head(method, path, **fields), data, method=method)

    def rows(self, *services: str) -> dict[str, list[Any]]:
        """Every row of every table of some services, or of all: what they really kept, the platform's own included."""
        found: dict[str, list[Any]] = {}
        for file in sorted((self.folder / ".enfilade" / "data").glob("*.db")):
            if services and file.stem not in services:
                continue
            database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
            try:
                for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                    found[f"{file.stem}.{table}"] = sorted(database.execute(f'SELECT * FROM "{table}"'), key=repr)
            finally:
                database.close()
        return found

    def memory(self) -> float:
        """MB that it has resident."""
        return self.process.memory_info().rss / 1024**2


@contextmanager
def served(folder: Path, target: str, path: Path, environ: Mapping[str, str]) -> Iterator[Served]:
    """The app in a process of its own, with its files in a folder of the test's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ENFILADE_")}
    env |= {"PYTHONPATH": str(path), "PYTHONUNBUFFERED": "1", **environ}
    command = [sys.executable, "-m", "enfilade.cli", "run", target, "--port", "0"]
    log = folder / "log"
    with (
        log.open("w") as complaints,
        subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=complaints, text=True) as process,
    ):
        ready = process.stdout.readline()
        assert ready.startswith("Ready: http://"), log.read_text("utf-8")
        try:
            yield Served(ready.split()[1], folder, target.partition(".")[0], process.pid)
        finally:
            process.terminate()
            process.communicate(timeout=30)
    # Whatever was sent to it, it was no bug: a bug is logged with its trace.
    said = log.read_text("utf-8")
    bugs = [said[max(0, at.start() - 400) : at.start() + 4000] for at in re.finditer("Traceback| ERROR ", said)]
    assert not bugs, bugs[0]
    assert process.returncode == 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The shop as it is, behind a proxy that says who asks: so one machine can be many callers."""
    command = [sys.executable, "-m", "shop.outside", "0"]
    with subprocess.Popen(command, cwd=EXAMPLES, stdout=subprocess.PIPE, text=True) as outside:
        url = outside.stdout.readline().strip()
        environ = {f"ENFILADE_SERVICE__{name.upper()}__AT": f"{url}/{name}" for name in ("psp", "carrier", "mail")}
        environ["FORWARDED_ALLOW_IPS"] = "127.0.0.1"
        folder = tmp_path_factory.mktemp("shop")
        shutil.copy(EXAMPLES / "shop" / "enfilade.toml", folder)
        try:
            with served(folder, "shop.app:app", EXAMPLES, environ) as shop:
                yield shop
        finally:
            outside.terminate()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app with what the shop has not: files, streams, whole bodies, versions, and little patience."""
    with served(tmp_path_factory.mktemp("desk"), "desk.app:app", HERE, {}) as desk:
        yield desk
