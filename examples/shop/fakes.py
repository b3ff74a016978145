"""Stand-ins for tests: a small catalogue, and the outside systems as they are and as they fail."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from enfilade import Money, Offset, Slice, Unavailable
from shop.carrier.contract import AddressRefused, Parcel, Tariff
from shop.catalog.contract import START, Product, ProductPage, UnknownProduct
from shop.orders.contract import Order, OrderLine, OrderPlaced
from shop.psp.contract import CardDeclined, Charge, UnknownCharge
from shop.shipping.contract import Address

HOME = Address(name="Ann Arbor", street="Teestrasse 1", city="Zurich", postcode="8001", country="CH")
ANTARCTICA = Address(name="Ann Arbor", street="Ice 1", city="McMurdo", postcode="0", country="AQ")


def product(sku: str, name: str, price: str, description: str = "", categories: tuple[str, ...] = ()) -> Product:
    money = Money.of(price, "USD")
    return Product(sku=sku, name=name, description=description, picture="", price=money, categories=categories)


class SmallCatalog:
    """Tea for 4.50 and cups for 12.00, or what it is given."""

    def __init__(self, *products: Product) -> None:
        self.all = products or (product("tea", "Tea", "4.50"), product("cup", "Cup", "12.00"))

    async def products(self, category: str = "", page: Offset = START) -> Slice[Product]:
        return Slice(items=self.all, total=len(self.all))

    async def product(self, sku: str) -> Product:
        for one in self.all:
            if one.sku == sku:
                return one
        raise UnknownProduct(sku=sku)

    async def page(self, sku: str) -> ProductPage:
        return ProductPage(product=await self.product(sku), bought_with=())

    async def everything(self) -> tuple[Product, ...]:
        return self.all


class FakePsp:
    """Charges every card but `tok_declined`; of `tok_timeout` the answer is lost, at `tok_error` nothing happens."""

    def __init__(self) -> None:
        self.charges: dict[str, Charge] = {}

    async def charge(self, reference: str, amount: Money, card: str) -> Charge:
        if card == "tok_declined":
            raise CardDeclined(reason="insufficient funds")
        if card == "tok_error":
            raise Unavailable("out of order")
        new = Charge(id=f"ch_{len(self.charges) + 1}", reference=reference, amount=amount)
        charge = self.charges.setdefault(reference, new)
        if card == "tok_timeout":
            raise Unavailable("too late")
        return charge

    async def charged(self, reference: str) -> Charge:
        if reference not in self.charges:
            raise UnknownCharge()
        return self.charges[reference]


class FakeCarrier:
    """EUR 5.00 a parcel, everywhere but to Antarctica."""

    def __init__(self) -> None:
        self.parcels: dict[str, Parcel] = {}

    async def tariff(self, country: str, postcode: str, pieces: int) -> Tariff:
        if country == "AQ":
            raise AddressRefused(reason="too cold")
        return Tariff(price=Money.of("5.00", "EUR"), days=2)

    async def send(
        self, reference: str, name: str, street: str, city: str, postcode: str, country: str, pieces: int
    ) -> Parcel:
        return self.parcels.setdefault(reference, Parcel(reference=reference, tracking=f"RP{len(self.parcels) + 1}"))


class FakeMail:
    """Keeps what was sent; while it is `down` it does not answer."""

    def __init__(self) -> None:
        self.sent: dict[str, tuple[str, str]] = {}
        """Recipient and text by id."""
        self.down = False

    async def send(self, id: str, to: str, subject: str, text: str) -> None:
        if self.down:
            raise Unavailable("the mail server is down")
        self.sent.setdefault(id, (to, text))


def placed(id: str = "ord_1", customer: str = "ann", reservation: str = "res_1", **pieces: int) -> OrderPlaced:
    """What is said when a customer has bought so many pieces of each sku, for a franc each."""
    franc = Money(amount=Decimal(1), currency="CHF")
    bought: Mapping[str, int] = pieces or {"tea": 1}
    order = Order(
        id=id,
        lines=tuple(OrderLine(sku=sku, name=sku.title(), quantity=count, price=franc) for sku, count in bought.items()),
        shipping=franc,
        total=franc * (sum(bought.values()) + 1),
        address=HOME,
        state="placed",
        tracking="",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        version=1,
    )
    return OrderPlaced(order=order, customer=customer, reservation=reservation)
