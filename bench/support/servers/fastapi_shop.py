"""The shop's order journey in FastAPI: the same data, checks and SQL, in one process or in services that call by HTTP.

python fastapi_shop.py PORT SERVICE, or `all`; SHOP_AT has the addresses of all services, BENCH_FOLDER the databases and
`issuer.json`, whose tokens are believed. The caller's token is passed on, and checked by all who ask whose call it is.

It does less than the shop: no records of idempotency, no outbox (who hears of an order is told once, afterwards), no
limits of rates, no deadlines, no traces, no audit.
"""

import asyncio
import json
import os
import sys
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import permutations
from pathlib import Path
from re import findall
from typing import Annotated, Any
from uuid import uuid4

import aiosqlite
import httpx
import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import BaseModel, Field
from shop_in_pydantic import (
    Basket,
    Charge,
    Contact,
    Convert,
    Hit,
    Item,
    Line,
    Model,
    Money,
    NewOrder,
    Nothing,
    Notification,
    Notifications,
    Order,
    OrderPlaced,
    OrderShipped,
    Payment,
    Product,
    Products,
    Put,
    Quote,
    Reservation,
    Sku,
    Where,
    Which,
    Who,
)

PORT, SERVED = int(sys.argv[1]), sys.argv[2]
AT: dict[str, str] = json.loads(os.environ["SHOP_AT"])
FOLDER = Path(os.environ["BENCH_FOLDER"])
SHOP = Path(__file__).parents[3] / "examples" / "shop"

# -- who calls

KEY = ECKey.import_key(json.loads((FOLDER / "issuer.json").read_text()))
CLAIMS = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": "urn:enfilade:development"}, aud={"essential": True, "value": "shop"},
    exp={"essential": True}, sub={"essential": True},
)  # fmt: skip


class Caller(Model):
    subject: str = ""
    scopes: tuple[str, ...] = ()
    token: str = ""


def caller(authorization: Annotated[str, Header()] = "") -> Caller:
    try:
        token = jwt.decode(authorization.removeprefix("Bearer "), KEY, algorithms=["ES256"])
        CLAIMS.validate(token.claims)
    except (JoseError, ValueError) as wrong:
        raise HTTPException(401) from wrong
    return Caller(subject=token.claims["sub"], scopes=token.claims.get("scope", "").split(), token=authorization)


Me = Annotated[Caller, Depends(caller)]

# -- one another

Function = Callable[[Any, Caller], Awaitable[Any]]
OPERATIONS: dict[str, tuple[Function, type[BaseModel], bool]] = {}
NOBODY = Caller()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global http
    async with httpx.AsyncClient(timeout=30) as http:
        for name, (schema, database) in DATABASES.items():
            if name in HERE:
                await database.open(FOLDER / f"{name}.db", schema)
        yield
        for database in OPENED:
            await database.connection.close()


app = FastAPI(lifespan=lifespan)
http: httpx.AsyncClient
HERE = set(AT) if SERVED == "all" else {SERVED}


def operation(name: str, *, mine: bool = False) -> Callable[[Function], Function]:
    """An operation between services: a POST where its caller is in another process. `mine` needs to know the caller."""
    service = name.partition(".")[0]

    def named(function: Function) -> Function:
        kind, reply = function.__annotations__["asked"], function.__annotations__["return"]
        OPERATIONS[name] = function, reply, mine
        if service in HERE and SERVED != "all":

            async def known(asked: Any, me: Me) -> Any:
                return await function(asked, me)

            async def plain(asked: Any) -> Any:
                return await function(asked, NOBODY)

            endpoint = known if mine else plain
            endpoint.__annotations__ |= {"asked": kind, "return": reply}
            app.post(f"/inside/{name}")(endpoint)
        return function

    return named


async def call(name: str, asked: BaseModel, me: Caller = NOBODY) -> Any:
    """The operation, wherever it is."""
    function, reply, mine = OPERATIONS[name]
    service = name.partition(".")[0]
    if service in HERE:
        return await function(asked, me)
    headers = {"content-type": "application/json", **({"authorization": me.token} if mine else {})}
    answer = await http.post(f"{AT[service]}/inside/{name}", content=asked.model_dump_json(), headers=headers)
    answer.raise_for_status()
    return reply.model_validate_json(answer.content)


