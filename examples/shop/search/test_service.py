from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from enfilade.testing import Bench
from shop.catalog.contract import Catalog
from shop.fakes import SmallCatalog, product
from shop.search.contract import Search
from shop.search.service import SearchService


@pytest.fixture
def catalog() -> SmallCatalog:
    return SmallCatalog(
        product("jar", "Glass Jar", "10.00", "Holds tea.", ("kitchen",)),
        product("pot", "Teapot", "25.00", "For tea, made of glass.", ("kitchen",)),
        product("sun", "Sunglasses", "19.99", "Très chic.", ("accessories",)),
    )


@pytest.fixture
async def bench(catalog: SmallCatalog) -> AsyncIterator[Bench]:
    async with Bench(SearchService).given(Catalog).by(catalog) as bench:
        yield bench


async def found(bench: Bench, text: str, limit: int = 20) -> list[str]:
    return [hit.sku for hit in await bench.nobody.of(Search).search(text, limit)]


async def test_a_name_counts_more_than_a_description(bench: Bench) -> None:
    assert await found(bench, "glass") == ["jar", "pot"]


async def test_all_words_must_be_there(bench: Bench) -> None:
    assert await found(bench, "kitchen jar") == ["jar"]
    assert await found(bench, "chic jar") == []


async def test_the_beginning_of_a_word_finds_it(bench: Bench) -> None:
    assert await found(bench, "sungl") == ["sun"]


async def test_case_accents_and_plurals_do_not_matter(bench: Bench) -> None:
    assert await found(bench, "TRES") == ["sun"]
    assert await found(bench, "Jars") == ["jar"]


async def test_no_word_finds_nothing(bench: Bench) -> None:
    assert await found(bench, "?!") == []


async def test_no_more_than_the_limit_are_given(bench: Bench) -> None:
    assert await found(bench, "tea", limit=1) == ["pot"]


async def test_the_index_follows_the_catalog(bench: Bench, catalog: SmallCatalog) -> None:
    await found(bench, "tea")
    catalog.all = (product("cup", "Teacup", "12.00"),)

    await bench.advance(timedelta(minutes=10))

    assert await found(bench, "tea") == ["cup"]
