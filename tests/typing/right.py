"""What users write, and what no checker may complain about. Checked, never run."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol, assert_type, final

from enfilade import (
    FIRST,
    UNSET,
    App,
    Body,
    Event,
    Header,
    Maybe,
    Message,
    Meta,
    Money,
    Owner,
    Page,
    Paging,
    Problem,
    Role,
    Scope,
    Stream,
    anyone,
    command,
    contract,
    current,
    deadline,
    new_id,
    query,
    signed_in,
)
from enfilade.service import (
    Database,
    Http,
    Index,
    Key,
    Owned,
    Row,
    Secret,
    Settings,
    Stale,
    Table,
    Taken,
    Threads,
    Topic,
    Version,
    atomic,
    every,
    on,
    where,
)
from enfilade.testing import Bench

Quantity = Annotated[int, Meta(ge=1, le=99)]


class Product(Message):
    sku: str
    price: Money
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}


class UnknownProduct(Problem, status=404):
    """No product has this sku."""

    sku: str


@contract(owner="catalog", version=1, needs=anyone)
class Catalog(Protocol):
    @query("GET /products/{sku}", raises=[UnknownProduct])
    async def product(self, sku: str, language: Header[str] = "en") -> Product:
        """One product."""
        ...

    @query("GET /products/{sku}/prices")
    def prices(self, sku: str) -> Stream[Money]:
        """Prices as they change."""
        ...


class Order(Message):
    id: str
    sku: str
    total: Money
    at: datetime
    state: Literal["open", "sent"]


class OrderPlaced(Event, key="order.id"):
    order: Order


class OrderEnds(Event, key="id"):
    id: str


class Edit(Message):
    note: Maybe[str | None] = UNSET
    title: Maybe[str] = UNSET


@contract(owner="orders", needs=signed_in)
class Orders(Protocol):
    @command("POST /orders", status=201, raises=[UnknownProduct], needs=Scope("orders:write") & Role("buyer"))
    async def place(self, sku: str, quantity: Quantity = 1) -> Order:
        """Place an order."""
        ...

    @command("PATCH /orders/{id}", needs=Owner)
    async def edit(self, id: str, edit: Body[Edit]) -> Order:
        """Change the note of an order."""
        ...

    @query("GET /orders")
    async def mine(self, page: Paging = FIRST) -> Page[Order]:
        """The caller's orders."""
        ...


class OrderRow(Row, unique=[("customer", "sku")], check=["total_minor >= 0"]):
    id: Key[str]
    customer: Owned[str]
    sku: Index[str]
    total: Money
    at: datetime
    state: Literal["open", "sent"]
    version: Version = 0


class OrdersSettings(Settings):
    days: int = 30


@final
@dataclass
class OrdersService(Orders):
    catalog: Catalog
    orders: Table[OrderRow]
    placed: Topic[OrderPlaced]
    ends: Topic[OrderEnds]
    database: Database
    settings: OrdersSettings
    http: Http
    threads: Threads
    key: Secret = Secret("payments/psp-key")

    async def place(self, sku: str, quantity: Quantity = 1) -> Order:
        with deadline(timedelta(seconds=2)):
            product = await self.catalog.product(sku)
        assert_type(product, Product)
        row = OrderRow(
            id=new_id("ord"),
            customer=current().me,
            sku=sku,
            total=product.price * quantity,
            at=current().now,
            state="open",
        )
        return await self._record(row)

    @atomic
    async def _record(self, row: OrderRow) -> Order:
        try:
            await self.orders.add(row)
        except Taken as taken:
            raise UnknownProduct(sku=str(taken.on), detail="taken") from taken
        order = row.into(Order)
        await self.placed.publish(OrderPlaced(order=order))
        await self.ends.publish(OrderEnds(id=row.id), at=row.at + timedelta(days=self.settings.days))
        return order

    @atomic
    async def edit(self, id: str, edit: Body[Edit]) -> Order:
        row = await self.orders.get(id, lock=True)
        if row is None:
            raise UnknownProduct(sku=id)
        if edit.note is not UNSET:
            assert_type(edit.note, str | None)
        title = row.sku if edit.title is UNSET else edit.title
        assert_type(title, str)
        try:
            await self.orders.put(row.replace(state="sent"))
        except Stale:
            raise
        return row.into(Order)

    async def mine(self, page: Paging = FIRST) -> Page[Order]:
        found = await self.orders.page(page, "customer = :me", order="id desc", me=current().me)
        ids = [row.id for row in await self.orders.find(where("id IN ?", ("a", "b")), limit=2)]
        assert_type(ids, list[str])
        return Page(items=tuple(row.into(Order) for row in found.items), next=found.next)

    @on(OrderEnds)
    async def end(self, event: OrderEnds) -> None:
        async with aclosing(self.catalog.prices(event.id)) as prices:
            async for price in prices:
                assert_type(price, Money)

    @every("1h")
    async def tidy(self) -> None:
        await self.threads(print, "tidy")


class OneProduct:
    async def product(self, sku: str, language: str = "en") -> Product:
        return Product(sku=sku, price=Money.of("2.50", "EUR"))

    async def prices(self, sku: str) -> Stream[Money]:
        yield Money.of("2.50", "EUR")


app = App("shop", services=[Catalog, Orders])
app.service(Catalog).by(OneProduct)


async def a_test() -> None:
    async with Bench(OrdersService).given(Catalog).by(OneProduct()) as bench:
        order = await bench.acting("ann", scopes=["orders:write"]).of(Orders).place("tea", 2)
        assert_type(order, Order)
        assert_type(bench.said(OrderPlaced), tuple[OrderPlaced, ...])
