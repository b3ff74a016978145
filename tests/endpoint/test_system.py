"""What every app answers besides its contracts."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from enfilade import anyone, contract, query


@contract(needs=anyone)
class Items(Protocol):
    @query("GET /items")
    async def items(self) -> str: ...


class Service:
    async def items(self) -> str:
        return "items"


@pytest.fixture
def client(serve: Any) -> Any:
    return serve({Items: Service()}, prefix="/api")


async def test_a_process_that_answers_is_alive(client) -> None:
    response = await client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "live"})
    assert response.headers["cache-control"] == "no-store"


async def test_an_app_that_waits_is_not_ready_and_says_for_what(client) -> None:
    client.stage.waiting = ("orders", "search")
    unready = await client.get("/readyz")
    client.stage.waiting = ()
    ready = await client.get("/readyz")

    assert (unready.status_code, unready.json()["waiting"]) == (503, ["orders", "search"])
    assert unready.headers["content-type"] == "application/problem+json"
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_the_numbers_are_in_the_text_format_of_prometheus(client) -> None:
    await client.get("/api/items")
    response = await client.get("/metrics")

    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'operation="items.items"' in response.text


async def test_the_catalog_leads_to_the_descriptions(client) -> None:
    response = await client.get("/.well-known/api-catalog")

    assert response.headers["content-type"].startswith("application/linkset+json")
    assert 'rel="api-catalog"' in response.headers["link"]
    (entry,) = response.json()["linkset"]
    assert entry["anchor"] == "/api/"
    for relation in ("service-desc", "service-doc", "status"):
        assert (await client.get(entry[relation][0]["href"])).status_code == 200


async def test_the_page_asks_no_other_host_for_anything(client) -> None:
    response = await client.get("/api/docs")

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "http" not in policy
    for word in ("<script", "http://", "https://", "<link", "<img", "@import", "url("):
        assert word not in response.text


async def test_the_page_shows_every_operation(client) -> None:
    text = (await client.get("/api/docs")).text

    assert "items.items" in text
    assert "/api/items" in text


async def test_descriptions_are_compressed_and_known_by_their_tag(client) -> None:
    headers = {"Accept-Encoding": "gzip"}
    first = await client.get("/api/openapi.json", headers=headers)
    again = await client.get("/api/openapi.json", headers={**headers, "If-None-Match": first.headers["etag"]})

    assert first.headers["content-encoding"] == "gzip"
    assert first.json()["openapi"] == "3.1.0"
    assert (again.status_code, again.content) == (304, b"")


async def test_descriptions_can_be_left_out(serve) -> None:
    client = serve({Items: Service()}, docs=False)

    for path in ("/docs", "/openapi.json", "/.well-known/api-catalog"):
        assert (await client.get(path)).status_code == 404
    assert (await client.get("/healthz")).status_code == 200


async def test_head_of_a_page_has_no_body(client) -> None:
    response = await client.head("/api/docs")

    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 1000
