"""How often: held at the edge as the contracts say it, for each gateway its part."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from enfilade import Rate, anyone, signed_in
from enfilade.edge import Route, Share

pytestmark = pytest.mark.asyncio(loop_scope="session")


def limited(path: str, *rates: Rate, **more: Any) -> Route:
    return Route(
        id=path.strip("/"), path=path, methods=("GET",), to=(Share(upstream="first"),), rates=rates, service="s", **more
    )


async def asked(town: Any, path: str, many: int, **fields: str) -> Counter[int]:
    return Counter([(await town.outside.get(path, headers=fields)).status_code for _ in range(many)])


async def test_each_caller_has_a_bucket_of_his_own(town: Any) -> None:
    await town.serve(limited("/few", Rate("3/minute"), need=signed_in))

    assert await asked(town, "/few", 5, **town.bearer("a")) == {200: 3, 429: 2}
    assert await asked(town, "/few", 5, **town.bearer("b")) == {200: 3, 429: 2}
    assert await asked(town, "/few", 5, **town.bearer("a")) == {429: 5}


async def test_who_is_refused_hears_when_to_come_again(town: Any) -> None:
    await town.serve(limited("/few", Rate("1/minute"), need=anyone))
    await town.outside.get("/few")

    refused = await town.outside.get("/few")

    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_strangers_are_counted_by_address_and_not_with_callers(town: Any) -> None:
    await town.serve(limited("/few", Rate("2/minute"), need=anyone))

    assert await asked(town, "/few", 3) == {200: 2, 429: 1}
    assert await asked(town, "/few", 3, **town.bearer("a")) == {200: 2, 429: 1}


async def test_rates_of_one_name_are_one(town: Any) -> None:
    await town.serve(limited("/one", Rate("4/minute", name="both")), limited("/two", Rate("4/minute", name="both")))

    assert await asked(town, "/one", 3) == {200: 3}
    assert await asked(town, "/two", 3) == {200: 1, 429: 2}


async def test_a_call_takes_what_it_costs(town: Any) -> None:
    await town.serve(limited("/dear", Rate("10/minute", cost=5, per="everyone")))

    assert await asked(town, "/dear", 4) == {200: 2, 429: 2}


async def test_a_tenant_and_a_client_are_counted_as_one(town: Any) -> None:
    await town.serve(limited("/few", Rate("2/minute", per="tenant"), need=signed_in))

    first = await asked(town, "/few", 2, **town.bearer("a", tenant="acme"))
    second = await asked(town, "/few", 2, **town.bearer("b", tenant="acme"))
    other = await asked(town, "/few", 2, **town.bearer("c", tenant="bolt"))

    assert (first, second, other) == ({200: 2}, {429: 2}, {200: 2})


async def test_two_gateways_let_half_through_each(town: Any) -> None:
    await town.serve(limited("/few", Rate("6/minute", per="address")), gateways=2)

    assert await asked(town, "/few", 5) == {200: 3, 429: 2}


@pytest.mark.parametrize(
    "rate", [Rate("1/day"), Rate("1/minute", plan=True), Rate("1B/minute"), Rate("1/minute", per="agent")]
)
async def test_what_only_a_service_can_count_is_left_to_it(town: Any, rate: Rate) -> None:
    await town.serve(limited("/few", rate))

    assert await asked(town, "/few", 3) == {200: 3}


async def test_the_edge_and_the_process_count_alike(town: Any) -> None:
    process = Counter([(await town.process.get("/counted")).status_code for _ in range(5)])
    assert process == {200: 3, 429: 2}
    outside = await asked(town, "/weighed", 4, **town.bearer("x"))

    assert outside == {200: 2, 429: 2}


async def test_a_change_of_routes_forgets_no_bucket(town: Any) -> None:
    few = limited("/few", Rate("2/minute", name="kept", per="everyone"))
    await town.serve(few)
    assert await asked(town, "/few", 2) == {200: 2}
    await town.serve(few, Route(id="more", path="/more", to=(Share(upstream="first"),)))

    assert await asked(town, "/few", 2) == {429: 2}
