"""The shop with stand-ins for what is outside: in process on a clock that stands still, and on a socket."""

from __future__ import annotations

import asyncio
import copy
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from enfilade import App
from enfilade.cli.serve import serving
from enfilade.config import Config
from enfilade.testing import Stage
from shop.access import stage as with_stand_ins
from shop.app import app as shop_app
from shop.carrier.contract import Carrier
from shop.fakes import FakeCarrier, FakeMail, FakePsp
from shop.mail.contract import Mail
from shop.psp.contract import Psp


class Got(NamedTuple):
    """An answer as it came over a socket; status 0 where there was none."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)


class Wired:
    """An app on a port, asked with bytes as they stand."""

    def __init__(self, app: App, url: str) -> None:
        self.app = app
        self.url = url

    async def send(self, data: bytes, method: str = "GET") -> Got:
        """What is first answered to these bytes, on a connection of their own."""
        return await asyncio.to_thread(self._send, data, method)

    async def ask(self, method: str, path: str, body: Any = None, /, **fields: object) -> Got:
        """The answer to a request; the path goes out as it stands, and in names of fields `_` is `-`."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        said: dict[str, object] = {"host": "app.test", "connection": "close"}
        if body is not None:
            said |= {"content_type": "application/json", "content_length": len(data)}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in (said | fields).items()]
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("utf-8")
        return await self.send(head + data, method)

    def signed(self, subject: str, **said: Any) -> dict[str, object]:
        """The field of a caller with a good token."""
        running = self.app.running_now
        assert running is not None
        assert running.supplies.tokens is not None
        return {"authorization": f"Bearer {running.supplies.tokens.issue(subject, **said)}"}

    def _send(self, data: bytes, method: str) -> Got:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), 20) as connection:
            connection.sendall(data)
            got = HTTPResponse(connection, method=method)
            try:
                got.begin()
            except (ConnectionError, OSError):
                return Got(0, {}, b"")
            return Got(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())


@asynccontextmanager
async def _wire(app: App, folder: Path, **said: Any) -> AsyncGenerator[Wired]:
    made = copy.copy(app)
    made.config = Config(folder=str(folder / ".enfilade"))
    if not said.get("development", True):
        async with made.running():  # which makes the tables, as `enfilade migrate` would
            pass
    made.config = Config(folder=str(folder / ".enfilade"), **said)
    async with serving(made, port=0) as url:
        yield Wired(made, url)


@pytest.fixture
def wire() -> Any:
    """`async with wire(app, folder) as wired`, with settings by their names."""
    return _wire


def _shop() -> App:
    made = copy.copy(shop_app)
    made.builders = {Psp: FakePsp, Carrier: FakeCarrier, Mail: FakeMail}
    return made


@pytest.fixture
async def shop() -> AsyncIterator[Stage]:
    """The shop in process."""
    async with with_stand_ins(shop_app) as stage:
        yield stage


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Wired]:
    """The shop on a socket."""
    async with _wire(_shop(), tmp_path) as wired:
        yield wired
