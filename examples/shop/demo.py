"""The shop, shown: a customer buys something through the public API, and this is what happened inside.

python -m shop.demo          PORT=8081 for another port, ONCE=1 to stop after the purchase
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from textwrap import indent
from typing import TypeVar

import httpx2
import uvicorn

from enfilade import Page
from enfilade.config import Config
from enfilade.contract.codec import codec
from enfilade.trace.traces import assemble
from enfilade.trace.tree import tree
from shop.accounts.contract import Account, Session
from shop.app import app
from shop.cart.contract import Basket
from shop.notifications.contract import Notification
from shop.orders.contract import Order
from shop.search.contract import Hit

T = TypeVar("T")

MUG, JAR = "6E92ZMYYFZ", "9SIQT8TOJO"
HOME = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}


def main() -> None:
    port, once = int(os.environ.get("PORT", "8080")), os.environ.get("ONCE", "") == "1"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), listening(port) as ours, outside() as at, tempfile.TemporaryDirectory() as data:
        app.config = Config(data=f"sqlite:{data}/{{service}}.db", service=at)
        asyncio.run(show(ours, once))


async def show(ours: socket.socket, once: bool) -> None:
    """Serve the shop, buy in it, and go on serving."""
    url = f"http://127.0.0.1:{ours.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    serving = asyncio.create_task(server.serve(sockets=[ours]))
    async with httpx2.AsyncClient(base_url=url) as http:
        if await ready(http, serving):
            await buy(http)
            print(f"\nReady: {url}", flush=True)
    server.should_exit = once
    await serving


async def ready(http: httpx2.AsyncClient, serving: asyncio.Task[None]) -> bool:
    """Wait for the shop; False where it does not come up."""
    while not serving.done():
        with suppress(httpx2.TransportError):
            if (await http.get("/readyz")).is_success:
                return True
        await asyncio.sleep(0.01)
    return False


async def buy(http: httpx2.AsyncClient) -> None:
    """What Ann does, what she gets, and what it took."""
    ann = {"name": "Ann Arbor", "email": "ann@example.com", "password": "correct horse"}
    print("Ann goes shopping.\n")
    await ask(http, "signs up", Account, "POST", "/accounts", **ann)
    del ann["name"]
    session = await ask(http, "logs in", Session, "POST", "/sessions", **ann)
    http.headers["authorization"] = f"Bearer {session.token}"
    await ask(http, "looks around", tuple[Hit, ...], "GET", "/search?q=kitchen")
    await ask(http, "takes two mugs", Basket, "PUT", f"/cart/items/{MUG}", quantity=2)
    await ask(http, "and a jar", Basket, "PUT", f"/cart/items/{JAR}", quantity=1)
    http.headers["idempotency-key"] = '"the-only-one"'
    order = await ask(http, "buys", Order, "POST", "/orders", card="tok_visa", address=HOME, currency="CHF")
    receipt = await mailed(http, order)
    print(f"\nShe gets a mail.\n\n{indent(receipt, '  ')}\nThis is what buying took.\n\n{indent(purchase(), '  ')}")


async def ask(http: httpx2.AsyncClient, what: str, kind: type[T], method: str, path: str, **body: object) -> T:
    """Ask the shop; a line on the screen says what for, and how long it took."""
    began = time.perf_counter()
    answer = await http.request(method, path, json=body or None)
    took = (time.perf_counter() - began) * 1000
    print(f"  {what:<16}{method:<5}{path:<24}{answer.status_code}{took:>10.1f} ms")
    answer.raise_for_status()
    return codec(kind).decode(answer.content)


async def mailed(http: httpx2.AsyncClient, order: Order) -> str:
    """The receipt, which comes by mail a moment after the order."""
    for _ in range(100):
        answer = await http.get("/notifications")
        for mail in codec(Page[Notification]).decode(answer.content).items:
            if order.id in mail.subject:
                return mail.text
        await asyncio.sleep(0.05)
    raise TimeoutError("no receipt came")


def purchase() -> str:
    """The trace of the purchase."""
    assert app.running_now is not None
    traces = assemble(app.running_now.recorder.recent())
    return tree(next(one for one in traces if one.root.name == "orders.place"), color=sys.stdout.isatty())


@contextmanager
def listening(port: int) -> Generator[socket.socket]:
    """A socket on the port, ours alone."""
    with socket.socket() as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            ours.bind(("127.0.0.1", port))
        except OSError as taken:
            sys.exit(f"Port {port} is taken ({taken.strerror}). Name another one: PORT={port + 1}")
        yield ours


@contextmanager
def outside() -> Generator[Mapping[str, Mapping[str, str]]]:
    """The outside systems in a process of their own; gives the configuration by which the shop finds them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "shop.outside", str(port)], start_new_session=True)  # noqa: S603
    try:
        _wait_for(port)
        yield {name: {"at": f"http://127.0.0.1:{port}/{name}"} for name in ("psp", "carrier", "mail")}
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError("the outside systems did not start")


if __name__ == "__main__":
    main()
