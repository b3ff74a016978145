"""Tokens, cursors and keys of others, of yesterday and of nobody: each gets its problem, and nothing comes of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from enfilade.clock import SystemClock
from enfilade.identity import DevelopmentIssuer, Tokens

HOME = {"name": "Ann Arbor", "street": "Teestrasse 1", "city": "Zurich", "postcode": "8001", "country": "CH"}
MUG, JAR = "6E92ZMYYFZ", "9SIQT8TOJO"


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def changed(token: str, head: dict[str, Any] | None = None, **claims: Any) -> str:
    """The token with other claims or another head, and its signature."""
    first, second, signature = token.split(".")
    return f"{encoded(decoded(first) | (head or {}))}.{encoded(decoded(second) | claims)}.{signature}"


def unsigned(token: str, algorithm: str) -> str:
    first, second, _ = token.split(".")
    return f"{encoded(decoded(first) | {'alg': algorithm})}.{second}."


def signed_with_the_public_key(token: str, key: dict[str, Any]) -> str:
    first, second, _ = token.split(".")
    text = f"{encoded(decoded(first) | {'alg': 'HS256'})}.{second}"
    made = hmac.digest(json.dumps(key).encode(), text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def of_another_key(shop, folder: Path) -> str:
    return Tokens(DevelopmentIssuer(folder, "shop"), SystemClock()).issue("ann")


def for_another_app(shop, folder: Path) -> str:
    return Tokens(DevelopmentIssuer(shop.folder / ".enfilade", "bank"), SystemClock()).issue("ann")


TOKENS = {
    "expired": lambda shop, folder: shop.tokens.issue("ann", ttl=-60),
    "another key": of_another_key,
    "another app": for_another_app,
    "another subject": lambda shop, folder: changed(shop.tokens.issue("ann"), sub="bob"),
    "more scopes": lambda shop, folder: changed(shop.tokens.issue("ann"), scope="orders:write"),
    "a longer life": lambda shop, folder: changed(shop.tokens.issue("ann", ttl=-60), exp=4_000_000_000),
    "another kid": lambda shop, folder: changed(shop.tokens.issue("ann"), {"kid": "../../dev/null"}),
    "a key of its own": lambda shop, folder: changed(shop.tokens.issue("ann"), {"jwk": {"kty": "EC"}}),
    "a key to fetch": lambda shop, folder: changed(shop.tokens.issue("ann"), {"jku": "http://127.0.0.1/keys"}),
    "alg none": lambda shop, folder: unsigned(shop.tokens.issue("ann"), "none"),
    "alg None": lambda shop, folder: unsigned(shop.tokens.issue("ann"), "None"),
    "no signature": lambda shop, folder: unsigned(shop.tokens.issue("ann"), "ES256"),
    "the public key as a secret": lambda shop, folder: signed_with_the_public_key(
        shop.tokens.issue("ann"), DevelopmentIssuer(shop.folder / ".enfilade", "shop").key.as_dict(private=False)
    ),
    "an id token": lambda shop, folder: changed(shop.tokens.issue("ann"), {"typ": "JWT"}),
    "cut": lambda shop, folder: shop.tokens.issue("ann")[:-1],
    "two parts": lambda shop, folder: shop.tokens.issue("ann").rpartition(".")[0],
    "two tokens": lambda shop, folder: f"{shop.tokens.issue('ann')}, {shop.tokens.issue('bob')}",
    "no token": lambda shop, folder: "",
    "dots": lambda shop, folder: "...",
    "nonsense": lambda shop, folder: "nonsense",
    "long nonsense": lambda shop, folder: "a" * 20_000,
    "json": lambda shop, folder: "{}.{}.{}",
    "deep json": lambda shop, folder: f"{base64.urlsafe_b64encode(b'[' * 4_000).decode()}.a.a",
}


@pytest.mark.parametrize("kind", TOKENS)
def test_a_bad_token_is_401_even_where_none_is_needed(shop, tmp_path: Path, kind: str) -> None:
    said = {"authorization": f"Bearer {TOKENS[kind](shop, tmp_path)}"}

    for path in ("/cart", "/products"):
        answer = shop.ask("GET", path, **said)
        answer.refused(401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    "said", ["Basic YW5uOmFubg==", "Bearer", "bearer x", "Token x", "Digest username=ann", "\xff", "x" * 10_000]
)
def test_other_credentials_are_401(shop, said: str) -> None:
    shop.ask("GET", "/products", authorization=said).refused(401, "unauthenticated")


def test_nobody_is_401_and_the_wrong_one_403_before_anything_is_read(shop) -> None:
    answer = shop.ask("POST", "/orders", b"nonsense")
    assert answer.refused(401)["title"]
    assert answer.headers["www-authenticate"].startswith('Bearer realm="shop", resource_metadata="')
    assert "error" not in answer.headers["www-authenticate"]

    answer = shop.ask("POST", "/orders", b"nonsense", **shop.signed("ann"))
    answer.refused(403, "forbidden")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]

    shop.ask("PUT", f"/inventory/{MUG}", {"available": 1}, **shop.signed("ann")).refused(403, "forbidden")


def test_who_asks_is_not_believed_from_a_header(shop) -> None:
    for name in ("x_user", "x_enfilade_caller", "x_forwarded_user", "remote_user", "cookie"):
        shop.ask("GET", "/cart", **{name: "ann"}).refused(401)


# -- cursors


@pytest.fixture(scope="module")
def cursor(shop) -> str:
    """Where the second page of ann's orders begins."""
    for number in range(3):
        buy(shop, "ann", f"cursor-{number}").good()
    page = shop.ask("GET", "/orders?limit=1", **shop.signed("ann")).good()
    assert len(shop.ask("GET", f"/orders?limit=9&after={page['next']}", **shop.signed("ann")).good()["items"]) == 2
    return page["next"]


