"""The shop, shown: a customer buys something through the public API, and this is what happened inside.

python -m shop.demo          PORT=8081 for another port, ONCE=1 to stop after the purchase,
                             PLAN=split for many processes
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent
from typing import TypeVar

import httpx2

from enfilade import Page
from enfilade.cli.refused import Refused
from enfilade.cli.serve import run_until_stopped, serving, signals
from enfilade.config import load
from enfilade.contract.codec import codec
from enfilade.trace.file import read_traces
from enfilade.trace.traces import Trace, assemble
from enfilade.trace.tree import tree
from shop.accounts.contract import Account
from shop.app import SETTINGS, app
from shop.cart.contract import Basket
from shop.front import log_in
from shop.notifications.contract import Notification
from shop.orders.contract import Order
from shop.search.contract import Hit

T = TypeVar("T")

MUG, JAR = "6E92ZMYYFZ", "9SIQT8TOJO"
HOME = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}


def main() -> None:
    port, once = int(os.environ.get("PORT") or 8080), os.environ.get("ONCE") == "1"
    if plan := os.environ.get("PLAN"):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o711)  # where we are root, the plan's database is somebody else
            run_until_stopped(show_plan(plan, port, once, Path(folder)))
        return
    with outside() as at, tempfile.TemporaryDirectory() as data:
        app.config = load(SETTINGS, {"ENFILADE_DATA": f"sqlite:{data}/{{service}}.db", **at})
        try:
            run_until_stopped(show(port, once))
        except Refused as refused:
            sys.exit(f"{refused.message} Name another port: PORT={port + 1}")


async def show(port: int, once: bool) -> None:
    """Serve the shop, buy in it, and go on serving until Ctrl-C."""
    with signals() as stop:
        async with serving(app, port=port) as url:
            async with httpx2.AsyncClient(base_url=url) as http:
                await buy(http)
            assert app.running_now is not None
            took(assemble(app.running_now.recorder.recent()))
            print(f"\nReady: {url}", flush=True)
            if not once:
                await stop.wait()


async def show_plan(plan: str, port: int, once: bool, folder: Path) -> None:
    """The same, in the processes of a plan."""
    with signals() as stop, arranged(plan, port, folder) as shop:
        assert shop.stdout is not None
        ready = await asyncio.to_thread(shop.stdout.readline)
        if not ready:
            sys.exit((folder / "log").read_text("utf-8"))
        async with httpx2.AsyncClient(base_url=ready.split()[1], timeout=20) as http:
            await buy(http)
        took(await written(folder / "traces"))
        print(f"\n{ready}", end="", flush=True)
        if not once:
            await stop.wait()


async def buy(http: httpx2.AsyncClient) -> None:
    """What Ann does, what she gets, and what it took."""
    login = {"email": "ann@example.com", "password": "correct horse"}
    print("Ann goes shopping.\n")
    await ask(http, "signs up", Account, "POST", "/accounts", name="Ann Arbor", **login)
    began = time.perf_counter()
    session = await log_in(http, **login)
    line("logs in", "GET", "/authorize ... /token", 200, began)
    http.headers["authorization"] = f"Bearer {session.access_token}"
    await ask(http, "looks around", tuple[Hit, ...], "GET", "/search?q=kitchen")
    await ask(http, "takes two mugs", Basket, "PUT", f"/cart/items/{MUG}", quantity=2)
    await ask(http, "and a jar", Basket, "PUT", f"/cart/items/{JAR}", quantity=1)
    http.headers["idempotency-key"] = '"the-only-one"'
    order = await ask(http, "buys", Order, "POST", "/orders", card="tok_visa", address=HOME, currency="CHF")
    receipt = await mailed(http, order)
    print(f"\nShe gets a mail.\n\n{indent(receipt, '  ')}")


async def ask(http: httpx2.AsyncClient, what: str, kind: type[T], method: str, path: str, **body: object) -> T:
    """Ask the shop; a line on the screen says what for, and how long it took."""
    began = time.perf_counter()
    answer = await http.request(method, path, json=body or None)
    line(what, method, path, answer.status_code, began)
    answer.raise_for_status()
    return codec(kind).decode(answer.content)


def line(what: str, method: str, path: str, status: int, began: float) -> None:
    """What was asked, what came back, and how long it took."""
    print(f"  {what:<16}{method:<5}{path:<24}{status}{(time.perf_counter() - began) * 1000:>10.1f} ms")


async def mailed(http: httpx2.AsyncClient, order: Order) -> str:
    """The receipt. It comes by mail a moment after the order, and a moment later the word that the parcel has left."""
    for _ in range(200):
        mails = codec(Page[Notification]).decode((await http.get("/notifications")).content).items
        if any(mail.id == f"shipped-{order.id}" for mail in mails):
            return next(mail.text for mail in mails if mail.id == f"receipt-{order.id}")
        await asyncio.sleep(0.05)
    raise TimeoutError("no receipt came")


def took(traces: Iterable[Trace]) -> None:
    """The trace of the purchase."""
    bought = next(one for one in traces if one.root.name == "orders.place")
    print(f"This is what buying took.\n\n{indent(tree(bought, color=sys.stdout.isatty()), '  ')}")


async def written(folder: Path) -> Sequence[Trace]:
    """The traces, once all processes have written down theirs: the word that the parcel has left is the last of it."""
    for _ in range(100):
        if any(span.name == "notifications.announce" for one in read_traces(folder) for span in one.spans):
            await asyncio.sleep(2.0)  # each process writes once a second
            return read_traces(folder)
        await asyncio.sleep(0.1)
    raise TimeoutError("no trace came")


@contextmanager
def arranged(plan: str, port: int, folder: Path) -> Generator[subprocess.Popen[str]]:
    """The shop in the processes of a plan; what they write goes into a file."""
    command = [sys.executable, "-m", "enfilade.cli", "run", "shop.app:app", "--plan", plan, "--port", str(port)]
    environment = {**os.environ, "ENFILADE_FOLDER": str(folder)}
    with (
        (folder / "log").open("w", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def outside() -> Generator[Mapping[str, str]]:
    """The outside systems in a process of their own; gives the variables by which the shop finds them."""
    command = [sys.executable, "-m", "shop.outside", "0"]
    # In a session of its own: Ctrl-C is for the shop, which may want them till its end.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:  # noqa: S603
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            yield {f"ENFILADE_SERVICE__{name.upper()}__AT": f"{url}/{name}" for name in ("psp", "carrier", "mail")}
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
