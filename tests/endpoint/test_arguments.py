"""How a request becomes arguments: path, query, headers, If-Match, members and whole bodies."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

import pytest

from enfilade import (
    FIRST,
    UNSET,
    Body,
    Header,
    Maybe,
    Message,
    Meta,
    Money,
    Named,
    Offset,
    Paging,
    Version,
    anyone,
    command,
    contract,
    query,
)


@pytest.fixture
def driver() -> str:
    """How a head is split is the driver's, what it says is not."""
    return "asgi"


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Line(Message):
    sku: str
    quantity: Annotated[int, Meta(ge=1, le=99)] = 1


class Edit(Message):
    name: Maybe[str | None] = UNSET
    price: Maybe[Money] = UNSET


@contract(needs=anyone)
class Shop(Protocol):
    @query("GET /typed/{id}/{day}/{size}")
    async def typed(
        self, id: UUID, day: date, size: Size, count: int, price: Decimal, at: datetime | None = None
    ) -> str: ...

    @query("GET /search")
    async def search(
        self,
        q: str,
        tag: tuple[str, ...] = (),
        limit: Annotated[int, Meta(ge=1, le=10)] = 5,
        cheap: bool = False,
        order: Literal["price", "name"] = "name",
        state: Annotated[str, Named("filter[state]")] = "any",
        since: Maybe[int] = UNSET,
    ) -> str: ...

    @query("GET /listed")
    async def listed(self, page: Paging = FIRST, kind: str = "") -> str: ...

    @query("GET /counted")
    async def counted(self, at: Offset) -> str: ...

    @query("GET /greeting")
    async def greeting(self, accept_language: Header[str], x_flags: Header[tuple[int, ...]] = ()) -> str: ...

    @command("PUT /items/{sku}")
    async def change(self, sku: str, version: Version, price: int) -> str: ...

    @command("PUT /maybe/{sku}")
    async def perhaps(self, sku: str, version: Version = 7) -> str: ...

    @command("POST /orders")
    async def place(self, lines: tuple[Line, ...], note: str = "", express: bool = False) -> str: ...

    @command("POST /lines")
    async def line(self, line: Body[Line], dry: bool = False) -> str: ...

    @command("POST /edits")
    async def edit(self, edit: Body[Edit] = Edit()) -> str: ...  # noqa: B008  (messages are frozen)

    @command("POST /beat")
    async def beat(self) -> str: ...


@contract(needs=anyone, names="camel")
class Camel(Protocol):
    @command("POST /camel/{some_id}")
    async def camel(self, some_id: str, unit_price: int, max_count: int = 3) -> Line: ...

    @query("GET /camel")
    async def asked(self, created_after: int = 0) -> str: ...


class Echo:
    """Answers with what it was given; the stage has it too."""

    def __getattr__(self, name: str) -> Any:
        async def answer(**given: Any) -> Any:
            return Line(sku=name) if name == "camel" else name

        return answer


@pytest.fixture
def shop(serve: Any) -> Any:
    return serve({Shop: Echo(), Camel: Echo()})


async def given(client: Any, method: str, path: str, **request: Any) -> dict[str, Any]:
    response = await client.request(method, path, **request)
    assert response.status_code < 300, response.text
    return client.stage.calls[-1].arguments


async def refused(client: Any, method: str, path: str, status: int = 422, **request: Any) -> list[tuple[str, str]]:
    response = await client.request(method, path, **request)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert client.stage.calls == []
    return [(one.get("parameter", ""), one["pointer"]) for one in response.json().get("errors", [])]


async def test_texts_of_the_path_and_the_query_become_the_declared_types(shop) -> None:
    id = "7b4a8f0e-52f3-4a6c-8d2e-1c9f0a3b5d7e"
    got = await given(shop, "GET", f"/typed/{id}/2026-02-03/large?count=3&price=1.50&at=2026-01-01T00:00:00Z")

    assert got == {
        "id": UUID(id),
        "day": date(2026, 2, 3),
        "size": Size.LARGE,
        "count": 3,
        "price": Decimal("1.50"),
        "at": datetime(2026, 1, 1, tzinfo=UTC),
    }


async def test_every_wrong_parameter_is_named_at_once(shop) -> None:
    wrong = await refused(shop, "GET", "/typed/x/2026-02-30/tiny?count=three")

    assert sorted(wrong) == [("count", ""), ("day", ""), ("id", ""), ("price", ""), ("size", "")]


async def test_a_query_has_defaults_repeated_values_and_names_of_its_own(shop) -> None:
    assert await given(shop, "GET", "/search?q=tea") == {
        "q": "tea", "tag": (), "limit": 5, "cheap": False, "order": "name", "state": "any", "since": UNSET,
    }  # fmt: skip

    got = await given(shop, "GET", "/search?tag=a&q=green+tea%21&tag=b&cheap=true&filter[state]=new&since=4&limit=10")
    assert got["q"] == "green tea!"
    assert (got["tag"], got["cheap"], got["state"], got["since"], got["limit"]) == (("a", "b"), True, "new", 4, 10)


