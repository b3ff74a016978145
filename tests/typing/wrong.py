"""The mistakes that users make. Each line that ends with `wrong` is an error of the checkers named, and no other line is.

Checked, never run. `# wrong` means pyright and mypy, `# wrong: pyright` only the one.
"""

from dataclasses import dataclass
from typing import Protocol, final

from enfilade import App, Event, Message, Money, Problem, anyone, command, contract, query
from enfilade.service import Key, Row, Table, Topic, atomic, every, on
from enfilade.testing import Bench


class Product(Message):
    sku: str
    price: Money


class Sold(Event, key="sku"):
    sku: str


class Bought(Event, key="sku"):
    sku: str


class Unsellable(Problem, status=422):
    """Not for sale."""

    sku: str


@contract(needs=anyone)
class Catalog(Protocol):
    @query("GET /products/{sku}")
    async def product(self, sku: str) -> Product:
        """One product."""
        ...

    @command("PUT /products/{sku}")
    async def put(self, sku: str, price: Money) -> Product:
        """Set a price."""
        ...


# -- messages and problems


def messages(product: Product) -> None:
    product.sku = "tea"  # wrong
    Product("tea", Money.of(1, "EUR"))  # wrong
    Product(sku="tea")  # wrong
    Unsellable(sku=3)  # wrong
    Unsellable(skv="tea")  # wrong


# -- implementations


@final
class MissingMethod(Catalog):  # wrong
    async def product(self, sku: str) -> Product:
        return Product(sku=sku, price=Money.of(1, "EUR"))


@final
class WrongReturn(Catalog):
    async def product(self, sku: str) -> str:  # wrong
        return sku

    async def put(self, sku: str, price: Money) -> Product:
        return Product(sku=sku, price=price)


@final
class NotAsync(Catalog):
    def product(self, sku: str) -> Product:  # wrong
        return Product(sku=sku, price=Money.of(1, "EUR"))

    async def put(self, sku: str, price: Money) -> Product:
        return Product(sku=sku, price=price)


@final
class Renamed(Catalog):
    async def product(self, code: str) -> Product:  # wrong: pyright
        return Product(sku=code, price=Money.of(1, "EUR"))

    async def put(self, sku: str, price: Money) -> Product:
        return Product(sku=sku, price=price)


class HalfACatalog:
    async def product(self, sku: str) -> Product:
        return Product(sku=sku, price=Money.of(1, "EUR"))


app = App("shop", services=[Catalog])
app.service(Catalog).by(HalfACatalog)  # wrong


def a_fake_must_fit(bench: Bench) -> None:
    bench.given(Catalog).by(HalfACatalog())  # wrong


# -- calls, tables, topics


class ProductRow(Row):
    id: Key[str]
    name: str


@final
@dataclass
class Shop:
    catalog: Catalog
    rows: Table[ProductRow]
    sold: Topic[Sold]

    async def calls(self) -> None:
        await self.catalog.product(3)  # wrong
        await self.catalog.products("tea")  # wrong
        price: str = (await self.catalog.product("tea")).price  # wrong
        print(price)

    async def writes(self, name: str, product: Product) -> None:
        await self.rows.add(product)  # wrong
        await self.rows.find(f"name = '{name}'")  # wrong: pyright
        await self.sold.publish(Bought(sku="tea"))  # wrong

    @on(Sold)  # wrong
    async def hears_another(self, event: Bought) -> None: ...

    @on(Sold)  # wrong
    def hears_sync(self, event: Sold) -> None: ...

    @every("1h")  # wrong
    async def takes_too_much(self, event: Sold) -> None: ...

    @atomic  # wrong
    def not_a_coroutine(self) -> None: ...
