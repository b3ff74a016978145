"""Recommendations: what is often bought together."""

from typing import Annotated, Protocol

from enfilade import Level, Message, Meta, anyone, contract, query
from shop.catalog.contract import Sku

Limit = Annotated[int, Meta(ge=1, le=20)]


class Recommendation(Message):
    """A product, and in how many orders it came with the other."""

    sku: str
    orders: int


@contract(owner="merchandise", version=1, needs=anyone, level=Level(p99=0.1, availability=0.99))
class Recommendations(Protocol):
    @query("GET /recommendations")
    async def bought_with(self, sku: Sku, limit: Limit = 5) -> tuple[Recommendation, ...]:
        """Products that were bought together with this one, the most frequent first."""
        ...
