"""A small program without a mistake, to plant one in."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from enfilade.config import Config
from enfilade.errors import Finding
from enfilade.govern import Report, check

_FILES = {
    "app.py": """
from enfilade import App
from PKG.catalog.contract import Catalog
from PKG.orders.contract import Orders

app = App("shop", services=[Catalog, Orders])
""",
    "catalog/contract.py": '''
"""Catalog: what is sold."""

from typing import Annotated, Protocol

from enfilade import Message, Meta, Money, Problem, anyone, contract, query

Sku = Annotated[str, Meta(pattern="^[a-z]+$")]


class Product(Message):
    sku: str
    price: Money


class UnknownProduct(Problem, status=404):
    """The catalog has no such product."""


@contract(needs=anyone)
class Catalog(Protocol):
    @query("GET /products/{sku}", raises=[UnknownProduct])
    async def product(self, sku: Sku) -> Product:
        """One product."""
        ...
''',
    "catalog/service.py": """
from dataclasses import dataclass
from typing import final

from enfilade import Money
from enfilade.service import Key, Row, Table
from PKG.catalog.contract import Catalog, Product, Sku, UnknownProduct


class ProductRow(Row):
    sku: Key[str]
    price: Money


@final
@dataclass
class CatalogService(Catalog):
    products: Table[ProductRow]

    async def product(self, sku: Sku) -> Product:
        row = await self.products.get(sku)
        if row is None:
            raise UnknownProduct()
        return row.into(Product)
""",
    "orders/contract.py": '''
"""Orders: what customers asked for."""

from typing import Annotated, Protocol

from enfilade import Event, Message, Meta, Money, Owner, Problem, Scope, command, contract, query

Quantity = Annotated[int, Meta(ge=1, le=9)]


class Order(Message):
    id: str
    sku: str
    total: Money


class OrderPlaced(Event, key="order.id"):
    order: Order


class UnknownOrder(Problem, status=404):
    """No order has this id."""


class Unsellable(Problem, status=422):
    """The catalog does not sell it."""


@contract(needs=Scope("orders"))
class Orders(Protocol):
    @command("POST /orders", status=201, raises=[Unsellable])
    async def place(self, sku: str, quantity: Quantity = 1) -> Order:
        """Place an order."""
        ...

    @query("GET /orders/{id}", raises=[UnknownOrder], needs=Owner)
    async def order(self, id: str) -> Order:
        """One order."""
        ...
''',
    "orders/service.py": """
import asyncio
import contextlib
from dataclasses import dataclass
from typing import final

from enfilade import FIRST, Message, Money
from enfilade.errors import Conflict
from enfilade.service import Database, Http, Key, Owned, Row, Table, Topic, atomic, current, every, new_id, on, where
from PKG.catalog.contract import Catalog, Product, UnknownProduct
from PKG.orders.contract import Order, OrderPlaced, Orders, Quantity, UnknownOrder, Unsellable


class OrderRow(Row):
    id: Key[str]
    customer: Owned[str]
    sku: str
    total: Money
    state: str = "open"


class Sales(Message):
    sku: str
    count: int


@final
@dataclass
class OrdersService(Orders):
    catalog: Catalog
    http: Http
    database: Database
    orders: Table[OrderRow]
    placed: Topic[OrderPlaced]

    async def place(self, sku: str, quantity: Quantity = 1) -> Order:
        product = await self._product(sku)
        row = OrderRow(id=new_id("ord"), customer=current().me, sku=sku, total=product.price * quantity)
        return await self._record(row)

    async def _product(self, sku: str) -> Product:
        try:
            return await self.catalog.product(sku)
        except UnknownProduct as unknown:
            raise Unsellable() from unknown

    @atomic
    async def _record(self, row: OrderRow) -> Order:
        await self.orders.add(row)
        order = row.into(Order)
        await self.placed.publish(OrderPlaced(order=order))
        return order

    async def order(self, id: str) -> Order:
        row = await self.orders.get(id)
        if row is None:
            raise UnknownOrder()
        return row.into(Order)

    @on(OrderPlaced)
    async def count(self, event: OrderPlaced) -> None:
        await self.database.row(Sales, "select sku, count(*) as count from \\"order\\" group by sku")
""",
}
_numbers = itertools.count(1)


class Program:
    """The program in a package of its own name."""

    def __init__(self, folder: Path) -> None:
        self.name = f"planted{next(_numbers)}"
        self.folder = folder / self.name
        for path, text in _FILES.items():
            self.write(path, text.lstrip("\n"))

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("PKG", self.name))

    def edit(self, path: str, old: str, new: str) -> None:
        """Plant a mistake: `old` is there once, and becomes `new`."""
        text = (self.folder / path).read_text()
        old, new = old.replace("PKG", self.name), new.replace("PKG", self.name)
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
        (self.folder / path).write_text(text.replace(old, new))

    def method(self, text: str, path: str = "orders/service.py") -> None:
        """Plant a method at the end of a service."""
        file = self.folder / path
        lines = "".join(f"    {line}\n" if line else "\n" for line in text.strip("\n").splitlines())
        file.write_text(f"{file.read_text()}\n{lines}".replace("PKG", self.name))

    def at(self, path: str, text: str) -> str:
        """`file:line` of the only line that has the text."""
        lines = (self.folder / path).read_text().splitlines()
        found = [number for number, line in enumerate(lines, start=1) if text.replace("PKG", self.name) in line]
        assert len(found) == 1, f"{text!r} is on lines {found} of {path}"
        return f"{self.name}/{path}:{found[0]}"

    def check(self) -> Report:
        app = importlib.import_module(f"{self.name}.app").app
        return check(app, Config())

    def found(self) -> list[tuple[str, str]]:
        """(rule, where) of all findings."""
        return [(one.rule, one.where) for one in self.check().findings]

    def finding(self) -> Finding:
        """The only finding."""
        findings = self.check().findings
        assert len(findings) == 1, "\n".join(map(str, findings)) or "nothing was found"
        return findings[0]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Program(tmp_path)
    yield made
    for name in [one for one in sys.modules if one.partition(".")[0] == made.name]:
        del sys.modules[name]
