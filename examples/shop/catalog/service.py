"""The catalogue is a file that is released with the shop: read once, kept in memory, the same in every process."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import final

from enfilade import Message, Money, Offset, Slice, Unavailable
from enfilade.contract.codec import codec
from enfilade.service import deadline
from shop.catalog.contract import START, Catalog, Product, ProductPage, Sku, UnknownProduct
from shop.recommendations.contract import Recommendations

_FILE = Path(__file__).with_name("products.json")
_PATIENCE = 0.3
"""Seconds that a page waits for what it can do without."""


@final
class CatalogService(Catalog):
    def __init__(self, recommendations: Recommendations) -> None:
        self._recommendations = recommendations
        self._products = _read(_FILE)

    async def products(self, category: str = "", page: Offset = START) -> Slice[Product]:
        found = [one for one in self._products.values() if not category or category in one.categories]
        return Slice(items=tuple(found[page.offset : page.offset + page.limit]), total=len(found))

    async def product(self, sku: Sku) -> Product:
        if sku not in self._products:
            raise UnknownProduct(sku=sku)
        return self._products[sku]

    async def page(self, sku: Sku) -> ProductPage:
        return ProductPage(product=await self.product(sku), bought_with=await self._bought_with(sku))

    async def _bought_with(self, sku: str) -> tuple[Product, ...]:
        try:
            with deadline(_PATIENCE):
                found = await self._recommendations.bought_with(sku)
        except Unavailable:
            return ()  # nobody leaves a page because it recommends nothing
        return tuple(self._products[one.sku] for one in found if one.sku in self._products)

    async def everything(self) -> tuple[Product, ...]:
        return tuple(self._products.values())


class _Price(Message):
    currency_code: str
    units: int
    nanos: int
    """Billionths of a unit."""

    def money(self) -> Money:
        return Money(amount=self.units + Decimal(self.nanos).scaleb(-9), currency=self.currency_code)


class _Entry(Message):
    id: str
    name: str
    description: str
    picture: str
    price_usd: _Price
    categories: tuple[str, ...]


class _Catalogue(Message):
    products: tuple[_Entry, ...]


def _read(file: Path) -> Mapping[str, Product]:
    """The file's products by their sku, in the order of their names."""
    entries = codec(_Catalogue, names="camel").decode(file.read_bytes()).products
    return {
        one.id: Product(
            sku=one.id,
            name=one.name,
            description=one.description,
            picture=one.picture,
            price=one.price_usd.money(),
            categories=one.categories,
        )
        for one in sorted(entries, key=lambda one: one.name)
    }
