"""Customers who search, fill their carts, buy, and look for the receipt: over HTTP, one connection each."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence

MUG, JAR = "6E92ZMYYFZ", "9SIQT8TOJO"
HOME = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}
ORDER = json.dumps({"card": "tok_visa", "address": HOME, "currency": "CHF"}).encode()
TOTAL = {"amount": "29.26", "currency": "CHF"}

Where = Callable[[str], int]
"""The port that serves a path."""


class Customer:
    """Somebody with a token. He has a connection to each port that he comes to."""

    def __init__(self, where: Where, token: str) -> None:
        self._where = where
        self._token = token
        self._open: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def buy(self) -> str:
        """All of it up to the order; gives its id."""
        await self.ask("GET", "/search?q=kitchen")
        await self.ask("PUT", f"/cart/items/{MUG}", b'{"quantity":2}')
        await self.ask("PUT", f"/cart/items/{JAR}", b'{"quantity":1}')
        order = json.loads(await self.ask("POST", "/orders", ORDER))
        if order["total"] != TOTAL or len(order["lines"]) != 2:
            raise RuntimeError(f"that was another order: {order}")
        return order["id"]

    async def wait(self, order: str) -> None:
        """Until all is done that an order leads to: the last of it is the word that it was shipped."""
        while True:
            mails = await self.ask("GET", "/notifications")
            if f'"receipt-{order}"'.encode() in mails and f'"shipped-{order}"'.encode() in mails:
                return
            await asyncio.sleep(0.02)

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        port = self._where(path)
        if port not in self._open:
            self._open[port] = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = self._open[port]
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self._token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        said = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = said.find(b"content-length:") + 15
        answer = await reader.readexactly(int(said[at:].split(b"\r\n", 1)[0])) if at > 15 else b""
        if said[9:10] != b"2":
            raise RuntimeError(f"{method} {path}: {said!r} {answer!r}")
        return answer

    def leave(self) -> None:
        for _, writer in self._open.values():
            writer.close()


async def travel(where: Where, tokens: Sequence[str], journeys: int, together: int) -> Sequence[float]:
    """So many journeys, so many at a time; gives the seconds of each up to its order.

    One at a time, each waits until all is done that the order before it led to; of many, all look for their mails when
    the last has bought.
    """
    customers = [Customer(where, token) for token in tokens[:journeys]]
    took: list[float] = []
    orders: list[tuple[Customer, str]] = []
    left = iter(range(journeys))

    async def go() -> None:
        for number in left:
            began = time.perf_counter()
            customer = customers[number % len(customers)]
            order = await customer.buy()
            took.append(time.perf_counter() - began)
            if together == 1:
                await customer.wait(order)
            else:
                orders.append((customer, order))

    async with asyncio.timeout(300):
        await asyncio.gather(*(go() for _ in range(together)))
        for customer, order in orders:
            await customer.wait(order)
    for customer in customers:
        customer.leave()
    return took
