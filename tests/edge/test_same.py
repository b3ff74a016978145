"""The edge answers as a process alone does: the same requests, asked of both; and of the app split behind its edge."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON = {"content-type": "application/json"}
SHOP = {"origin": "https://shop.example"}
EVIL = {"origin": "https://evil.example"}
ASKS = {"access-control-request-method": "POST"}

PUBLIC: list[tuple[str, str, dict[str, str], bytes, int]] = [
    ("GET", "/parcels/p1", {}, b"", 200),
    ("GET", "/parcels/latest", {}, b"", 200),
    ("GET", "/parcels/p%20one", {}, b"", 200),
    ("GET", "/parcels/p1?unknown=1", {}, b"", 422),
    ("HEAD", "/parcels/p1", {}, b"", 200),
    ("OPTIONS", "/parcels/p1", {}, b"", 204),
    ("OPTIONS", "/parcels", {**SHOP, **ASKS}, b"", 204),
    ("OPTIONS", "/parcels", {**EVIL, **ASKS}, b"", 204),
    ("GET", "/parcels/p1", SHOP, b"", 200),
    ("GET", "/parcels/p1", EVIL, b"", 200),
    ("GET", "/nowhere", {}, b"", 404),
    ("GET", "/nowhere", SHOP, b"", 404),
    ("PATCH", "/parcels/p1", SHOP, b"", 405),
    ("GET", "/parcels", SHOP, b"", 401),
    ("GET", "/", {}, b"", 404),
    ("GET", "/parcels/", {}, b"", 404),
    ("GET", "/parcels/p1/", {}, b"", 404),
    ("GET", "/parcels/p1/more", {}, b"", 404),
    ("GET", "/PARCELS/p1", {}, b"", 404),
    ("GET", "/inside", {}, b"", 404),
    ("OPTIONS", "/nowhere", {}, b"", 404),
    ("PATCH", "/parcels/p1", {}, b"", 405),
    ("POST", "/parcels/latest", {}, b"", 405),
    ("BREW", "/parcels/p1", {}, b"", 400),
    ("PUT", "/large", {}, b"", 405),
    ("GET", "/parcels", {}, b"", 401),
    ("POST", "/parcels", JSON, b"{}", 401),
    ("DELETE", "/parcels/p1", {}, b"", 401),
    ("GET", "/parcels", {"authorization": "Bearer x.y.z"}, b"", 401),
    ("GET", "/parcels/p1", {"authorization": "Bearer x.y.z"}, b"", 401),
    ("GET", "/parcels/p1", {"authorization": "Bearer nonsense"}, b"", 401),
    ("GET", "/parcels/p1", {"authorization": "Basic YTpi"}, b"", 401),
    ("GET", "/parcels?access_token=x.y.z", {}, b"", 401),
    ("GET", "/slow", {}, b"", 504),
    ("GET", "/parcels/p1/way", {}, b"", 200),
    ("PUT", "/parcels/p1/label", {"content-type": "application/octet-stream"}, b"x" * 300_000, 200),
    ("GET", "/healthz", {}, b"", 200),
    ("GET", "/readyz", {}, b"", 200),
    ("GET", "/openapi.json", {}, b"", 200),
    ("GET", "/large", {"accept-encoding": "gzip"}, b"", 200),
]

SIGNED: list[tuple[str, str, dict[str, Any], bytes, int]] = [
    ("GET", "/parcels", {}, b"", 200),
    ("GET", "/parcels/p1", {}, b"", 200),
    ("GET", "/inside", {}, b"", 404),
    ("POST", "/parcels", {}, b'{"to": "bob"}', 403),
    ("POST", "/parcels", {"scopes": ["parcels:writer"]}, b'{"to": "bob"}', 403),
    ("POST", "/parcels", {"scopes": ["a", "parcels:write"]}, b'{"to": "bob"}', 201),
    ("POST", "/parcels", {"scopes": ["parcels:write"]}, b'{"to": 1}', 422),
    ("POST", "/parcels", {"scopes": ["parcels:write"]}, b'{"to": "%s"}' % (b"x" * 5000), 413),
    ("DELETE", "/parcels/p1", {}, b"", 403),
    ("DELETE", "/parcels/p1", {"roles": ["guest"]}, b"", 403),
    ("DELETE", "/parcels/p1", {"roles": ["clerk"]}, b"", 204),
    ("DELETE", "/parcels/p1", {"scopes": ["parcels:all"]}, b"", 204),
]

FIELDS = (
    "content-type", "allow", "www-authenticate", "access-control-allow-origin", "access-control-allow-methods",
    "access-control-allow-headers", "access-control-allow-credentials", "access-control-max-age",
    "access-control-expose-headers", "cache-control", "x-content-type-options", "content-encoding", "etag",
)  # fmt: skip


@pytest.fixture(params=["town", "arranged"])
def place(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


async def same(place: Any, method: str, path: str, fields: dict[str, str], body: bytes) -> int:
    """What both answer, which is the same."""
    ours = await place.process.request(method, path, headers=fields, content=body)
    edges = await place.outside.request(method, path, headers=fields, content=body)
    assert edges.status_code == ours.status_code
    assert heads(edges) == heads(ours)
    if ours.headers.get("content-type") == "application/problem+json" and method != "HEAD":
        told = {name: ours.json().get(name) for name in ("type", "title", "status", "instance", "allow", "limit")}
        assert {name: edges.json().get(name) for name in told} == told
        if ours.status_code != 400:  # what is no HTTP has no trace
            assert len(edges.json()["trace_id"]) == 32
            assert edges.headers["trace-id"] == edges.json()["trace_id"]
    return int(ours.status_code)


def heads(answer: Any) -> dict[str, str | None]:
    """The fields that matter; only the split app has somebody who can be asked for a token, and says so."""
    found = {name: answer.headers.get(name) for name in FIELDS}
    if (asks := found["www-authenticate"]) is not None:
        found["www-authenticate"] = asks.partition(", resource_metadata=")[0]
    if answer.request.url.path == "/openapi.json":
        found["etag"] = None  # and describes that
    return found


@pytest.mark.parametrize(("method", "path", "fields", "body", "status"), PUBLIC)
async def test_a_stranger_is_answered_the_same(
    place: Any, method: str, path: str, fields: dict[str, str], body: bytes, status: int
) -> None:
    assert await same(place, method, path, fields, body) == status


@pytest.mark.parametrize(("method", "path", "said", "body", "status"), SIGNED)
async def test_a_caller_is_answered_the_same(
    place: Any, method: str, path: str, said: dict[str, Any], body: bytes, status: int
) -> None:
    fields = {**place.bearer(**said), **(JSON if body else {})}

    assert await same(place, method, path, fields, body) == status
