"""The mistakes that users make. Each line that ends with `wrong` is an error of the checkers named, and no other is.

Checked, never run. `# wrong` means pyright and mypy, `# wrong: pyright` only the one: mypy lets an override rename a
parameter, and takes LiteralString to be str.
"""

from dataclasses import dataclass
from typing import Protocol, final

from enfilade import (
    UNSET,
    App,
    Event,
    Maybe,
    Message,
    Money,
    Principal,
    Problem,
    Rate,
    Role,
    Stream,
    anyone,
    command,
    contract,
    query,
    rule,
)
from enfilade.service import Key, Row, Table, Topic, Version, atomic, every, on, where
from enfilade.testing import Bench


class Product(Message):
    sku: str
    price: Money
    note: Maybe[str] = UNSET


@rule
def few(caller: Principal, quantity: int) -> bool:
    return quantity <= 9


@rule  # wrong
def says_no_truth(quantity: int) -> str:
    return "yes"


@rule  # wrong
async def waits(quantity: int) -> bool:
    return True


few(Principal(subject="ann"), "nine")  # wrong
Role("support") & (lambda quantity: quantity <= 9)  # wrong


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


@contract(needs=anyone)
class Prices(Protocol):
    @query("GET /prices/{sku}")
    def prices(self, sku: str) -> Stream[Money]:
        """Prices as they change."""
        ...


# -- what a contract declares


@contract(needs="anyone")  # wrong
class Declared(Protocol):
    @query("GET /a", raises=[ValueError])  # wrong
    async def raises_what_is_no_problem(self) -> Product: ...

    @query("GET /b", rate=Rate("5/minute", per="user"))  # wrong
    async def counts_what_nobody_counts(self) -> Product: ...

    @query("GET /c", retries=3)  # wrong
    async def says_what_cannot_be_said(self) -> Product: ...


# -- messages and problems


def messages(product: Product) -> None:
    product.sku = "tea"  # wrong
    Product("tea", Money.of(1, "EUR"))  # wrong
    Product(sku="tea")  # wrong
    Unsellable(sku=3)  # wrong
    Unsellable(skv="tea")  # wrong
    product.note.upper()  # wrong
    print(product.price * 0.5)  # wrong
    Money.of(0.1, "EUR")  # wrong
    raise Unsellable  # wrong


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


@final
class OneMore(Catalog):
    async def product(self, sku: str, language: str) -> Product:  # wrong
        return Product(sku=sku, price=Money.of(1, language))

    async def put(self, sku: str, price: Money) -> Product:
        return Product(sku=sku, price=price)


@final
class OtherItems(Prices):
    async def prices(self, sku: str) -> Stream[str]:  # wrong
        yield sku


class HalfACatalog:
    async def product(self, sku: str) -> Product:
        return Product(sku=sku, price=Money.of(1, "EUR"))


app = App("shop", services=[Catalog])
app.service(Catalog).by(HalfACatalog)  # wrong


async def in_tests(bench: Bench) -> None:
    bench.given(Catalog).by(HalfACatalog())  # wrong
    bench.said(Product)  # wrong
    await bench.hear(Product(sku="tea", price=Money.of(1, "EUR")))  # wrong
    await bench.acting("ann").of(Catalog).product(3)  # wrong


# -- calls, tables, topics


class ProductRow(Row):
    id: Key[str]
    name: str
    version: Version = 0


class OtherRow(Row):
    id: Key[str]


@final
@dataclass
class Shop:
    catalog: Catalog
    rows: Table[ProductRow]
    sold: Topic[Sold]
    prices: Prices
    not_rows: Table[Product]  # wrong
    not_events: Topic[Product]  # wrong

    async def calls(self) -> None:
        self.catalog.product("tea")  # wrong
        await self.prices.prices("tea")  # wrong
        await self.catalog.product(3)  # wrong
        await self.catalog.products("tea")  # wrong
        price: str = (await self.catalog.product("tea")).price  # wrong
        print(price)

    async def writes(self, name: str, product: Product) -> None:
        await self.rows.add(product)  # wrong
        await self.rows.add(OtherRow(id="tea"))  # wrong
        self.rows.add(ProductRow(id="tea", name=name))  # wrong
        await self.rows.find("name = :name", name=product)  # wrong
        await self.rows.find(where("name = '" + name + "'"))  # wrong: pyright
        row = await self.rows.get("tea")
        print(row.name)  # wrong
        known = ProductRow(id="tea", name=name)
        known.name = "coffee"  # wrong
        known.into(OtherRow)  # wrong
        await self.rows.find(f"name = '{name}'")  # wrong: pyright
        await self.sold.publish(Bought(sku="tea"))  # wrong

    @on(Sold)  # wrong
    async def hears_another(self, event: Bought) -> None: ...

    @on(Sold)  # wrong
    def hears_sync(self, event: Sold) -> None: ...

    @on(Product)  # wrong
    async def hears_what_is_no_event(self, event: Product) -> None: ...

    @every("1h", where="cluster")  # wrong
    async def runs_nowhere(self) -> None: ...

    @every("1h")  # wrong
    async def takes_too_much(self, event: Sold) -> None: ...

    @atomic  # wrong
    def not_a_coroutine(self) -> None: ...

    @atomic
    async def keeps_its_signature(self, name: str) -> str:
        return name

    async def calls_what_is_atomic(self) -> None:
        await self.keeps_its_signature(3)  # wrong
        number: int = await self.keeps_its_signature("tea")  # wrong
        print(number)
