import pytest

from enfilade import Money, Offset, Unavailable
from enfilade.testing import Bench
from shop.catalog.contract import Catalog, UnknownProduct
from shop.catalog.service import CatalogService
from shop.recommendations.contract import Recommendation, Recommendations

MUG, JAR = "6E92ZMYYFZ", "9SIQT8TOJO"


class Friends:
    """Recommends a jar, and what is not sold any more; or does not answer."""

    def __init__(self, *, down: bool = False) -> None:
        self.down = down

    async def bought_with(self, sku: str, limit: int = 5) -> tuple[Recommendation, ...]:
        if self.down:
            raise Unavailable
        return (Recommendation(sku=JAR, orders=2), Recommendation(sku="tea", orders=1))


def stage(*, down: bool = False) -> Bench:
    return Bench(CatalogService).given(Recommendations).by(Friends(down=down))


async def test_the_catalogue_is_sorted_by_name_and_cut_into_slices() -> None:
    async with stage() as bench:
        catalog = bench.nobody.of(Catalog)

        first = await catalog.products(page=Offset(limit=2))
        second = await catalog.products(page=Offset(offset=2, limit=2))

        assert [one.name for one in first.items] == ["Bamboo Glass Jar", "Candle Holder"]
        assert [one.name for one in second.items] == ["Hairdryer", "Loafers"]
        assert first.total == 9


async def test_a_category_is_a_part_of_the_catalogue() -> None:
    async with stage() as bench:
        found = await bench.nobody.of(Catalog).products("kitchen")

        assert {one.name for one in found.items} == {"Bamboo Glass Jar", "Mug", "Salt & Pepper Shakers"}


async def test_prices_are_exact() -> None:
    async with stage() as bench:
        mug = await bench.nobody.of(Catalog).product(MUG)

        assert mug.price == Money.of("8.99", "USD")


async def test_what_is_not_sold_is_unknown() -> None:
    async with stage() as bench:
        with pytest.raises(UnknownProduct) as refused:
            await bench.nobody.of(Catalog).product("tea")

        assert refused.value.sku == "tea"


async def test_a_page_shows_what_others_bought_with_it() -> None:
    async with stage() as bench:
        page = await bench.nobody.of(Catalog).page(MUG)

        assert (page.product.name, [one.name for one in page.bought_with]) == ("Mug", ["Bamboo Glass Jar"])


async def test_a_page_is_shown_without_recommendations_where_there_are_none() -> None:
    async with stage(down=True) as bench:
        page = await bench.nobody.of(Catalog).page(MUG)

        assert (page.product.name, page.bought_with) == ("Mug", ())
