"""Which operation an address leads to, and that no trick leads past it."""

from __future__ import annotations

from typing import Protocol

import pytest

from enfilade import anyone, command, contract, query
from enfilade.endpoint import rest
from enfilade.errors import StartError


@contract(needs=anyone)
class Articles(Protocol):
    @query("GET /articles")
    async def all(self) -> str: ...

    @query("GET /articles/{slug}")
    async def one(self, slug: str) -> str: ...

    @command("PUT /articles/{name}")
    async def write(self, name: str) -> str: ...

    @query("GET /articles/{slug}/notes")
    async def notes(self, slug: str) -> str: ...


@contract(needs=anyone)
class Feeds(Protocol):
    @query("GET /articles/feed")
    async def feed(self) -> str: ...

    @query("GET /articles/feed/{day}")
    async def day(self, day: str) -> str: ...

    @query("GET /")
    async def home(self) -> str: ...


class Library:
    async def all(self) -> str:
        return "all"

    async def one(self, slug: str) -> str:
        return f"one {slug}"

    async def write(self, name: str) -> str:
        return f"write {name}"

    async def notes(self, slug: str) -> str:
        return f"notes {slug}"

    async def feed(self) -> str:
        return "feed"

    async def day(self, day: str) -> str:
        return f"day {day}"

    async def home(self) -> str:
        return "home"


BOTH = {Articles: Library(), Feeds: Library()}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/articles", "all"),
        ("/articles/feed", "feed"),
        ("/articles/feeds", "one feeds"),
        ("/articles/feed/notes", "day notes"),
        ("/articles/tea/notes", "notes tea"),
        ("/", "home"),
    ],
)
async def test_the_most_specific_route_wins_across_services(serve, path: str, answer: str) -> None:
    response = await serve(BOTH).get(path)

    assert response.json() == answer


async def test_a_named_segment_that_leads_nowhere_gives_way_to_a_placeholder(serve) -> None:
    response = await serve({Articles: Library(), Feeds: Library()}).get("/articles/feed/x/y")
    assert response.status_code == 404

    @contract(needs=anyone)
    class Deep(Protocol):
        @query("GET /a/b/c")
        async def named(self) -> str: ...

        @query("GET /a/{x}/d")
        async def held(self, x: str) -> str: ...

    class Both:
        async def named(self) -> str:
            return "named"

        async def held(self, x: str) -> str:
            return f"held {x}"

    assert (await serve({Deep: Both()}).get("/a/b/d")).json() == "held b"


def test_two_routes_of_one_shape_are_a_start_error_with_both_places(serve) -> None:
    @contract(needs=anyone)
    class Others(Protocol):
        @query("GET /articles/{id}")
        async def other(self, id: str) -> str: ...

    with pytest.raises(StartError) as wrong:
        serve({Articles: Library(), Others: Library()})

    text = str(wrong.value)
    assert "GET /articles/{id} cannot be told from GET /articles/{slug}" in text
    assert text.count("test_routes.py:") == 2


def test_a_route_of_the_platform_cannot_be_taken(serve) -> None:
    @contract(needs=anyone)
    class Health(Protocol):
        @query("GET /healthz")
        async def health(self) -> str: ...

    with pytest.raises(StartError, match="/healthz"):
        serve({Health: Library()})


@pytest.mark.parametrize(
    "path",
    [
        "/articles/",
        "//articles",
        "/articles//notes",
        "/articles/.",
        "/articles/..",
        "/articles/%2e%2e",
        "/articles/%2E",
        "/articles/./notes",
        "/articles%2ftea",
        "/Articles",
        "/articles/tea/notes/",
        "/articles;x=1",
        "",
    ],
)
async def test_a_path_that_is_not_exactly_a_route_leads_nowhere(serve, raw, path: str) -> None:
    status, _, body = await raw(serve({Articles: Library()}), "GET", path)

    assert status == 404
    assert body["type"] == "/problems/not-found"


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/articles/a%20b", "a b"),
        ("/articles/a%2Fb", "a/b"),
        ("/articles/%C3%A9t%C3%A9", "été"),
        ("/articles/a+b", "a+b"),
        ("/articles/%252e", "%2e"),
        ("/%61rticles/x", "x"),
        ("/articles/a:b@c", "a:b@c"),
    ],
)
async def test_each_segment_is_decoded_once_and_by_itself(serve, raw, path: str, slug: str) -> None:
    status, _, body = await raw(serve({Articles: Library()}), "GET", path)

    assert (status, body) == (200, f"one {slug}")


@pytest.mark.parametrize(
    "path", ["/articles/%", "/articles/%zz", "/articles/%ff", "/articles/%c0%af", "/articles/\xe9"]
)
async def test_a_path_that_is_not_percent_encoded_utf8_is_malformed(serve, raw, path: str) -> None:
    status, _, body = await raw(serve({Articles: Library()}), "GET", path)

    assert status == 400
    assert body["type"] == "/problems/malformed"


async def test_a_method_that_the_address_does_not_know_is_405_and_names_those_it_does(serve) -> None:
    response = await serve(BOTH).delete("/articles/tea")

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, PUT"
    assert response.json()["allow"] == ["GET", "HEAD", "OPTIONS", "PUT"]


async def test_an_invented_method_is_405_and_one_that_the_parser_does_not_know_400(serve, driver: str) -> None:
    response = await serve(BOTH).request("BREW", "/articles")

    assert response.status_code == (405 if driver == "asgi" else 400)


async def test_head_has_the_fields_of_get_and_no_body(serve) -> None:
    client = serve(BOTH)
    got, headed = await client.get("/articles"), await client.head("/articles")

    assert headed.status_code == 200
    assert headed.content == b""
    assert headed.headers["content-length"] == got.headers["content-length"] == "5"
    assert headed.headers["etag"] == got.headers["etag"]


async def test_options_names_the_methods(serve) -> None:
    response = await serve(BOTH).options("/articles/tea")

    assert response.status_code == 204
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, PUT"
    assert response.content == b""


async def test_routes_lie_below_the_prefix_and_health_does_not(serve) -> None:
    client = serve(BOTH, prefix="/api")

    assert (await client.get("/api/articles/feed")).json() == "feed"
    assert (await client.get("/articles/feed")).status_code == 404
    assert (await client.get("/api")).json() == "home"
    assert (await client.get("/healthz")).status_code == 200


async def test_the_endpoint_with_the_longest_prefix_answers_what_none_knows(serve) -> None:
    def silent(document: object) -> None:
        return None

    client = serve(BOTH, endpoints=[rest("/"), rest("/v1", problem=silent)])

    assert (await client.get("/nowhere")).headers["content-type"] == "application/problem+json"
    assert (await client.get("/v1/nowhere")).content == b""
    assert (await client.get("/v1/articles")).json() == "all"


async def test_an_endpoint_says_which_operations_are_its_own(serve) -> None:
    (served,) = serve({Articles: Library()}).served

    assert served.knows("GET", "/articles/tea")
    assert served.knows("PUT", "/articles/tea")
    assert not served.knows("DELETE", "/articles/tea")
    assert not served.knows("GET", "/articles/%zz")
    assert not served.knows("GET", "/")
