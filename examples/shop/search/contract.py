"""Search: finds products by what is written about them."""

from typing import Annotated, Protocol

from enfilade import Level, Message, Meta, anyone, contract, query

Words = Annotated[str, Meta(min_length=1, max_length=100, examples=["kitchen jar"])]
Limit = Annotated[int, Meta(ge=1, le=100)]


class Hit(Message):
    """A product that has all the words. A higher score is a better match; scores compare within one answer."""

    sku: str
    name: str
    score: int


@contract(owner="merchandise", version=1, needs=anyone, level=Level(p99=0.1, availability=0.99))
class Search(Protocol):
    @query("GET /search")
    async def search(self, q: Words, limit: Limit = 20) -> tuple[Hit, ...]:
        """Products with all these words, or words that begin so; the best first."""
        ...