async def test_an_empty_value_is_an_empty_text(shop) -> None:
    assert (await given(shop, "GET", "/search?q="))["q"] == ""
    assert (await given(shop, "GET", "/search?q"))["q"] == ""


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "q"),
        ("q=tea&limit=0", "limit"),
        ("q=tea&limit=ten", "limit"),
        ("q=tea&order=date", "order"),
        ("q=tea&q=coffee", "q"),
        ("q=tea&cheap=perhaps", "cheap"),
        ("q=tea&colour=red", "colour"),
        ("q=tea&state=new", "state"),
    ],
)
async def test_a_wrong_or_unknown_query_parameter_is_invalid_and_named(shop, query: str, parameter: str) -> None:
    assert await refused(shop, "GET", f"/search?{query}") == [(parameter, "")]


async def test_unknown_parameters_and_members_can_be_ignored(serve) -> None:
    shop = serve({Shop: Echo()}, unknown="ignore")

    assert (await given(shop, "GET", "/search?q=tea&colour=red"))["q"] == "tea"
    assert (await given(shop, "POST", "/lines", json={"sku": "tea", "colour": "red"}))["line"] == Line(sku="tea")


@pytest.mark.parametrize("query", ["q=%zz", "q=%ff", "q=%c3%28", "&".join(["q=1"] * 1001)])
async def test_a_query_that_cannot_be_read_is_malformed(shop, raw, query: str) -> None:
    status, _, body = await raw(shop, "GET", f"/search?{query}")

    assert (status, body["type"]) == (400, "/problems/malformed")


async def test_a_page_is_asked_for_by_after_and_limit(shop) -> None:
    assert (await given(shop, "GET", "/listed"))["page"] is FIRST
    assert (await given(shop, "GET", "/listed?after=xyz&kind=a"))["page"] == Paging(after="xyz")
    assert (await given(shop, "GET", "/listed?limit=7"))["page"] == Paging(limit=7)
    assert (await given(shop, "GET", "/counted"))["at"] == Offset()
    assert (await given(shop, "GET", "/counted?offset=20"))["at"] == Offset(offset=20)


async def test_a_page_that_cannot_be_is_invalid(shop) -> None:
    assert await refused(shop, "GET", "/listed?limit=0") == [("limit", "")]
    assert await refused(shop, "GET", "/counted?offset=-1&limit=x") == [("offset", ""), ("limit", "")]


async def test_declared_headers_are_arguments(shop) -> None:
    got = await given(shop, "GET", "/greeting", headers={"Accept-Language": "de", "X-Flags": "1, 2"})
    assert got == {"accept_language": "de", "x_flags": (1, 2)}
    none = await given(shop, "GET", "/greeting", headers={"Accept-Language": "", "X-Flags": ""})
    assert none == {"accept_language": "", "x_flags": ()}

    assert await refused(shop_again(shop), "GET", "/greeting", headers={"X-Flags": "a"}) == [
        ("Accept-Language", ""),
        ("X-Flags", ""),
    ]


def shop_again(shop: Any) -> Any:
    shop.stage.calls.clear()
    return shop


@pytest.mark.parametrize("tag", ['"7"', ' "7" ', '"7-gzip"'])
async def test_if_match_is_the_expected_version(shop, tag: str) -> None:
    got = await given(shop, "PUT", "/items/tea", json={"price": 3}, headers={"If-Match": tag})

    assert got == {"sku": "tea", "version": 7, "price": 3}


async def test_a_version_that_is_not_said_is_required_or_has_its_default(shop) -> None:
    await refused(shop, "PUT", "/items/tea", 428, json={"price": 3})

    assert (await given(shop, "PUT", "/maybe/tea"))["version"] == 7


@pytest.mark.parametrize("tag", ["7", "*", '"7", "8"', '"7', "W/7"])
async def test_an_if_match_that_names_no_one_version_is_malformed(shop, tag: str) -> None:
    await refused(shop, "PUT", "/items/tea", 400, json={"price": 3}, headers={"If-Match": tag})


@pytest.mark.parametrize("tag", ['W/"7"', '"abc"', '"-7"'])
async def test_a_tag_that_is_no_version_is_never_the_present_one(shop, tag: str) -> None:
    await refused(shop, "PUT", "/items/tea", 412, json={"price": 3}, headers={"If-Match": tag})


async def test_a_condition_that_an_operation_cannot_check_is_not_passed_over(shop) -> None:
    await refused(shop, "POST", "/orders", 412, json={"lines": []}, headers={"If-Match": '"7"'})
    await refused(shop, "POST", "/orders", 412, json={"lines": []}, headers={"If-None-Match": "*"})