async def tell(*names: str, event: BaseModel) -> None:
    """An event to those who hear it."""
    await asyncio.gather(*(call(name, event) for name in names))


# -- databases


class Database:
    async def open(self, path: Path, schema: str) -> None:
        self.connection = await aiosqlite.connect(path, isolation_level=None)
        self._turn = asyncio.Lock()
        await self.connection.executescript(f"PRAGMA journal_mode = wal; PRAGMA synchronous = full; {schema}")
        OPENED.append(self)

    async def rows(self, sql: str, *values: object) -> list[Any]:
        return list(await self.connection.execute_fetchall(sql, values))

    @asynccontextmanager
    async def unit(self) -> AsyncIterator["Database"]:
        async with self._turn:
            await self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self
            except BaseException:
                await self.connection.execute("ROLLBACK")
                raise
            await self.connection.execute("COMMIT")

    async def run(self, sql: str, *values: object) -> None:
        async with self.unit():
            await self.connection.execute(sql, values)


OPENED: list[Database] = []
carts, shelves, paid, ordered, shipped, told, pairs = (Database() for _ in range(7))
DATABASES = {
    "cart": ("CREATE TABLE item (customer, sku, quantity, PRIMARY KEY (customer, sku))", carts),
    "inventory": (
        """CREATE TABLE stock (sku PRIMARY KEY, available CHECK (available >= 0));
        CREATE TABLE held (reservation, sku, quantity, PRIMARY KEY (reservation, sku))""",
        shelves,
    ),
    "payments": ("CREATE TABLE payment (reference PRIMARY KEY, charge, amount, at)", paid),
    "orders": (
        """CREATE TABLE placed (id PRIMARY KEY, customer, told, state, tracking);
        CREATE INDEX customers ON placed (customer)""",
        ordered,
    ),
    "shipping": ("CREATE TABLE shipment (order_id PRIMARY KEY, customer, tracking, at)", shipped),
    "notifications": (
        "CREATE TABLE mail (id PRIMARY KEY, customer, subject, text, at); CREATE INDEX customers ON mail (customer)",
        told,
    ),
    "recommendations": ("CREATE TABLE pair (sku, other, orders, PRIMARY KEY (sku, other))", pairs),
}


def now() -> datetime:
    return datetime.now(UTC)


# -- services

CATALOGUE = {
    one["id"]: Product(
        sku=one["id"], name=one["name"], description=one["description"], picture=one["picture"],
        categories=one["categories"],
        price=Money(
            amount=one["priceUsd"]["units"] + Decimal(one["priceUsd"]["nanos"]).scaleb(-9),
            currency=one["priceUsd"]["currencyCode"],
        ),
    )
    for one in json.loads((SHOP / "catalog" / "products.json").read_text())["products"]
}  # fmt: skip
RATES = {
    code: Decimal(rate)
    for code, rate in json.loads((SHOP / "currency" / "currency_conversion.json").read_text()).items()
}


@operation("catalog.product")
async def product(asked: Which, me: Caller) -> Product:
    if asked.sku not in CATALOGUE:
        raise HTTPException(404)
    return CATALOGUE[asked.sku]


@operation("catalog.everything")
async def everything(asked: Nothing, me: Caller) -> Products:
    return Products(items=tuple(CATALOGUE.values()))


weights: dict[str, dict[str, int]] = {}
names: dict[str, str] = {}


def words(text: str) -> list[str]:
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in findall(r"\w+", plain)]


