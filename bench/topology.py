"""The shop's order journey in one process, in two, in one for each service, on a host each; and in FastAPI, as one and
as eleven.

Each journey is a search, two products into the cart, an order, and the mails that come of it. All arrangements run all
the time and are measured in turns: journeys one after the other, whose time is what a customer waits until his order is
taken, and sixteen at a time, whose CPU is that of all processes of the arrangement, until all is done that the orders
lead to. Of the rounds the minimum counts.
"""

import asyncio
import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parent / "support"))

import psutil
import uvloop
from claims import Claim, tell
from traveller import travel

from enfilade.clock import SystemClock
from enfilade.identity import DevelopmentIssuer, Tokens

HERE = Path(__file__).parent
ROUNDS, FEW, MANY = 5, 100, 160
ONE, TWO, EACH = "Enfilade, one process", "Enfilade, two processes", "Enfilade, a process for each service"
EDGED, FAR = "Enfilade, the same behind Envoy", "Enfilade, a host for each service"
FASTAPI_ONE, FASTAPI_EACH = "FastAPI, one process", "FastAPI, a process for each service"
PEOPLE = 400
"""Who buys: each may order thirty times a minute."""

SETTINGS = """
codec = "never"
[service.inventory]
opening_stock = 1_000_000
"""
PLANS = """
[each]
extends = "split"
[each.process.payments]
services = ["payments", "psp"]
[each.process.shipping]
services = ["shipping", "carrier"]
[each.process.notifications]
services = ["notifications", "mail"]

[edged]
extends = "each"
edge.run = "envoy:"

[two.process.shop]
services = "*"
front = true
[two.process.buying]
services = ["orders", "payments", "psp", "inventory", "shipping", "carrier"]
"""
SERVICES = (
    "accounts", "cart", "catalog", "currency", "inventory", "notifications", "orders", "payments", "recommendations",
    "search", "shipping",
)  # fmt: skip


@dataclass
class Arrangement:
    """Processes that serve the shop."""

    name: str
    roots: Sequence[int]
    """Those that were started; what they started belongs to it."""
    ports: dict[str, int]
    """By the beginning of a path."""
    bought: list[Sequence[float]] = field(default_factory=list[Sequence[float]])
    """By round: what customers waited, one after the other."""
    cpu: list[float] = field(default_factory=list[float])
    """By round: seconds of CPU for each journey."""
    memory: float = 0.0
    count: int = 0
    """How many processes."""

    def where(self, path: str) -> int:
        return self.ports.get(path.split("/")[1].partition("?")[0]) or self.ports[""]

    def processes(self) -> list[int]:
        children = [one.pid for root in self.roots for one in psutil.Process(root).children(recursive=True)]
        return [*self.roots, *children]

    def spent(self) -> float:
        """Seconds of CPU so far, of all threads of all processes."""
        tasks = (task for pid in self.processes() for task in Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def figures(self) -> tuple[float, float, float, float]:
        """What customers waited, the median and 99 of 100; CPU of a journey, all in milliseconds; megabytes."""
        waited = min(map(median, self.bought)), min(map(slowest, self.bought))
        return waited[0] * 1e3, waited[1] * 1e3, min(self.cpu) * 1e3, self.memory

    def pss(self) -> float:
        """Megabytes: what is shared by processes is shared out among them."""
        rolled = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.processes())
        return sum(int(text[text.index("\nPss:") + 5 :].split()[0]) for text in rolled) / 1024


def main() -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tokens = Tokens(DevelopmentIssuer(folder, "shop"), SystemClock())
        people = [tokens.issue(f"acc_{at:04}", scopes=["orders:write"]) for at in range(PEOPLE)]
        found = [
            stack.enter_context(ours(ONE, folder, "")),
            stack.enter_context(ours(TWO, folder, "two")),
            stack.enter_context(ours(EACH, folder, "each")),
            stack.enter_context(ours(EDGED, folder, "edged")),
            stack.enter_context(hosts(FAR, folder)),
            stack.enter_context(fastapi(FASTAPI_ONE, folder, together=True)),
            stack.enter_context(fastapi(FASTAPI_EACH, folder, together=False)),
        ]
        uvloop.run(measure(found, people))
    report(found)


async def measure(found: Sequence[Arrangement], people: Sequence[str]) -> None:
    for number in range(ROUNDS + 1):
        for one in found:
            took = await travel(one.where, people, FEW if number else 20, 1)
            before = one.spent()
            await travel(one.where, people[::-1], MANY if number else 40, 16)
            await asyncio.sleep(0.5)
            if number:
                one.bought.append(took)
                one.cpu.append((one.spent() - before) / MANY)
    for one in found:
        one.memory, one.count = one.pss(), len(one.processes())


@contextlib.contextmanager
def ours(name: str, folder: Path, plan: str) -> Generator[Arrangement]:
    """The shop by `enfilade run`, with all its guards, traces and audit."""
    here = made(folder, plan or "one", PLANS)
    with started(here, *(["--plan", plan] if plan else [])) as process:
        yield Arrangement(name, [process.pid], {"": process.port})


