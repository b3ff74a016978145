"""How a result becomes an answer: bytes and status, entity tags, compression, pages, links."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Protocol

import pytest

from enfilade import (
    FIRST,
    Deprecated,
    Header,
    Message,
    Offset,
    Page,
    Paging,
    Slice,
    Version,
    anyone,
    command,
    contract,
    query,
    signed_in,
)
from enfilade.call import current


class Item(Message):
    sku: str
    version: Version = 0
    unit_price: int = 1


class Note(Message):
    text: str
    at: datetime = datetime(2026, 1, 2, tzinfo=UTC)


@contract(needs=anyone)
class Items(Protocol):
    @query("GET /items")
    async def items(self, page: Paging = FIRST, kind: tuple[str, ...] = ()) -> Page[Item]: ...

    @query("GET /slices")
    async def slices(self, at: Offset = Offset(limit=10), q: str = "") -> Slice[Note]: ...  # noqa: B008

    @query("GET /items/{sku}")
    async def item(self, sku: str) -> Item: ...

    @command("POST /items", status=201)
    async def add(self, sku: str) -> Item: ...

    @command("PUT /items/{sku}")
    async def change(self, sku: str) -> Item: ...

    @command("DELETE /items/{sku}")
    async def drop(self, sku: str) -> None: ...

    @command("POST /queue", status=202)
    async def enqueue(self) -> None: ...

    @query("GET /notes/{text}", returns="note", needs=signed_in)
    async def note(self, text: str, accept_language: Header[str] = "en") -> Note: ...

    @query("GET /old", deprecated=Deprecated(since=date(2026, 1, 1), sunset=date(2026, 12, 31), successor="/items"))
    async def old(self) -> str: ...

    @query("GET /nothing")
    async def nothing(self) -> Item | None: ...


@contract(needs=anyone, names="camel")
class Camel(Protocol):
    @query("GET /camel")
    async def camel(self) -> Item: ...


class Shop:
    def __init__(self) -> None:
        self.version = 7
        self.next = "c 2"

    async def items(self, page: Paging, kind: tuple[str, ...]) -> Page[Item]:
        return Page(items=(Item(sku="a"), Item(sku="b")), next=self.next)

    async def slices(self, at: Offset, q: str) -> Slice[Note]:
        return Slice(items=(Note(text="a"),), total=35)

    async def item(self, sku: str) -> Item:
        current().say("RateLimit", '"default";r=9;t=60')
        return Item(sku=sku, version=self.version)

    add = change = item

    async def drop(self, sku: str) -> None:
        return None

    async def enqueue(self) -> None:
        return None

    async def note(self, text: str, accept_language: str) -> Note:
        return Note(text=text)

    async def old(self) -> str:
        return "old"

    async def nothing(self) -> None:
        return None

    async def camel(self) -> Item:
        return Item(sku="a")


@pytest.fixture
def shop(serve: Any) -> Any:
    return serve({Items: Shop(), Camel: Shop()})


async def test_a_result_is_json_with_its_length_and_nothing_else_to_guess(shop) -> None:
    response = await shop.get("/items/tea")

    assert response.status_code == 200
    assert response.content == b'{"sku":"tea","version":7,"unit_price":1}'
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_answer_says_its_trace(shop) -> None:
    response = await shop.get("/items/tea")

    assert response.headers["trace-id"] == f"{shop.stage.recorder.recent()[-1].trace_id:032x}"


async def test_where_nothing_is_recorded_only_a_failure_has_a_trace_id_for_the_log(serve) -> None:
    client = serve({Items: Shop()}, recording=False)
    good, bad = await client.get("/items/tea"), await client.get("/items/tea?x=1")

    assert "trace-id" not in good.headers
    assert bad.headers["trace-id"] == bad.json()["trace_id"]


async def test_fields_that_stations_add_are_on_the_answer(shop) -> None:
    assert (await shop.get("/items/tea")).headers["ratelimit"] == '"default";r=9;t=60'


async def test_a_field_of_any_text_cannot_break_the_answer(serve) -> None:
    class Sly(Shop):
        async def item(self, sku: str) -> Item:
            current().say("X-Note", "a\r\nSet-Cookie: b\xe9")
            return Item(sku=sku)

    assert (await serve({Items: Sly()}).get("/items/tea")).headers["x-note"] == "aSet-Cookie: b"


async def test_statuses_are_those_of_the_contract(shop) -> None:
    assert (await shop.post("/items", json={"sku": "tea"})).status_code == 201
    assert (await shop.post("/queue")).status_code == 202

    gone = await shop.delete("/items/tea")
    assert (gone.status_code, gone.content) == (204, b"")
    assert "content-length" not in gone.headers


async def test_what_was_made_has_its_location_where_it_can_be_read(shop) -> None:
    response = await shop.post("/items", json={"sku": "green tea/1"})

    assert response.headers["location"] == "/items/green%20tea%2F1"
    assert (await shop.get(response.headers["location"])).json()["sku"] == "green tea/1"


async def test_a_result_may_have_a_name_and_camel_case(shop) -> None:
    assert (await shop.get("/notes/hi")).json() == {"note": {"text": "hi", "at": "2026-01-02T00:00:00.000000Z"}}
    assert (await shop.get("/camel")).json() == {"sku": "a", "version": 0, "unitPrice": 1}


async def test_nothing_to_find_is_null(shop) -> None:
    assert (await shop.get("/nothing")).json() is None


# -- versions


async def test_the_entity_tag_is_the_version(shop) -> None:
    assert (await shop.get("/items/tea")).headers["etag"] == '"7"'
    assert (await shop.put("/items/tea")).headers["etag"] == '"7"'


async def test_without_a_version_the_entity_tag_is_of_the_bytes(shop) -> None:
    one, again, other = await shop.get("/notes/a"), await shop.get("/notes/a"), await shop.get("/notes/b")

    assert one.headers["etag"] == again.headers["etag"] != other.headers["etag"]
    assert one.headers["etag"][0] == one.headers["etag"][-1] == '"'


@pytest.mark.parametrize("known", ['"7"', 'W/"7"', '"6", "7"', "*", '"7-gzip"'])
async def test_who_has_this_version_is_told_that_it_is_unchanged(shop, known: str) -> None:
    response = await shop.get("/items/tea", headers={"If-None-Match": known})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == '"7"'
    assert "vary" in response.headers
    assert "cache-control" in response.headers
    assert "content-type" not in response.headers


@pytest.mark.parametrize("known", ['"6"', "nonsense", '"77"'])
async def test_who_has_another_version_gets_this_one(shop, known: str) -> None:
    assert (await shop.get("/items/tea", headers={"If-None-Match": known})).status_code == 200


async def test_who_wants_another_version_than_there_is_is_refused(shop) -> None:
    assert (await shop.get("/items/tea", headers={"If-Match": '"6"'})).status_code == 412
    assert (await shop.get("/items/tea", headers={"If-Match": 'W/"7"'})).status_code == 412
    assert (await shop.get("/items/tea", headers={"If-Match": '"7"'})).status_code == 200
    assert (await shop.get("/items/tea", headers={"If-Match": "*"})).status_code == 200


async def test_what_differs_by_caller_is_for_no_shared_cache(shop) -> None:
    open_to_all, private = await shop.get("/items/tea"), await shop.get("/notes/a")

    assert open_to_all.headers["cache-control"] == "no-cache"
    assert private.headers["cache-control"] == "private, no-cache"
    assert "cache-control" not in (await shop.put("/items/tea")).headers  # kept by nobody as it is (RFC 9111, 3)


async def test_an_answer_names_what_it_depends_on(shop) -> None:
    assert (await shop.get("/items/tea")).headers["vary"] == "Accept, Accept-Encoding, Authorization"
    assert (await shop.get("/notes/a")).headers["vary"] == "Accept, Accept-Encoding, Authorization, Accept-Language"


# -- compression


async def test_a_long_answer_is_compressed_for_who_takes_it(shop) -> None:
    text = "x" * 2000
    plain = await shop.get(f"/notes/{text}")
    coded = await shop.get(f"/notes/{text}", headers={"Accept-Encoding": "br;q=1, gzip;q=0.5"})

    assert "content-encoding" not in plain.headers
    assert coded.headers["content-encoding"] == "gzip"
    assert int(coded.headers["content-length"]) < 200
    assert coded.json() == plain.json()
    assert coded.headers["etag"] == plain.headers["etag"][:-1] + '-gzip"'


@pytest.mark.parametrize("coding", ["gzip;q=0", "br", "identity, *;q=0", "*;q=0", ""])
async def test_a_long_answer_is_not_compressed_for_who_does_not_take_it(shop, coding: str) -> None:
    response = await shop.get(f"/notes/{'x' * 2000}", headers={"Accept-Encoding": coding})

    assert "content-encoding" not in response.headers


async def test_a_short_answer_is_sent_as_it_is_and_compression_can_be_left_out(serve) -> None:
    headers = {"Accept-Encoding": "gzip"}
    assert "content-encoding" not in (await serve({Items: Shop()}).get("/items/tea", headers=headers)).headers
    plain = await serve({Items: Shop()}, gzip=False).get(f"/notes/{'x' * 2000}", headers=headers)
    assert "content-encoding" not in plain.headers


async def test_the_compressed_version_is_the_version(shop) -> None:
    headers = {"Accept-Encoding": "gzip"}
    tag = (await shop.get(f"/items/{'x' * 2000}", headers=headers)).headers["etag"]
    again = await shop.get(f"/items/{'x' * 2000}", headers={**headers, "If-None-Match": tag})

    assert (tag, again.status_code) == ('"7-gzip"', 304)


# -- pages


async def test_a_page_links_to_the_next_and_keeps_the_question(shop) -> None:
    response = await shop.get("/items?kind=a&limit=2&kind=b&after=c1")

    assert response.json() == {
        "items": [{"sku": "a", "version": 0, "unit_price": 1}, {"sku": "b", "version": 0, "unit_price": 1}],
        "next": "c 2",
    }
    assert response.headers["link"] == '</items?kind=a&kind=b&limit=2&after=c%202>; rel="next"'
    followed = await shop.get(response.links["next"]["url"])
    assert followed.status_code == 200
    assert shop.stage.calls[-1].arguments == {"page": Paging(after="c 2", limit=2), "kind": ("a", "b")}


async def test_the_last_page_links_to_none(serve) -> None:
    service = Shop()
    service.next = ""

    assert "link" not in (await serve({Items: service}).get("/items")).headers


@pytest.mark.parametrize(
    ("query", "links"),
    [
        ("", {"first": 0, "next": 10, "last": 30}),
        ("offset=10&", {"first": 0, "prev": 0, "next": 20, "last": 30}),
        ("offset=30&", {"first": 0, "prev": 20, "last": 30}),
        ("offset=5&", {"first": 0, "prev": 0, "next": 15, "last": 30}),
    ],
)
async def test_a_slice_links_to_its_neighbours(shop, query: str, links: dict[str, int]) -> None:
    response = await shop.get(f"/slices?{query}q=x")

    assert response.json()["total"] == 35
    assert {rel: one["url"] for rel, one in response.links.items()} == {
        rel: f"/slices?q=x&offset={offset}" for rel, offset in links.items()
    }


# -- lifecycle


async def test_what_will_go_says_so(shop) -> None:
    response = await shop.get("/old")

    assert response.headers["deprecation"] == "@1767225600"
    assert response.headers["sunset"] == "Thu, 31 Dec 2026 00:00:00 GMT"
    assert response.headers["link"] == '</items>; rel="successor-version"'
