from enfilade.testing import Bench
from shop.fakes import placed
from shop.recommendations.contract import Recommendation, Recommendations
from shop.recommendations.service import RecommendationsService


async def test_what_is_bought_together_is_recommended_the_most_frequent_first() -> None:
    async with Bench(RecommendationsService) as bench:
        await bench.hear(placed("ord_1", tea=1, cup=1))
        await bench.hear(placed("ord_2", tea=1, cup=3, pot=1))

        found = await bench.nobody.of(Recommendations).bought_with("tea")

        assert found == (Recommendation(sku="cup", orders=2), Recommendation(sku="pot", orders=1))


async def test_an_order_of_one_product_teaches_nothing() -> None:
    async with Bench(RecommendationsService) as bench:
        await bench.hear(placed("ord_1", tea=5))

        assert await bench.nobody.of(Recommendations).bought_with("tea") == ()


async def test_no_more_than_the_limit_are_given() -> None:
    async with Bench(RecommendationsService) as bench:
        await bench.hear(placed("ord_1", tea=1, cup=1, pot=1, jar=1))

        answer = await bench.http.get("/recommendations", params={"sku": "tea", "limit": 2})

        assert [one["sku"] for one in answer.json()] == ["cup", "jar"]
