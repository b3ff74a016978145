import pytest

from enfilade import Money, Offset
from enfilade.testing import Bench
from shop.catalog.contract import Catalog, UnknownProduct
from shop.catalog.service import CatalogService


async def test_the_catalogue_is_sorted_by_name_and_cut_into_slices() -> None:
    async with Bench(CatalogService) as bench:
        catalog = bench.nobody.of(Catalog)

        first = await catalog.products(page=Offset(limit=2))
        second = await catalog.products(page=Offset(offset=2, limit=2))

        assert [one.name for one in first.items] == ["Bamboo Glass Jar", "Candle Holder"]
        assert [one.name for one in second.items] == ["Hairdryer", "Loafers"]
        assert first.total == 9


async def test_a_category_is_a_part_of_the_catalogue() -> None:
    async with Bench(CatalogService) as bench:
        found = await bench.nobody.of(Catalog).products("kitchen")

        assert {one.name for one in found.items} == {"Bamboo Glass Jar", "Mug", "Salt & Pepper Shakers"}


async def test_prices_are_exact() -> None:
    async with Bench(CatalogService) as bench:
        mug = await bench.nobody.of(Catalog).product("6E92ZMYYFZ")

        assert mug.price == Money.of("8.99", "USD")


async def test_what_is_not_sold_is_unknown() -> None:
    async with Bench(CatalogService) as bench:
        with pytest.raises(UnknownProduct) as refused:
            await bench.nobody.of(Catalog).product("tea")

        assert refused.value.sku == "tea"