def buy(shop, who: str, key: str, *skus: str):
    items = [{"sku": sku, "quantity": 1} for sku in skus or (MUG,)]
    said = {"idempotency_key": f'"{key}"', **shop.signed(who, scopes=["orders:write"])}
    return shop.ask("POST", "/orders", {"card": "tok_visa", "address": HOME, "items": items}, **said)


def refused_cursor(shop, cursor: str, who: str = "ann", path: str = "/orders") -> None:
    document = shop.ask("GET", f"{path}?after={cursor}", **shop.signed(who)).refused(422, "invalid")

    assert [error["parameter"] for error in document["errors"]] == ["after"]


def test_a_cursor_is_good_for_one_caller_and_one_question_only(shop, cursor: str) -> None:
    refused_cursor(shop, cursor, who="bob")
    refused_cursor(shop, cursor, path="/notifications")


def test_a_cursor_that_was_tampered_with_is_refused(shop, cursor: str) -> None:
    for at in range(len(cursor)):
        refused_cursor(shop, cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :])


@pytest.mark.parametrize(
    "text", ["x", "0", "-1", "1%27%20OR%201=1", "AAAA", "=", "%F0%9F%8D%B5", "a" * 10_000, "%5B%5D"]
)
def test_what_never_was_a_cursor_is_refused(shop, text: str) -> None:
    refused_cursor(shop, text)


def test_a_cursor_with_something_added_is_refused(shop, cursor: str) -> None:
    for added in ("A", "AAAA", "=", "!", "%20", "."):
        refused_cursor(shop, cursor + added)
        refused_cursor(shop, added + cursor)
    refused_cursor(shop, cursor[:-1])


# -- keys


def test_two_orders_under_one_key_are_one_or_refused(shop) -> None:
    first, again = buy(shop, "kim", "k"), buy(shop, "kim", "k")
    buy(shop, "kim", "k", JAR).refused(422, "key-reused")

    assert first.good() == again.good()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(shop.ask("GET", "/orders", **shop.signed("kim")).good()["items"]) == 1


