"""Catalog: what the shop sells, and for how much."""

from typing import Annotated, Protocol

from enfilade import Level, Message, Meta, Money, Offset, Problem, Slice, anyone, contract, peers, query

Sku = Annotated[str, Meta(pattern="^[A-Za-z0-9-]+$", max_length=40, examples=["OLJCESPC7Z"])]
"""The shop's number of a product (stock keeping unit)."""

Quantity = Annotated[int, Meta(ge=1, le=100)]

START = Offset()


class Product(Message):
    """Something that can be bought. The price is without shipping."""

    sku: str
    name: str
    description: str
    picture: str
    price: Money
    categories: tuple[str, ...]


class ProductPage(Message):
    """What a customer sees of a product."""

    product: Product
    bought_with: tuple[Product, ...]
    """What others bought with it, the most frequent first; none where nobody can say so at the moment."""


class Item(Message):
    """So many of one product: in a cart, in an order, on a shelf."""

    sku: Sku
    quantity: Quantity


class UnknownProduct(Problem, status=404):
    """The shop does not sell this."""

    sku: str


@contract(owner="merchandise", version=1, needs=anyone, level=Level(p99=0.05, availability=0.9995))
class Catalog(Protocol):
    @query("GET /products")
    async def products(self, category: str = "", page: Offset = START) -> Slice[Product]:
        """Products by name; all of them, or those of a category."""
        ...

    @query("GET /products/{sku}", raises=[UnknownProduct])
    async def product(self, sku: Sku) -> Product:
        """One product at today's price."""
        ...

    @query("GET /products/{sku}/page", raises=[UnknownProduct])
    async def page(self, sku: Sku) -> ProductPage:
        """One product, with what others bought with it."""
        ...

    @query(needs=peers)
    async def everything(self) -> tuple[Product, ...]:
        """The whole catalogue, for those who index it."""
        ...