async def search(q: Annotated[str, Field(min_length=1, max_length=100)], limit: int = 20) -> list[Hit]:
    if not names:
        for one in (await call("catalog.everything", Nothing())).items:
            names[one.sku] = one.name
            for text, weight in ((one.description, 2), (" ".join(one.categories), 4), (one.name, 8)):
                for word in words(text):
                    said = weights.setdefault(word, {})
                    said[one.sku] = max(weight, said.get(one.sku, 0))
    asked: list[dict[str, int]] = []
    for start in words(q):
        best: dict[str, int] = {}
        for word, said in weights.items():
            if word.startswith(start):
                for sku, weight in said.items():
                    best[sku] = max(best.get(sku, 0), weight if word == start else weight // 2)
        asked.append(best)
    found = set.intersection(*map(set, asked)) if asked else set()
    hits = [Hit(sku=sku, name=names[sku], score=sum(one[sku] for one in asked)) for sku in found]
    return sorted(hits, key=lambda hit: (-hit.score, hit.name))[:limit]


@operation("cart.basket", mine=True)
async def basket(asked: Nothing, me: Caller) -> Basket:
    rows = await carts.rows("SELECT sku, quantity FROM item WHERE customer = ? ORDER BY sku", me.subject)
    return Basket(items=tuple(Item(sku=sku, quantity=quantity) for sku, quantity in rows))


async def put(sku: Sku, put: Put, me: Me) -> Basket:
    await call("catalog.product", Which(sku=sku))
    await carts.run(
        "INSERT INTO item VALUES (?, ?, ?) ON CONFLICT (customer, sku) DO UPDATE SET quantity = excluded.quantity",
        me.subject, sku, put.quantity,
    )  # fmt: skip
    return await basket(Nothing(), me)


@operation("cart.bought")
async def bought(asked: OrderPlaced, me: Caller) -> Nothing:
    async with carts.unit() as unit:
        for line in asked.order.lines:
            await unit.connection.execute("DELETE FROM item WHERE customer = ? AND sku = ?", (asked.customer, line.sku))
    return Nothing()


@operation("currency.convert")
async def convert(asked: Convert, me: Caller) -> Money:
    worth = asked.amount.amount * RATES[asked.currency] / RATES[asked.amount.currency]
    return Money(amount=worth.quantize(Decimal("0.01"), ROUND_HALF_EVEN), currency=asked.currency)


@operation("inventory.reserve")
async def reserve(asked: Basket, me: Caller) -> Reservation:
    id = f"res_{uuid4().hex}"
    async with shelves.unit() as unit:
        for item in asked.items:
            rows = await unit.rows("SELECT available FROM stock WHERE sku = ?", item.sku)
            available = rows[0][0] if rows else 1_000_000
            if available < item.quantity:
                raise HTTPException(409)
            await unit.connection.execute(
                "INSERT INTO stock VALUES (?, ?) ON CONFLICT (sku) DO UPDATE SET available = excluded.available",
                (item.sku, available - item.quantity),
            )
            await unit.connection.execute("INSERT INTO held VALUES (?, ?, ?)", (id, item.sku, item.quantity))
    return Reservation(id=id, ends=now() + timedelta(minutes=15))


@operation("inventory.commit")
async def commit(asked: OrderPlaced, me: Caller) -> Nothing:
    await shelves.run("DELETE FROM held WHERE reservation = ?", asked.reservation)
    return Nothing()


@operation("payments.charge")
async def charge(asked: Charge, me: Caller) -> Payment:
    payment = Payment(reference=asked.reference, charge=f"ch_{asked.reference}", amount=asked.amount, at=now())
    amount = asked.amount.model_dump_json()
    await paid.run("INSERT INTO payment VALUES (?, ?, ?, ?)", asked.reference, payment.charge, amount, str(payment.at))
    return payment


@operation("shipping.quote")
async def quote(asked: Where, me: Caller) -> Quote:
    if asked.country == "AQ":
        raise HTTPException(422)
    return Quote(price=Money(amount=Decimal("5.00"), currency="EUR"), days=2)


@operation("shipping.ship")
async def ship(asked: OrderPlaced, me: Caller) -> Nothing:
    tracking = f"RP{asked.order.id}"
    await shipped.run("INSERT INTO shipment VALUES (?, ?, ?, ?)", asked.order.id, asked.customer, tracking, str(now()))
    event = OrderShipped(order_id=asked.order.id, tracking=tracking, customer=asked.customer)
    await tell("orders.on_its_way", "notifications.announce", event=event)
    return Nothing()


async def place(asked: NewOrder, me: Me, later: BackgroundTasks) -> Order:
    if "orders:write" not in me.scopes:
        raise HTTPException(403)
    items = asked.items or (await call("cart.basket", Nothing(), me)).items
    if not items or len({item.sku for item in items}) < len(items):
        raise HTTPException(422)
    lines: list[Line] = []
    for item in items:
        sold = await call("catalog.product", Which(sku=item.sku))
        price = await call("currency.convert", Convert(amount=sold.price, currency=asked.currency))
        lines.append(Line(sku=item.sku, name=sold.name, quantity=item.quantity, price=price))
    pieces = sum(item.quantity for item in items)
    to = Where(country=asked.address.country, postcode=asked.address.postcode, pieces=pieces)
    tariff = await call("shipping.quote", to)
    shipping = await call("currency.convert", Convert(amount=tariff.price, currency=asked.currency))
    total = sum((line.price.amount * line.quantity for line in lines), shipping.amount)
    reservation = await call("inventory.reserve", Basket(items=items))
    money = Money(amount=total, currency=asked.currency)
    await call("payments.charge", Charge(reference=reservation.id, amount=money, card=asked.card))
    order = Order(
        id=f"ord_{uuid4().hex}", lines=tuple(lines), shipping=shipping, total=money, address=asked.address,
        state="placed", tracking="", at=now(), version=1,
    )  # fmt: skip
    await ordered.run(
        "INSERT INTO placed VALUES (?, ?, ?, 'placed', '')", order.id, me.subject, order.model_dump_json()
    )
    event = OrderPlaced(order=order, customer=me.subject, reservation=reservation.id)
    hearers = ("cart.bought", "inventory.commit", "shipping.ship", "notifications.thank", "recommendations.learn")
    later.add_task(tell, *hearers, event=event)
    return order


@operation("orders.on_its_way")
async def on_its_way(asked: OrderShipped, me: Caller) -> Nothing:
    await ordered.run("UPDATE placed SET state = 'shipped', tracking = ? WHERE id = ?", asked.tracking, asked.order_id)
    return Nothing()


@operation("accounts.contact")
async def contact(asked: Who, me: Caller) -> Contact:
    return Contact(name="Ann Arbor", email=f"{asked.account}@example.com")


async def write(id: str, customer: str, subject: str, text: str) -> None:
    to = await call("accounts.contact", Who(account=customer))
    text = f"Dear {to.name},\n\n{text}\n\nYour shop\n"
    await told.run("INSERT INTO mail VALUES (?, ?, ?, ?, ?)", id, customer, subject, text, str(now()))


@operation("notifications.thank")
async def thank(asked: OrderPlaced, me: Caller) -> Nothing:
    order = asked.order
    rows = [(f"{line.quantity} x {line.name}", line.price.amount * line.quantity) for line in order.lines]
    rows += [("Shipping", order.shipping.amount), ("Total", order.total.amount)]
    text = "\n".join(f"{name:<32}{f'{amount} {order.total.currency}':>16}" for name, amount in rows)
    await write(f"receipt-{order.id}", asked.customer, f"Your order {order.id}", text)
    return Nothing()


@operation("notifications.announce")
async def announce(asked: OrderShipped, me: Caller) -> Nothing:
    text = f"Follow your parcel by its number: {asked.tracking}"
    await write(f"shipped-{asked.order_id}", asked.customer, "Your order is on its way", text)
    return Nothing()


async def sent(me: Me) -> Notifications:
    rows = await told.rows(
        "SELECT id, subject, text, at FROM mail WHERE customer = ? ORDER BY at DESC, id DESC LIMIT 20", me.subject
    )
    return Notifications(items=tuple(Notification(id=a, subject=b, text=c, at=d) for a, b, c, d in rows))


@operation("recommendations.learn")
async def learn(asked: OrderPlaced, me: Caller) -> Nothing:
    async with pairs.unit() as unit:
        for sku, other in permutations((line.sku for line in asked.order.lines), 2):
            await unit.connection.execute(
                "INSERT INTO pair VALUES (?, ?, 1) ON CONFLICT (sku, other) DO UPDATE SET orders = orders + 1",
                (sku, other),
            )
    return Nothing()


if "search" in HERE:
    app.get("/search")(search)
if "cart" in HERE:
    app.put("/cart/items/{sku}")(put)
if "orders" in HERE:
    app.post("/orders", status_code=201)(place)
if "notifications" in HERE:
    app.get("/notifications")(sent)
uvicorn.run(app, port=PORT, log_level="warning", access_log=False, loop="uvloop", http="httptools")
