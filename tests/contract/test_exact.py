"""What is written of a value is what its type says, whatever more the value has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest

from enfilade import Maybe, Message, Money, Named
from enfilade.contract.codec import codec
from enfilade.contract.exact import exactly
from enfilade.contract.message import UNSET
from enfilade.contract.page import Page

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Account(Message):
    user_id: str
    since: datetime = NOON


class Inside(Account):
    password: str = "canary"


class Cat(Message, tag="cat"):
    name: str


class FatCat(Cat):
    weight: str = "canary"


class Dog(Message, tag="dog"):
    name: str


class Node(Message):
    name: str
    below: tuple[Node, ...] = ()


class Fat(Node):
    more: str = "canary"


class Holder(Message):
    one: Account | None = None
    by_name: Mapping[str, Account] = {}
    pair: tuple[int, Account] = (1, Account(user_id="2"))
    pet: Cat | Dog = Cat(name="c")
    several: tuple[Account, ...] | str = "none"
    note: Maybe[str] = UNSET
    odd: Annotated[str, Named("an odd one")] = "x"


PLAIN: list[tuple[Any, Any]] = [
    (Account, Account(user_id="1")),
    (tuple[Account, ...], (Account(user_id="1"), Account(user_id="2"))),
    (Page[Account], Page(items=(Account(user_id="1"),), next="n")),
    (Cat | Dog, Dog(name="d")),
    (Node, Node(name="a", below=(Node(name="b", below=(Node(name="c"),)),))),
    (Holder, Holder()),
    (Holder, Holder(one=Account(user_id="1"), several=(Account(user_id="1"),), note="there", pet=Dog(name="d"))),
    (Account | None, None),
    (Money, Money.of("1.50", "EUR")),
    (Decimal, Decimal("1.5")),
    (str, "text"),
    (Mapping[str, int], {"a": 1}),
]
MORE: list[tuple[Any, Any]] = [
    (Account, Inside(user_id="1")),
    (Account | None, Inside(user_id="1")),
    (tuple[Account, ...], (Account(user_id="1"), Inside(user_id="2"))),
    (Mapping[str, Account], {"a": Inside(user_id="1")}),
    (Page[Account], Page(items=(Inside(user_id="1"),), next="n")),
    (Cat | Dog, FatCat(name="c")),
    (Node, Node(name="a", below=(Node(name="b", below=(Fat(name="c"),)),))),
    (Node, Fat(name="a", below=(Fat(name="b"),))),
    (Holder, Holder(one=Inside(user_id="1"))),
    (Holder, Holder(by_name={"a": Inside(user_id="1")})),
    (Holder, Holder(pair=(1, Inside(user_id="1")))),
    (Holder, Holder(pet=FatCat(name="c"))),
    (Holder, Holder(several=(Inside(user_id="1"),))),
]


@pytest.mark.parametrize("names", ["snake", "camel"])
@pytest.mark.parametrize(("kind", "value"), PLAIN)
def test_what_is_of_its_type_is_written_as_ever(kind: Any, value: Any, names: Any) -> None:
    assert exactly(kind, names=names)(value) == codec(kind, names=names).encode(value)


@pytest.mark.parametrize("names", ["snake", "camel"])
@pytest.mark.parametrize(("kind", "value"), MORE)
def test_what_only_the_value_has_is_left_out(kind: Any, value: Any, names: Any) -> None:
    written = exactly(kind, names=names)(value)

    assert b"canary" not in written
    assert codec(kind, names=names).decode(written)  # and nothing else is amiss
    assert b"canary" in msgspec.json.encode(value)


@pytest.mark.parametrize("value", [{"user_id": "1", "password": "canary"}, "text", None, 1])
def test_what_is_no_message_at_all_is_not_written(value: Any) -> None:
    with pytest.raises(AttributeError):
        exactly(Account)(value)
