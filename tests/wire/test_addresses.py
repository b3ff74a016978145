"""Addresses, methods and conditions that fit nothing: each gets its problem."""

from __future__ import annotations

import pytest

SKU = "6E92ZMYYFZ"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/products/",
        "/products//",
        "//products",
        f"/products//{SKU}",
        f"/products/{SKU}/",
        f"/products/{SKU}/price",
        "/Products",
        "/PRODUCTS",
        "/products;a=b",
        "/./products",
        "/cart/../products",
        "/cart/%2e%2e/products",
        "/cart/%2E%2E/products",
        "/%2e/products",
        "/cart%2fitems",
        f"/products%2f{SKU}",
        "/products/..%2f..%2fetc%2fpasswd/x",
        "/products/%2e%2e",
        "/products/.",
        "/openapi.json/",
        "/OPENAPI.JSON",
        "/docs/../docs",
        "/.env",
        "/.well-known/",
        "/charges/ord_1",
        "/tariff?country=CH&postcode=8001&pieces=1",
    ],
)
def test_an_address_that_is_not_there_is_404(shop, path: str) -> None:
    document = shop.ask("GET", path).refused(404, "not-found")

    assert document["instance"] == path.partition("?")[0]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/products/a%2fb", "a/b"),
        ("/products/..%2f..%2fetc%2fpasswd", "../../etc/passwd"),
        ("/products/a%20b", "a b"),
        ("/products/a;b", "a;b"),
        ("/products/%252e%252e", "%2e%2e"),
        ("/products/%00", "\0"),
        ("/products/" + "a" * 41, "too long"),
        ("/orders/' OR 1=1 --".replace(" ", "%20"), "SQL"),
    ],
)
def test_a_value_in_a_path_is_only_ever_a_value(shop, path: str, said: str) -> None:
    document = shop.ask("GET", path, **shop.signed("ann")).refused(422, "invalid")

    assert [error["parameter"] for error in document["errors"]] == ["id" if "orders" in path else "sku"]


@pytest.mark.parametrize(
    "path",
    [
        "/products/%",
        "/products/%zz",
        "/products/%2",
        "/products/%ff",
        "/products/%c0%ae",
        "/search?q=%",
        "/search?q=%ff",
    ],
)
def test_an_address_that_is_not_encoded_as_it_should_be_is_400(shop, path: str) -> None:
    shop.ask("GET", path).refused(400, "malformed")


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("", ["q"]),
        ("q=", ["q"]),
        ("Q=tea", ["Q", "q"]),
        ("q=tea&q=cup", ["q"]),
        ("q=tea&limit=0", ["limit"]),
        ("q=tea&limit=101", ["limit"]),
        ("q=tea&limit=1.5", ["limit"]),
        ("q=tea&limit=0x10", ["limit"]),
        ("q=tea&limit=1_0", ["limit"]),
        ("q=tea&limit=%2010", ["limit"]),
        ("q=tea&limit=٣", ["limit"]),
        ("q=tea&limit=99999999999999999999999", ["limit"]),
        ("q=tea&limit=", ["limit"]),
        ("q=tea&order=price", ["order"]),
        ("q[]=tea", ["q", "q[]"]),
        ("q=" + "a" * 101, ["q"]),
    ],
)
def test_a_query_that_is_not_what_the_contract_says_is_pointed_at(shop, query: str, parameters: list[str]) -> None:
    encoded = "".join(one if one.isascii() else "".join(f"%{byte:02x}" for byte in one.encode()) for one in query)
    document = shop.ask("GET", f"/search?{encoded}").refused(422, "invalid")

    assert sorted(error["parameter"] for error in document["errors"]) == parameters


@pytest.mark.parametrize(
    "words", ['"', '"tea', "tea AND", "NEAR(", "*", "-", "tea* OR cup", "col:tea", "' --", "(", "%F0%9F%8D%B5"]
)
def test_words_of_a_search_are_only_ever_words(shop, words: str) -> None:
    assert isinstance(shop.ask("GET", f"/search?q={words.replace(' ', '+')}").good(), list)


def test_a_query_of_a_thousand_parameters_is_400(shop) -> None:
    shop.ask("GET", "/search?" + "&".join(f"p{number}=1" for number in range(5_000))).refused(400, "malformed")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "QUERY", "CONNECT"])
