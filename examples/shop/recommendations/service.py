"""Learns from each order which products are bought together."""

from dataclasses import dataclass
from itertools import permutations
from typing import final

from enfilade.service import Key, Row, Table, atomic, on
from shop.catalog.contract import Sku
from shop.orders.contract import OrderPlaced
from shop.recommendations.contract import Limit, Recommendation, Recommendations


class PairRow(Row):
    sku: Key[str]
    other: Key[str]
    orders: int
    """How many orders had both."""


@final
@dataclass
class RecommendationsService(Recommendations):
    pairs: Table[PairRow]

    async def bought_with(self, sku: Sku, limit: Limit = 5) -> tuple[Recommendation, ...]:
        pairs = await self.pairs.find("sku = :sku", sku=sku, order="orders desc, other", limit=limit)
        return tuple(Recommendation(sku=pair.other, orders=pair.orders) for pair in pairs)

    @on(OrderPlaced)
    @atomic
    async def learn(self, event: OrderPlaced) -> None:
        """Count each pair of the order, both ways round."""
        pairs = list(permutations((line.sku for line in event.order.lines), 2))
        known = {(row.sku, row.other): row.orders for row in await self.pairs.lock(*pairs)}
        rows = [PairRow(sku=sku, other=other, orders=known.get((sku, other), 0) + 1) for sku, other in pairs]
        await self.pairs.put(*rows)
