"""The shop as processes of a plan, each of which can be killed or made to hang."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from enfilade.clock import SystemClock
from enfilade.identity import DevelopmentIssuer, Tokens
from shop.front import log_in

EXAMPLES = Path(__file__).parents[2] / "examples"
OUTSIDE = ("psp", "carrier", "mail")


@dataclass
class Shape:
    """A plan of the shop at work."""

    url: str
    folder: Path
    supervisor: psutil.Process
    lines: list[str] = field(default_factory=list[str])
    """What its processes wrote."""

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """What every process knows of each service: where it is, and what it calls."""
        told = json.loads((self.folder / ".enfilade/run/plan.json").read_text())
        return told["plan"]["services"]

    def process_of(self, service: str) -> str:
        return self.services[service]["process"] or "outside"

    def process(self, name: str) -> psutil.Process:
        """A process of the plan: of ours the one that listens at its socket."""
        if name == "outside":
            own = [one for one in self.supervisor.children(recursive=True) if "shop.outside" in one.cmdline()]
            return next(one for one in own if not any("leash.py" in word for word in one.cmdline()))
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self.folder / f".enfilade/run/{name}.sock"))
            said = asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return psutil.Process(struct.unpack("3i", said)[0])

    @contextmanager
    def killed(self, name: str) -> Generator[None]:
        """Inside, the process is dead: its supervisor is stopped meanwhile, and cannot start it again."""
        process = self.process(name)
        self.supervisor.suspend()
        try:
            process.kill()
            yield
        finally:
            self.supervisor.resume()

    @contextmanager
    def hung(self, name: str) -> Generator[None]:
        """Inside, the process takes connections, and says nothing."""
        process = self.process(name)
        process.suspend()
        try:
            yield
        finally:
            process.resume()


@contextmanager
def shape(plan: str, text: str) -> Generator[Shape]:
    """The shop in a plan that the text of a plan.toml says, with the systems that are not ours at a port of its own.

    What hangs is left so by its supervisor, for as long as it is looked at.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outside = "".join(f'[{plan}.service.{one}]\nat = "http://127.0.0.1:{port}/{one}"\n' for one in OUTSIDE)
    text = text.replace("8090", str(port)).replace('".:.."', f'"{EXAMPLES}"')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ENFILADE_")}
    command = [sys.executable, "-m", "enfilade.cli", "run", "shop.app:app", "--plan", plan, "--port", "0"]
    with tempfile.TemporaryDirectory(prefix="enfilade-faults-") as folder:
        Path(folder).chmod(0o711)  # where we are root, a database is somebody else
        (Path(folder) / "plan.toml").write_text(f"{text}\n[{plan}]\nhung = 0\n{outside}")
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**environment, "PYTHONPATH": os.pathsep.join([str(EXAMPLES), *sys.path])},
        ) as supervisor:  # fmt: skip
            assert supervisor.stdout is not None
            made = Shape("", Path(folder), psutil.Process(supervisor.pid))
            reader = threading.Thread(target=lambda: made.lines.extend(supervisor.stderr or ()))
            reader.start()
            try:
                found = re.fullmatch(r"Ready: (http://127\.0\.0\.1:\d+)\n", supervisor.stdout.readline())
                assert found, "".join(made.lines)
                made.url = found[1]
                yield made
            finally:
                supervisor.terminate()
                supervisor.wait(60)
                reader.join(5)