def test_a_method_that_the_address_does_not_know_is_405(shop, method: str) -> None:
    answer = shop.ask(method, "/products")

    answer.refused(405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_method_is_not_overridden_by_a_header(shop) -> None:
    answer = shop.ask("POST", f"/cart/items/{SKU}", {}, x_http_method_override="DELETE", **shop.signed("ann"))

    answer.refused(405)
    assert answer.headers["allow"] == "DELETE, OPTIONS, PUT"


@pytest.mark.parametrize("path", ["/products", f"/products/{SKU}", "/openapi.json", "/docs", "/healthz", "/metrics"])
def test_head_is_get_without_the_body(shop, path: str) -> None:
    got, head = shop.ask("GET", path), shop.ask("HEAD", path)

    assert (head.status, head.body) == (got.status, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":
        assert head.headers["content-length"] == got.headers["content-length"]


def test_head_of_nothing_has_no_body_either(shop) -> None:
    head = shop.ask("HEAD", "/nothing")

    assert (head.status, head.body) == (404, b"")
    assert head.headers["content-type"] == "application/problem+json"


def test_options_says_what_an_address_knows_to_anyone(shop) -> None:
    answer = shop.ask("OPTIONS", "/orders")

    assert (answer.status, answer.headers["allow"], answer.body) == (204, "GET, HEAD, OPTIONS, POST", b"")
    shop.ask("OPTIONS", "/nothing").refused(404)


def test_no_page_of_another_origin_is_let_in(shop) -> None:
    preflight = {"origin": "https://evil.example", "access_control_request_method": "POST"}

    assert "access-control-allow-origin" not in shop.ask("OPTIONS", "/orders", **preflight).headers
    assert "access-control-allow-origin" not in shop.ask("GET", "/products", origin="https://evil.example").headers


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json;q=0", "image/*, text/plain"])
def test_an_answer_that_is_not_to_be_had_is_406(shop, accept: str) -> None:
    shop.ask("GET", "/products", accept=accept).refused(406, "not-acceptable")


# -- conditions


@pytest.mark.parametrize("field", ["if_match", "if_none_match"])
def test_a_condition_that_cannot_be_checked_is_not_passed_over(shop, field: str) -> None:
    cart = f"/cart/items/{SKU}"
    shop.ask("PUT", cart, {"quantity": 1}, **{field: '"1"'}, **shop.signed("ann")).refused(412, "precondition-failed")


@pytest.mark.parametrize(
    ("wanted", "status", "type"),
    [
        (None, 428, "precondition-required"),
        ('"7"', 412, "precondition-failed"),
        ('W/"1"', 412, "precondition-failed"),
        ('"one"', 412, "precondition-failed"),
        ('"-1"', 412, "precondition-failed"),
        ('"1.0"', 412, "precondition-failed"),
        ('"99999999999999999999999999"', 412, "precondition-failed"),
        ("1", 400, "malformed"),
        ('"1', 400, "malformed"),
        ('"1", "2"', 400, "malformed"),
        ("*", 400, "malformed"),
        ("", 400, "malformed"),
    ],
)
def test_a_change_is_made_to_the_version_that_was_read_only(desk, wanted: str | None, status: int, type: str) -> None:
    paper = desk.ask("POST", "/papers", {"text": "tea"}).good()
    said = {} if wanted is None else {"if_match": wanted}
    desk.ask("PUT", f"/papers/{paper['id']}", {"text": "cup"}, **said).refused(status, type)

    assert desk.ask("GET", f"/papers/{paper['id']}").good() == paper


def test_of_two_changes_to_one_version_one_is_made(desk) -> None:
    paper = desk.ask("POST", "/papers", {"text": "tea"})
    address, tag = f"/papers/{paper.good()['id']}", paper.headers["etag"]

    assert desk.ask("PUT", address, {"text": "cup"}, if_match=tag).good()["text"] == "cup"
    desk.ask("PUT", address, {"text": "pot"}, if_match=tag).refused(412, "precondition-failed")
    assert desk.ask("GET", address).good()["text"] == "cup"


def test_what_is_known_already_is_not_sent_again(desk) -> None:
    paper = desk.ask("POST", "/papers", {"text": "tea"})
    address, tag = f"/papers/{paper.good()['id']}", paper.headers["etag"]

    assert desk.ask("GET", address, if_none_match=tag).status == 304
    assert desk.ask("GET", address, if_none_match='"x", ' + tag).status == 304
    assert desk.ask("GET", address, if_none_match="*").status == 304
    assert desk.ask("GET", address, if_none_match="nonsense").status == 200
    desk.ask("GET", address, if_match='"7"').refused(412, "precondition-failed")