def test_a_hundred_equal_orders_at_once_are_one(shop) -> None:
    before = shop.rows("payments")["payments.payment"]
    answers = at_once(100, lambda: buy(shop, "lee", "the-same"))

    # The limit lets thirty of them through.
    assert {answer.status for answer in answers} <= {201, 409, 429}
    assert len({answer.body for answer in answers if answer.status == 201}) == 1
    assert len(shop.rows("payments")["payments.payment"]) == len(before) + 1
    assert len(shop.ask("GET", "/orders", **shop.signed("lee")).good()["items"]) == 1


def test_a_hundred_equal_papers_at_once_are_one(desk) -> None:
    before = desk.rows()["desk.paper"]
    answers = at_once(100, lambda: desk.ask("POST", "/papers", {"text": "tea"}, idempotency_key="the-same"))

    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.body for answer in answers if answer.status == 201}) == 1
    assert len(desk.rows()["desk.paper"]) == len(before) + 1


def at_once(count: int, ask: Callable[[], Any]) -> list[Any]:
    """The answers, of which each refusal is a problem that says when to come back."""
    with ThreadPoolExecutor(count) as pool:
        answers = [one.result() for one in [pool.submit(ask) for _ in range(count)]]
    for answer in answers:
        if answer.status != 201:
            answer.refused(answer.status)
            assert int(answer.headers["retry-after"]) > 0
    return answers


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "\xe9", "a\tb"])
def test_what_is_no_key_is_400(shop, key: str) -> None:
    said = {"idempotency_key": key, **shop.signed("max")}
    shop.ask("PUT", f"/cart/items/{MUG}", {"quantity": 1}, **said).refused(400, "malformed")

    assert shop.ask("GET", "/cart", **shop.signed("max")).good() == {"items": []}


def test_a_limit_says_when_to_come_back(shop) -> None:
    said = {"x_forwarded_for": "10.9.9.9"}
    answers = [shop.ask("POST", "/accounts", b"nonsense", **said) for _ in range(65)]

    answers[-1].refused(429, "too-many-requests")
    assert int(answers[-1].headers["retry-after"]) > 0
    assert answers[-1].headers["ratelimit"].startswith('"address";r=0;t=')
    shop.ask("POST", "/accounts", b"nonsense", x_forwarded_for="10.9.9.8").refused(400, "malformed")


def test_a_key_is_not_used_up_by_what_was_refused_for_its_form(shop) -> None:
    said = {"idempotency_key": "soon", **shop.signed("noa", scopes=["orders:write"])}
    order = {"card": "tok_visa", "address": HOME, "items": [{"sku": MUG, "quantity": 1}]}
    shop.ask("POST", "/orders", b"{", **said).refused(400)
    shop.ask("POST", "/orders", {**order, "card": "4111"}, **said).refused(422)
    placed = shop.ask("POST", "/orders", order, **said)

    assert "idempotency-replayed" not in placed.headers
    assert placed.good() == shop.ask("POST", "/orders", order, **said).good()


def test_a_refusal_that_would_be_the_same_again_is_given_again(shop) -> None:
    said = {"idempotency_key": "poor", **shop.signed("noa", scopes=["orders:write"])}
    order = {"card": "tok_declined", "address": HOME, "items": [{"sku": MUG, "quantity": 1}]}
    first, again = shop.ask("POST", "/orders", order, **said), shop.ask("POST", "/orders", order, **said)

    assert first.refused(402, "payments/declined")["reason"] == again.refused(402, "payments/declined")["reason"]
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "00",
        "nonsense",
        "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "a" * 9_000,
    ],
)
def test_a_trace_that_is_none_begins_another(shop, said: str) -> None:
    answer = shop.ask("GET", "/products", traceparent=said, tracestate="x=1," * 100)

    assert answer.good()
    assert answer.headers["trace-id"].strip("0ab")


def test_a_trace_goes_on(shop) -> None:
    answer = shop.ask("GET", "/products", traceparent=f"00-{'c' * 32}-{'d' * 16}-01")

    assert answer.headers["trace-id"] == "c" * 32
