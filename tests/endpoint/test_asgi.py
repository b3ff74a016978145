"""The driver: what of an ASGI scope a request is made of, and how an answer is sent."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from enfilade import anyone, command, contract, query
from enfilade.endpoint.asgi import known, serve_http, wire_path
from enfilade.endpoint.http import joined


@contract(needs=anyone)
class Items(Protocol):
    @query("GET /items/{sku}")
    async def item(self, sku: str) -> str: ...

    @command("POST /items/{sku}")
    async def touch(self, sku: str) -> str: ...


class Service:
    async def item(self, sku: str) -> str:
        return sku

    touch = item


@pytest.fixture
def driver() -> str:
    return "asgi"


@pytest.fixture
def client(serve: Any) -> Any:
    return serve({Items: Service()})


def scope(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], **more}


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (scope("/items/a b", raw_path=b"/items/a%20b"), "/items/a%20b"),
        (scope("/items/a b"), "/items/a%20b"),
        (scope("/items/100%"), "/items/100%25"),
        (scope("/items/é"), "/items/%C3%A9"),
        (scope("/sub/items", raw_path=b"/sub/items", root_path="/sub"), "/items"),
        (scope("/items", raw_path=b"/items", root_path="/sub"), "/items"),
    ],
)
def test_the_path_is_the_one_on_the_wire_below_the_root(given: dict[str, Any], path: str) -> None:
    assert wire_path(given) == path


def test_it_is_known_whose_a_request_is(client) -> None:
    assert known(client.served, scope("/items/a"))
    assert known(client.served, scope("/healthz"))
    assert not known(client.served, scope("/items/a", method="DELETE"))
    assert not known(client.served, scope("/items/a/b", raw_path=b"/items/a/b"))
    assert known(client.served, scope("/items/a/b", raw_path=b"/items/a%2Fb"))


async def exchange(client: Any, given: dict[str, Any], *messages: dict[str, Any]) -> list[Any]:
    left, sent = list(messages), []

    async def receive() -> Any:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await serve_http(client.served, given, receive, send)
    return sent


async def test_an_answer_is_a_start_and_a_body(client) -> None:
    start, body = await exchange(client, scope("/items/tea"))

    assert (start["type"], start["status"]) == ("http.response.start", 200)
    assert body == {"type": "http.response.body", "body": b'"tea"'}
    assert all(isinstance(part, bytes) and name == name.lower() for name, part in start["headers"])


def closes(start: dict[str, Any]) -> bool:
    return (b"connection", b"close") in start["headers"]


async def test_a_small_body_that_nobody_reads_costs_no_connection(client) -> None:
    small = scope("/items/tea", method="POST", headers=[(b"content-length", b"100")])
    large = scope("/items/tea", method="POST", headers=[(b"content-length", b"100000")])
    endless = scope("/items/tea", method="POST", headers=[(b"transfer-encoding", b"chunked")])

    assert not closes((await exchange(client, small))[0])
    assert closes((await exchange(client, large))[0])
    assert closes((await exchange(client, endless))[0])


async def test_http2_has_no_connection_to_close(client) -> None:
    given = scope("/items/tea", method="POST", http_version="2", headers=[(b"content-length", b"100000")])

    assert not closes((await exchange(client, given))[0])


async def test_who_is_refused_while_sending_is_answered_before_he_is_cut_off(client) -> None:
    given = scope("/items/tea", method="POST", headers=[(b"content-length", b"100000")])
    pieces = [{"type": "http.request", "body": b"x" * 10_000, "more_body": True}] * 3
    start, answer, end = await exchange(client, given, *pieces)

    assert start["status"] == 200
    assert (answer["body"], answer["more_body"]) == (b'"tea"', True)
    assert end == {"type": "http.response.body", "body": b""}


def test_a_header_that_stands_a_hundred_thousand_times_is_joined_in_one_go() -> None:
    values = [b"%d" % number for number in range(100_000)]

    assert joined((b"x", value) for value in values) == {b"x": b", ".join(values)}