@dataclass(frozen=True)
class Ask:
    """What a customer asks of the shop."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Told:
    """What he is told."""

    status: int
    type: str = ""
    retry_after: str = ""


@dataclass
class Customer:
    """Somebody who has an account, is logged in, and bought something; and what there is to ask."""

    shop: Shape
    headers: Mapping[str, str]
    asks: Mapping[str, Callable[[], Ask]]
    """By operation: as often as one likes."""

    async def ask(self) -> Mapping[str, Told]:
        """All that there is, at once."""
        async with self._client() as http:
            told = await asyncio.gather(*(self._one(http, make()) for make in self.asks.values()))
        return dict(zip(self.asks, told, strict=True))

    async def until_all_is_well(self) -> None:
        """Until every operation was answered as it should be."""
        wrong: dict[str, Told] = dict.fromkeys(self.asks, Told(0))
        with suppress(TimeoutError):
            async with asyncio.timeout(60), self._client() as http:
                for id, make in self.asks.items():
                    while (told := await self._one(http, make())).status >= 500:
                        wrong[id] = told
                        await asyncio.sleep(0.5)
                    del wrong[id]
        assert not wrong, f"{wrong}\n{''.join(self.shop.lines[-40:])}"

    async def _one(self, http: httpx2.AsyncClient, ask: Ask) -> Told:
        got = await http.request(ask.method, ask.path, json=ask.body, headers={**self.headers, **ask.headers})
        problem = got.status_code >= 400 and got.headers["content-type"] == "application/problem+json"
        return Told(got.status_code, got.json()["type"] if problem else "", got.headers.get("retry-after", ""))

    @asynccontextmanager
    async def _client(self) -> AsyncGenerator[httpx2.AsyncClient]:
        async with httpx2.AsyncClient(base_url=self.shop.url, timeout=60) as http:
            yield http


MUG, JAR = "6E92ZMYYFZ", "9SIQT8TOJO"
HOME = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}


async def customer_of(shop: Shape) -> Customer:
    """Ann signs up, logs in and buys."""
    order = {"card": "tok_visa", "address": HOME, "items": [{"sku": JAR, "quantity": 1}]}
    issuer = DevelopmentIssuer(shop.folder / ".enfilade", "shop")
    warehouse = Tokens(issuer, SystemClock()).issue("eve", roles=["warehouse"])
    async with httpx2.AsyncClient(base_url=shop.url, timeout=60) as http:
        headers, *others = [await _log_in(http, name) for name in ("ann", "bob", "cat", "dan")]
        bought = await http.post("/orders", json=order, headers=headers)
        placed = bought.raise_for_status().json()["id"]
        async with asyncio.timeout(60):
            shipped = False
            while not shipped:
                shipped = (await http.get(f"/shipments/{placed}", headers=headers)).status_code == 200
    buyers = itertools.cycle(others)  # nobody may buy too often
    asks: dict[str, Callable[[], Ask]] = {
        "accounts.account": lambda: Ask("GET", "/account"),
        "accounts.sign_up": lambda: Ask("POST", "/accounts", {**_login("ann"), "name": "Ann"}),
        "provider.authorize": lambda: Ask("GET", "/authorize?client_id=nobody"),
        "cart.basket": lambda: Ask("GET", "/cart"),
        "cart.put": lambda: Ask("PUT", f"/cart/items/{MUG}", {"quantity": 2}),
        "cart.remove": lambda: Ask("DELETE", f"/cart/items/{MUG}"),
        "catalog.products": lambda: Ask("GET", "/products"),
        "catalog.product": lambda: Ask("GET", f"/products/{MUG}"),
        "catalog.page": lambda: Ask("GET", f"/products/{JAR}/page"),
        "currency.rates": lambda: Ask("GET", "/currencies"),
        "inventory.stock": lambda: Ask("GET", f"/inventory/{MUG}"),
        "inventory.recount": lambda: Ask(
            "PUT", f"/inventory/{MUG}", {"available": 100}, {"authorization": f"Bearer {warehouse}"}
        ),
        "notifications.sent": lambda: Ask("GET", "/notifications"),
        "orders.place": lambda: Ask("POST", "/orders", order, next(buyers)),
        "orders.history": lambda: Ask("GET", "/orders"),
        "orders.order": lambda: Ask("GET", f"/orders/{placed}"),
        "recommendations.bought_with": lambda: Ask("GET", f"/recommendations?sku={JAR}"),
        "search.search": lambda: Ask("GET", "/search?q=jar"),
        "shipping.shipment": lambda: Ask("GET", f"/shipments/{placed}"),
        "shipping.quote": lambda: Ask("GET", "/shipping/quote?country=CH&postcode=8001"),
    }
    return Customer(shop, headers, asks)


def _login(name: str) -> dict[str, str]:
    return {"email": f"{name}@example.com", "password": "correct horse"}


async def _log_in(http: httpx2.AsyncClient, name: str) -> Mapping[str, str]:
    (await http.post("/accounts", json={"name": name, **_login(name)})).raise_for_status()
    session = await log_in(http, **_login(name))
    return {"authorization": f"Bearer {session.access_token}"}


PLAN = os.environ.get("ENFILADE_FAULTS", "")
SAMPLE = """
[sample.process.all]
services = "*"
[sample.process.catalog]
services = ["catalog"]
[sample.process.recommendations]
services = ["recommendations"]
[sample.process.outside]
command = ["python", "-m", "shop.outside", "8090"]
environment = { PYTHONPATH = ".:.." }
ready = "127.0.0.1:8090"
"""
"""A plan of few processes, which is enough for two of the services."""


@pytest.fixture(scope="module")
def customer() -> Generator[Customer]:
    """Somebody in the split shop, or in the sample of it."""
    own = (EXAMPLES / "shop/plan.toml").read_text()
    with shape(PLAN or "sample", own if PLAN else SAMPLE) as shop:
        yield asyncio.run(customer_of(shop))