async def test_parameters_of_a_post_are_members_of_its_body(shop) -> None:
    got = await given(shop, "POST", "/orders", json={"lines": [{"sku": "tea", "quantity": 2}, {"sku": "milk"}]})

    assert got == {"lines": (Line(sku="tea", quantity=2), Line(sku="milk")), "note": "", "express": False}


async def test_wrong_members_are_pointed_at(shop) -> None:
    body = {"lines": [{"sku": "tea"}, {"sku": 7, "quantity": 100}], "nota": "x"}

    assert sorted(await refused(shop, "POST", "/orders", json=body)) == [
        ("", "/lines/1/quantity"),
        ("", "/lines/1/sku"),
        ("", "/nota"),
    ]


async def test_places_in_the_head_and_in_the_body_are_told_together(shop) -> None:
    wrong = await refused(shop, "POST", "/lines?dry=perhaps", json={"sku": 1})

    assert wrong == [("dry", ""), ("", "/sku")]


async def test_a_whole_body_is_one_argument_and_the_rest_is_in_the_query(shop) -> None:
    got = await given(shop, "POST", "/lines?dry=true", json={"sku": "tea"})

    assert got == {"line": Line(sku="tea"), "dry": True}


async def test_what_may_be_left_out_differs_from_null(shop) -> None:
    assert (await given(shop, "POST", "/edits", json={}))["edit"] == Edit()
    assert (await given(shop, "POST", "/edits", json={"name": None}))["edit"] == Edit(name=None)
    price = {"amount": "1.50", "currency": "EUR"}
    assert (await given(shop, "POST", "/edits", json={"price": price}))["edit"] == Edit(price=Money.of("1.50", "EUR"))


async def test_an_empty_body_is_an_empty_object_or_the_default(shop) -> None:
    assert (await given(shop, "POST", "/edits"))["edit"] == Edit()
    assert await refused(shop_again(shop), "POST", "/orders", headers={"Content-Type": "application/json"}) == [
        ("", "/lines")
    ]


async def test_an_operation_without_body_parameters_reads_no_body(shop) -> None:
    assert await given(shop, "POST", "/beat", content=b"") == {}
    assert await given(shop, "POST", "/beat", content=b"{not json", headers={"Content-Type": "text/plain"}) == {}


async def test_camel_case_names_are_those_of_the_wire(shop) -> None:
    got = await given(shop, "POST", "/camel/x", json={"unitPrice": 3})
    assert got == {"some_id": "x", "unit_price": 3, "max_count": 3}

    assert (await given(shop, "GET", "/camel?createdAfter=9"))["created_after"] == 9
    wrong = await refused(shop_again(shop), "POST", "/camel/x", json={"unit_price": 3, "maxCount": "x"})
    assert sorted(wrong) == [("", "/maxCount"), ("", "/unitPrice"), ("", "/unit_price")]


@pytest.mark.parametrize(("field", "key"), [('"a-b"', "a-b"), ("a-b", "a-b"), ("  x ", "x"), ('""', '""')])
async def test_an_idempotency_key_may_be_quoted_or_bare(shop, field: str, key: str) -> None:
    await given(shop, "POST", "/beat", headers={"Idempotency-Key": field})

    assert shop.stage.calls[-1].key == key


@pytest.mark.parametrize("field", ["", "a b", "x" * 256, "\xe9"])
async def test_an_idempotency_key_that_is_none_is_malformed(shop, raw, field: str) -> None:
    status, _, body = await raw(shop, "POST", "/beat", headers=((b"idempotency-key", field.encode("latin-1")),))

    assert (status, body["type"]) == (400, "/problems/malformed")


async def test_a_query_has_no_key(shop) -> None:
    await given(shop, "GET", "/search?q=a", headers={"Idempotency-Key": "a"})

    assert shop.stage.calls[-1].key == ""


async def test_the_call_carries_address_credentials_deadline_and_trace(shop, raw) -> None:
    traceparent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = ((b"authorization", b"Bearer abc"), (b"traceparent", traceparent), (b"tracestate", b"a=1"))
    _, head, _ = await raw(shop, "GET", "/search?q=a", headers=headers)

    (call,) = shop.stage.calls
    assert (call.address, call.credentials, call.remaining) == ("192.0.2.1", "Bearer abc", 10.0)
    assert f"{call.trace_id:032x}" == head["trace-id"] == "0af7651916cd43dd8448eb211c80319c"
    assert call.trace_state == "a=1"


async def test_headers_that_stand_twice_are_joined(shop, raw) -> None:
    headers = ((b"accept-language", b"de"), (b"x-flags", b"1"), (b"x-flags", b"2"))
    await raw(shop, "GET", "/greeting", headers=headers)

    assert shop.stage.calls[-1].arguments["x_flags"] == (1, 2)
