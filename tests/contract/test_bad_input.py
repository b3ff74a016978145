"""Bodies that nobody should send."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest

from enfilade import Message, Meta, Money, Page
from enfilade.contract.codec import codec
from enfilade.errors import Invalid, Malformed


class Item(Message):
    sku: Annotated[str, Meta(min_length=1, max_length=8)]
    quantity: Annotated[int, Meta(ge=1, le=99)] = 1


class Tree(Message):
    name: str
    below: "tuple[Tree, ...]" = ()


class ByMail(Message, tag="mail", tag_field="by"):
    street: str


class ByHand(Message, tag="hand", tag_field="by"):
    room: int


class Odd(Message):
    number: int

    def __post_init__(self) -> None:
        if self.number % 2 == 0:
            raise ValueError("the number is not odd")


class Order(Message):
    items: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=3)]
    price: Money | None = None
    weight: Decimal | None = None
    at: datetime | None = None
    sent: ByMail | ByHand | None = None
    notes: Mapping[Annotated[str, Meta(max_length=3)], int] = {}
    odd: Odd | None = None
    state: Literal["open", "closed"] = "open"
    pair: tuple[int, str] = (1, "a")


def refused(kind: Any, data: bytes | dict[str, Any], **options: Any) -> dict[str, str]:
    """pointer: detail of each error."""
    with pytest.raises(Invalid) as invalid:
        codec(kind, **options).decode(data if isinstance(data, bytes) else json.dumps(data).encode())
    return {error.pointer: error.detail for error in invalid.value.errors}


def tree(levels: int) -> bytes:
    """A message as many times in itself, each two levels of JSON."""
    return b'{"name":"a","below":[' * levels + b"]}" * levels


@pytest.mark.parametrize("unknown", ["refuse", "ignore"])
@pytest.mark.parametrize("names", ["snake", "camel"])
@pytest.mark.parametrize("kind", [Item, Order, Tree, Page[datetime]])
@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"{]", b'{"sku":', b'{"sku":"a"} x', b"{'sku':'a'}", b"NaN", b'{"quantity":NaN}',
        b'{"quantity":Infinity}', b'{"quantity":-Infinity}', b'{"quantity":1e999}', b"\xff\xfe",
        b'{"sku":"\xff"}', b'{"sku":"\xc3"}',
        b'{"sku":"\\ud800"}',
        '{"sku":"a"}'.encode("utf-16"), '\ufeff{"sku":"a"}'.encode(), b"[" * 10_000, b'{"below":[' * 10_000,
        b'{"name":"a","below":[' * 10_000, b'{"a":' * 10_000, b'{"sku":"a\nb"}', b'{"sku":01}',
    ],
)  # fmt: skip
def test_what_is_no_json_is_malformed_or_invalid_and_never_a_bug(
    kind: Any, data: bytes, names: Any, unknown: Any
) -> None:
    with pytest.raises((Malformed, Invalid)) as error:
        codec(kind, names=names, unknown=unknown).decode(data)

    assert str(error.value)


@pytest.mark.parametrize("data", [b"[" * 10_000, b'{"name":"a","below":[' * 10_000, tree(200), tree(65)])
def test_a_body_that_is_nested_too_deep_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed, match="nested too deep"):
        codec(Tree).decode(data)


def test_a_message_may_stand_in_itself_as_deep_as_people_write() -> None:
    assert codec(Tree).encode(codec(Tree).decode(tree(64))) == tree(64)


@pytest.mark.parametrize("unknown", ["refuse", "ignore"])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Item, b'{"sku":"a","sku":"b"}'),
        (Item, b'{"sku":"a","quantity":1,"quantity":1}'),
        (Item, b'{"sku":"a","\\u0073ku":"b"}'),
        (Item, b'{"sku":"\\u003a","quantity":1,"quantity":2}'),
        (Item, b'{"sku":":::","quantity":1,"quantity":2}'),
        (Item, b'{"sku":"a\\\\","quantity":1,"quantity":2}'),
        (Tree, b'{"name":"a","below":[{"name":"b"},{"name":"c","name":"d"}]}'),
        (Tree, b'{"name":"a","below":[],"below":[{"name":"b"}]}'),
        (Tree, b'{"name":"a","below":[{"name":"b"}],"below":[]}'),
        (Mapping[str, int], b'{"a":1,"b":2,"a":3}'),
        (Mapping[int, int], b'{"1":1,"1":2}'),
        (Mapping[str, Item], b'{"a":{"sku":"a","sku":"b"}}'),
        (Order, b'{"items":[{"sku":"a"}],"sent":{"by":"hand","by":"hand","room":1}}'),
        (Order, b'{"items":[{"sku":"a"}],"price":{"amount":"1","amount":"2","currency":"EUR"}}'),
    ],
)
def test_a_name_that_stands_twice_is_malformed(kind: Any, data: bytes, unknown: Any) -> None:
    with pytest.raises(Malformed, match="stands twice"):
        codec(kind, unknown=unknown).decode(data)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Item, b'{"sku":":::"}'), (Item, b'{"sku":"a\\\\:"}'), (Item, b'{"sku":"\\u003a"}'),
        (Item, b'{"sku":"\\\\u0000"}'),
        (Tree, b'{"name":"","below":[]}'), (Tree, b'{"name":"{\\"a\\":1,\\"a\\":2}"}'),
        (Mapping[str, str], b'{"a:a":"a","a":":"}'), (Mapping[int, int], b'{"1":1,"2":2}'), (str, b'":::"'),
    ],
)  # fmt: skip
def test_colons_and_defaults_do_not_look_like_doubles(kind: Any, data: bytes) -> None:
    codec(kind).decode(data)


@pytest.mark.parametrize("data", [b'{"sku":"a\\u0000"}', b'{"sku":"\\\\\\u0000"}'])
def test_text_with_nul_is_invalid(data: bytes) -> None:
    assert "U+0000" in refused(Item, data)[""]


def test_every_wrong_place_is_told_by_its_pointer_and_wire_name() -> None:
    errors = refused(
        Order,
        {
            "items": [{"sku": "tea"}, {"quantity": 0}, {"sku": 3, "q/~": 1}, 7],
            "price": {"amount": 1.5, "currency": "eur"},
            "weight": "NaN",
            "at": "2026-01-01T00:00:00",
            "sent": {"by": "pigeon"},
            "notes": {"a": 1, "long": 2, "b": "x"},
            "odd": {"number": 2},
            "state": "ajar",
            "pair": ["x", 1],
            "more": None,
        },
    )

    assert errors == {
        "/more": "There is no such member.",
        "/items": "Expected at most 3 items.",
        "/items/1/sku": "This member is required.",
        "/items/1/quantity": "Expected a whole number >= 1.",
        "/items/2/q~1~0": "There is no such member.",
        "/items/2/sku": "Expected text, got a whole number.",
        "/items/3": "Expected an object, got a whole number.",
        "/price/amount": "Expected a decimal as text.",
        "/price/currency": "Expected text matching regex '^[A-Z]{3}$'.",
        "/weight": "Expected a decimal as text.",
        "/at": "Expected a date-time with a zone (RFC 3339).",
        "/sent/by": "Expected one of 'mail', 'hand'.",
        "/notes/long": "As a name: Expected text of length <= 3.",
        "/notes/b": "Expected a whole number, got text.",
        "/odd": "The number is not odd.",
        "/state": "Expected one of 'open', 'closed'.",
        "/pair/0": "Expected a whole number, got text.",
        "/pair/1": "Expected text, got a whole number.",
    }


def test_an_unknown_member_is_no_error_where_it_is_ignored() -> None:
    assert refused(Item, {"sku": 1, "more": 1}, unknown="ignore") == {"/sku": "Expected text, got a whole number."}


def test_a_whole_body_of_the_wrong_kind_is_told_at_its_root() -> None:
    assert refused(Item, b"[]") == {"": "Expected an object, got an array."}
    assert refused(Item, b"null") == {"": "Expected an object, got null."}
    assert refused(tuple[int, ...], b"{}") == {"": "Expected an array, got an object."}


def test_errors_of_a_union_are_told_for_the_member_that_the_tag_names() -> None:
    errors = refused(Order, {"items": [{"sku": "a"}], "sent": {"by": "hand", "room": "x", "street": "y"}})

    assert errors == {"/sent/street": "There is no such member.", "/sent/room": "Expected a whole number, got text."}


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809", "1" * 400, "1" * 5000])
def test_an_integer_beyond_64_bits_is_invalid(number: str) -> None:
    with pytest.raises((Invalid, Malformed)):
        codec(Odd).decode(b'{"number":' + number.encode() + b"}")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_moment_that_utc_does_not_have_is_invalid(moment: str) -> None:
    assert list(refused(Order, {"items": [{"sku": "a"}], "at": moment})) == ["/at"]


@pytest.mark.parametrize("amount", ["1e999999", "1" * 30, "1e20", "Infinity", "sNaN", "1.234", "", " 1", "1_0", "٣"])
def test_an_amount_of_money_that_cannot_be_is_invalid(amount: str) -> None:
    assert refused(Money, {"amount": amount, "currency": "EUR"})


def test_a_body_of_many_errors_is_answered_with_few() -> None:
    errors = refused(tuple[int, ...], json.dumps(["x"] * 10_000).encode())

    assert len(errors) == 32


def test_of_far_too_many_items_not_each_is_looked_at() -> None:
    few = codec(Annotated[tuple[Literal["a"], ...], Meta(max_length=2)])
    with pytest.raises(Invalid) as invalid:
        few.decode(b'["b"' + b', "a"' * 100 + b', "b"]')

    assert [error.pointer for error in invalid.value.errors] == ["", "/0"]
