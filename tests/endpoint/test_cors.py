"""Pages of other origins: who has leave, and for what."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from enfilade import Header, anyone, contract, query
from enfilade.endpoint import Cors

SHOP = "https://shop.example"


@contract(needs=anyone)
class Items(Protocol):
    @query("GET /items")
    async def items(self, x_channel: Header[str] = "") -> str: ...


class Service:
    async def items(self, x_channel: str = "") -> str:
        return "items"


def client(serve: Any, **said: Any) -> Any:
    return serve({Items: Service()}, cors=Cors(**{"origins": (SHOP,), **said}))


PREFLIGHT = {"Origin": SHOP, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-channel"}


async def test_an_origin_with_leave_may_read_the_answer_and_its_fields(serve) -> None:
    response = await client(serve).get("/items", headers={"Origin": SHOP})

    assert response.headers["access-control-allow-origin"] == SHOP
    assert "ETag" in response.headers["access-control-expose-headers"]
    assert "Origin" in response.headers["vary"]
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://shop.example.evil.example", "http://shop.example"]
)
async def test_another_origin_has_no_leave(serve, origin: str) -> None:
    shop = client(serve)
    got = await shop.get("/items", headers={"Origin": origin})
    asked = await shop.options("/items", headers={**PREFLIGHT, "Origin": origin})

    assert not [name for response in (got, asked) for name in response.headers if name.startswith("access-control")]
    assert "Origin" in got.headers["vary"]


async def test_a_preflight_is_told_methods_and_headers(serve) -> None:
    response = await client(serve, max_age=60).options("/items", headers=PREFLIGHT)

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == SHOP
    assert response.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "X-Channel" in response.headers["access-control-allow-headers"]
    assert "Authorization" in response.headers["access-control-allow-headers"]
    assert response.headers["access-control-max-age"] == "60"


async def test_every_origin_may_have_leave_and_credentials_only_named_ones(serve) -> None:
    response = await client(serve, origins=("*",)).get("/items", headers={"Origin": "https://any.example"})
    assert response.headers["access-control-allow-origin"] == "*"

    named = await client(serve, credentials=True).get("/items", headers={"Origin": SHOP})
    assert named.headers["access-control-allow-credentials"] == "true"

    with pytest.raises(ValueError, match="no protection"):
        Cors(origins=("*",), credentials=True)


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "https://shop.example/path"])
def test_an_origin_that_is_none_is_told_at_once(origin: str) -> None:
    with pytest.raises(ValueError, match="an origin is written like"):
        Cors(origins=(origin,))


async def test_problems_may_be_read_too(serve) -> None:
    response = await client(serve).get("/nowhere", headers={"Origin": SHOP})

    assert (response.status_code, response.headers["access-control-allow-origin"]) == (404, SHOP)


async def test_without_cors_nothing_is_said(serve) -> None:
    response = await serve({Items: Service()}).get("/items", headers={"Origin": SHOP})

    assert not [name for name in response.headers if name.startswith("access-control")]