@contextlib.contextmanager
def hosts(name: str, folder: Path) -> Generator[Arrangement]:
    """Each service on a host of its own, as far as one machine has several: each has a supervisor, and all goes by TLS
    with certificates at both ends."""
    own = {"payments": ["payments", "psp"], "shipping": ["shipping", "carrier"]}
    own["notifications"] = ["notifications", "mail"]
    processes = {one: own.get(one, [one]) for one in (*SERVICES, "provider")}
    plan = f'[far]\nextends = "split"\nauthority = "127.0.0.1:{free()}"\n' + "".join(
        f'[far.process.{one}]\nservices = {json.dumps(services)}\nelsewhere = true\nlisten = "127.0.0.1:{free()}"\n'
        for one, services in processes.items()
    )
    with contextlib.ExitStack() as stack:
        first = made(folder, "far", plan)
        front = stack.enter_context(started(first, "--plan", "far"))
        running = [front]
        for one in processes:
            here = made(folder, f"far-{one}", plan)
            join = subprocess.run(
                [*ENFILADE, "plan", "join", "far", one, "--app", APP], cwd=first, env=PATHS, stdout=subprocess.PIPE,
                text=True, check=True,
            ).stdout.strip()  # fmt: skip
            running.append(stack.enter_context(started(here, "--plan", "far", "--only", one, join=join)))
        yield Arrangement(name, [one.pid for one in running], {"": front.port})


@dataclass
class Started:
    """A command that is ready, and the port that it named."""

    pid: int
    port: int


APP = "shop_alone:app"
ENFILADE = [sys.executable, "-m", "enfilade.cli"]
PATHS = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE / "support"), str(HERE.parent / "examples")))}


def made(folder: Path, name: str, plans: str) -> Path:
    """A folder to run in, which believes the tokens of the customers."""
    here = folder / name
    (here / ".enfilade").mkdir(parents=True)
    shutil.copy(folder / "issuer.json", here / ".enfilade")
    (here / "enfilade.toml").write_text(SETTINGS)
    (here / "plan.toml").write_text(plans)
    return here


@contextlib.contextmanager
def started(here: Path, *options: str, join: str = "") -> Generator[Started]:
    environ = {**PATHS, **({"ENFILADE_JOIN": join} if join else {})}
    command = [*ENFILADE, "run", APP, "--port", "0", *options]
    with (
        (here / "log").open("w") as log,
        subprocess.Popen(command, cwd=here, env=environ, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready:
                raise RuntimeError((here / "log").read_text())
            yield Started(process.pid, int(ready.rpartition(":")[2]) if "http" in ready else 0)
        finally:
            process.terminate()


@contextlib.contextmanager
def fastapi(name: str, folder: Path, *, together: bool) -> Generator[Arrangement]:
    """The same in FastAPI: on one uvicorn, or one for each service; customers know which of them to ask."""
    here = folder / name
    here.mkdir()
    shutil.copy(folder / "issuer.json", here)
    ports = {service: free() for service in SERVICES}
    if together:
        ports = dict.fromkeys(SERVICES, free())
    at = json.dumps({service: f"http://127.0.0.1:{port}" for service, port in ports.items()})
    environ = {**os.environ, "SHOP_AT": at, "BENCH_FOLDER": str(here)}
    server = str(HERE / "support" / "servers" / "fastapi_shop.py")
    running = [
        subprocess.Popen([sys.executable, server, str(port), service], env=environ)
        for service, port in ([("all", ports["orders"])] if together else ports.items())
    ]
    try:
        for port in ports.values():
            wait(port)
        yield Arrangement(name, [one.pid for one in running], ports)
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait(20)


def free() -> int:
    """Below those that systems give to connections: one of these may be taken before it is listened at."""
    while True:
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return one.getsockname()[1]


def wait(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("a server did not start")


def report(found: Sequence[Arrangement]) -> None:
    """A table of all, and how many times as much one takes as the other."""
    figures = {one.name: one.figures() for one in found}
    claims = [
        Claim(f"{low}, over {high}: {what}", figures[low][at] / figures[high][at], "times", "")
        for low, high in (
            (EACH, ONE),
            (FAR, ONE),
            (FASTAPI_EACH, ONE),
            (FASTAPI_EACH, EACH),
            (FASTAPI_EACH, FASTAPI_ONE),
        )
        for at, what in ((0, "waiting"), (2, "CPU"))
    ]
    if "--json" in sys.argv:
        names = ("median, ms", "99 of 100, ms", "CPU of a journey, ms", "memory, MB PSS")
        told = [(one, what, figures[one][at]) for one in figures for at, what in enumerate(names)]
        tell([*(Claim(f"{one}: {what}", value, "", "") for one, what, value in told), *claims])
    print(f"{'':44}{'median':>9}{'p99':>9}{'CPU':>9}{'a CPU second':>14}{'memory':>9}{'processes':>11}")
    for one in found:
        middle, worst, cpu, memory = figures[one.name]
        print(
            f"{one.name:44}{middle:6.1f} ms{worst:6.1f} ms{cpu:6.1f} ms{1e3 / cpu:14.0f}{memory:6.0f} MB{one.count:11}"
        )
    tell(claims)


def slowest(took: Sequence[float]) -> float:
    return quantiles(took, n=100)[98]


main()
