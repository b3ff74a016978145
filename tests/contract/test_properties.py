"""What holds for any value and any text."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from enfilade import Message, Money
from enfilade.contract.codec import codec
from enfilade.errors import Invalid, Malformed


class Leaf(Message, tag="leaf"):
    word: str
    at_last: datetime
    amount: Decimal = Decimal(0)


class Branch(Message, tag="branch"):
    left: "Leaf | Branch"
    notes: Mapping[str, int] = {}
    price_now: Money | None = None


class Flat(Message):
    a: str
    b: int = 0
    c: tuple[int, ...] = ()
    d: "Flat | None" = None


text = some.text(some.characters(codec="utf-8", exclude_characters="\0"))
whole = some.integers(-(2**63), 2**63 - 1)
leaves = some.builds(
    Leaf,
    word=text,
    at_last=some.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=some.just(UTC)),
    amount=some.decimals(-(10**12), 10**12, places=6),
)
money = some.builds(Money.minor_units, some.integers(-(10**14), 10**14), some.sampled_from(["EUR", "JPY", "KWD"]))
trees: some.SearchStrategy[Any] = some.recursive(
    leaves,
    lambda below: some.builds(Branch, left=below, notes=some.dictionaries(text, whole), price_now=some.none() | money),
    max_leaves=5,
)
flats: some.SearchStrategy[Any] = some.recursive(
    some.builds(Flat, a=text, b=whole, c=some.lists(whole, max_size=3).map(tuple)),
    lambda below: some.builds(Flat, a=text, b=some.just(0), d=below),
    max_leaves=3,
)
jsons = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda below: some.lists(below) | some.dictionaries(some.sampled_from(["a", "b", "c", "d", "x"]), below),
)


@pytest.mark.parametrize("names", ["snake", "camel"])
@given(value=trees)
def test_any_tree_is_the_same_after_json_and_msgpack(names: Any, value: Any) -> None:
    there = codec(Leaf | Branch, names=names)

    assert there.decode(there.encode(value)) == value
    assert there.unpack(there.pack(value)) == value


@given(value=flats)
def test_any_plain_value_is_the_same_after_json(value: Flat) -> None:
    assert codec(Flat).copy(value) == value


@given(value=flats, name=some.sampled_from(["a", "b", "c", "d"]))
def test_a_name_added_to_any_value_a_second_time_is_refused(value: Flat, name: str) -> None:
    data = codec(Flat).encode(value)
    member = json.dumps(json.loads(data)[name]).encode()

    with pytest.raises(Malformed, match="stands twice"):
        codec(Flat).decode(b'{"%b":%b,%b' % (name.encode(), member, data[1:]))


@pytest.mark.parametrize("unknown", ["refuse", "ignore"])
@given(value=jsons)
def test_any_json_is_a_value_or_told_what_is_wrong(unknown: Any, value: Any) -> None:
    there = codec(Flat, unknown=unknown)
    told = "nothing"
    try:
        there.decode(json.dumps(value).encode())
    except (Invalid, Malformed) as refused:
        told = refused.detail or "".join(error.detail for error in getattr(refused, "errors", ()))

    assert told


@given(data=some.binary())
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    for kind in (Flat, Branch):
        with pytest.raises((Invalid, Malformed)):
            codec(kind).decode(data)
