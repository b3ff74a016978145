"""An inverted index of the catalogue: from each word to the products that have it, and how much it says of them.

Each process has its own, in memory, so that it is the same on every engine; it follows the catalog every ten minutes.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from enfilade.service import every
from shop.catalog.contract import Catalog, Product
from shop.search.contract import Hit, Limit, Search, Words

_NAME, _CATEGORY, _DESCRIPTION = 8, 4, 2
"""What a word says of a product, by where it stands. A word that only begins so says half of it."""


@final
@dataclass
class SearchService(Search):
    catalog: Catalog
    _index: "Index | None" = field(default=None, init=False)

    async def search(self, q: Words, limit: Limit = 20) -> tuple[Hit, ...]:
        index = self._index or await self._read()
        return index.find(q)[:limit]

    @every("10m", where="replica")
    async def refresh(self) -> None:
        """Follow the catalog."""
        await self._read()

    async def _read(self) -> "Index":
        self._index = Index(await self.catalog.everything())
        return self._index


class Index:
    """Finds products by their words."""

    def __init__(self, products: Iterable[Product]) -> None:
        self._names: dict[str, str] = {}
        self._weights: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """By word and sku."""
        for product in products:
            self._names[product.sku] = product.name
            self._add(product.sku, product.description, _DESCRIPTION)
            self._add(product.sku, " ".join(product.categories), _CATEGORY)
            self._add(product.sku, product.name, _NAME)

    def find(self, text: str) -> tuple[Hit, ...]:
        """The products that have all words of the text, the best first."""
        asked = [self._scores(word) for word in words(text)]
        scores = {sku: sum(one[sku] for one in asked) for sku in _in_all(asked)}
        hits = [Hit(sku=sku, name=self._names[sku], score=score) for sku, score in scores.items()]
        return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.name)))

    def _add(self, sku: str, text: str, weight: int) -> None:
        for word in words(text):
            self._weights[word][sku] = max(weight, self._weights[word].get(sku, 0))

    def _scores(self, asked: str) -> Mapping[str, int]:
        """By sku, the best that any word says which is the one that is asked for, or begins so."""
        best: dict[str, int] = {}
        for word, weights in self._weights.items():
            if word.startswith(asked):
                for sku, weight in weights.items():
                    best[sku] = max(best.get(sku, 0), weight if word == asked else weight // 2)
        return best


def words(text: str) -> tuple[str, ...]:
    """The words of a text as they are compared: without case, accents and the plural's s."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return tuple(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in re.findall(r"\w+", plain))


def _in_all(asked: list[Mapping[str, int]]) -> set[str]:
    return set[str].intersection(*(set(one) for one in asked)) if asked else set()
