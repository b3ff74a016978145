"""Values through JSON and msgpack and back."""

import enum
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest

from enfilade import UNSET, Maybe, Message, Meta, Money, Named, Page, Sensitive
from enfilade.contract.codec import codec
from enfilade.errors import Invalid, Malformed


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Cash(Message, tag="cash"):
    handed: Money


class Card(Message, tag="card"):
    number: Sensitive[str]
    valid_until: date


class Line(Message):
    sku: str
    unit_price: Decimal
    quantity: Annotated[int, Meta(ge=1)] = 1


class Order(Message):
    id: UUID
    placed_at: datetime
    lines: tuple[Line, ...]
    paid_by: Cash | Card
    size: Size = Size.SMALL
    state: Literal["open", "closed"] = "open"
    within: timedelta = timedelta(hours=1)
    door_opens: time | None = None
    label: bytes = b""
    notes: Mapping[str, str] = {}
    tags: frozenset[str] = frozenset()
    grams: float = 0.5
    gift: bool = False
    parts: "tuple[Order, ...]" = ()
    said_by: Maybe[str | None] = UNSET
    colour: Annotated[str, Named("filter[colour]")] = "red"


def order(**changes: Any) -> Order:
    plain: dict[str, Any] = {
        "id": UUID(int=7),
        "placed_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "lines": (Line(sku="tea: green", unit_price=Decimal("2.50"), quantity=3),),
        "paid_by": Card(number="4111", valid_until=date(2030, 1, 31)),
    }
    return Order(**(plain | changes))


SAMPLES: list[tuple[Any, Any]] = [
    (Order, order()),
    (Order, order(parts=(order(), order(paid_by=Cash(handed=Money.of("9.99", "EUR")))))),
    (Order, order(size=Size.LARGE, state="closed", within=timedelta(days=-2, microseconds=3))),
    (Order, order(door_opens=time(9, tzinfo=UTC))),
    (Order, order(label=b"\x00\xff", notes={"a": "b", "": ":"}, tags=frozenset({"x"}), grams=1e-9, gift=True)),
    (Order, order(said_by=None, colour="blue")),
    (Order, order(said_by="me")),
    (Page[Line], Page(items=(Line(sku="a", unit_price=Decimal("0E-8")),), next="more")),
    (Page[datetime], Page(items=(datetime(2026, 1, 1, tzinfo=UTC),))),
    (Cash | Card, Cash(handed=Money.of("1.00", "EUR"))),
    (Mapping[str, Line], {"one": Line(sku="a", unit_price=Decimal(1))}),
    (Mapping[str, datetime], {"one": datetime(2026, 1, 1, tzinfo=UTC)}),
    (Mapping[int, str], {3: "three"}),
    (tuple[int, datetime], (1, datetime(2026, 1, 1, tzinfo=UTC))),
    (datetime | None, None),
    (int, 2**63 - 1),
    (str, "ü \U0001f375 \\u0000"),
    (None, None),
]  # fmt: skip


@pytest.mark.parametrize("names", ["snake", "camel"])
@pytest.mark.parametrize("unknown", ["refuse", "ignore"])
@pytest.mark.parametrize(("kind", "value"), SAMPLES)
def test_a_value_is_the_same_after_json_and_msgpack(kind: Any, value: Any, names: Any, unknown: Any) -> None:
    there = codec(kind, names=names, unknown=unknown)

    assert there.decode(there.encode(value)) == value
    assert there.unpack(there.pack(value)) == value
    assert there.copy(value) == value
    assert there.from_builtins(there.builtins(value)) == value


def test_a_codec_is_made_once() -> None:
    assert codec(Order) is codec(Order)
    assert codec(Order, names="camel") is not codec(Order)


def test_a_moment_is_always_written_in_utc_with_27_characters() -> None:
    there = codec(tuple[datetime, ...])
    moments = (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC),
        datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    )

    written = msgspec.json.decode(there.encode(moments), type=tuple[str, ...])

    assert written == ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000005Z", "2026-01-01T00:00:00.000000Z")


def test_a_moment_without_a_zone_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="has no zone"):
        codec(Order).encode(order(placed_at=datetime(2026, 1, 1)))


def test_names_are_camel_case_all_the_way_down_where_a_contract_says_so() -> None:
    there = codec(Order, names="camel")

    written = msgspec.json.decode(there.encode(order(parts=(order(),))))

    assert {"placedAt", "paidBy", "doorOpens", "filter[colour]"} <= written.keys()
    assert written["lines"] == [{"sku": "tea: green", "unitPrice": "2.50", "quantity": 3}]
    assert written["paidBy"] == {"type": "card", "number": "4111", "validUntil": "2030-01-31"}
    assert written["parts"][0].keys() == written.keys()


def test_the_other_spelling_is_an_unknown_member() -> None:
    data = codec(Line).encode(Line(sku="a", unit_price=Decimal(1)))

    with pytest.raises(Invalid) as refused:
        codec(Line, names="camel").decode(data)

    assert {error.pointer for error in refused.value.errors} == {"/unit_price", "/unitPrice"}


def test_what_was_not_said_is_not_written() -> None:
    assert b"said_by" not in codec(Order).encode(order())
    assert b'"said_by":null' in codec(Order).encode(order(said_by=None))


def test_unknown_members_are_left_out_at_any_depth_where_they_are_ignored() -> None:
    there = codec(Page[Line], unknown="ignore")
    data = b'{"items":[{"sku":"a","unit_price":"1","new":{"sku":[]}}],"next":"","total":3}'

    assert there.decode(data) == Page(items=(Line(sku="a", unit_price=Decimal(1)),))


def test_members_that_a_later_release_stored_are_left_out() -> None:
    stored = msgspec.msgpack.encode({"items": [{"sku": "a", "unit_price": "1", "new": 1}], "next": "", "total": 3})

    assert codec(Page[Line], unknown="ignore").unpack(stored) == Page(items=(Line(sku="a", unit_price=Decimal(1)),))
    with pytest.raises(msgspec.ValidationError):
        codec(Page[Line]).unpack(stored)


@pytest.mark.parametrize(
    ("kind", "texts", "value"),
    [
        (int, ["3"], 3),
        (int | None, ["3"], 3),
        (bool, ["true"], True),
        (float, ["1.5"], 1.5),
        (str, ["null"], "null"),
        (str | None, ["3"], "3"),
        (Decimal, ["3.10"], Decimal("3.10")),
        (Size, ["l"], Size.LARGE),
        (Literal[1, 2], ["2"], 2),
        (date, ["2026-01-01"], date(2026, 1, 1)),
        (datetime, ["2026-01-01T00:00:00Z"], datetime(2026, 1, 1, tzinfo=UTC)),
        (UUID, [str(UUID(int=7))], UUID(int=7)),
        (tuple[int, ...], ["3", "4"], (3, 4)),
        (tuple[str, ...], ["3"], ("3",)),
        (tuple[str, ...], [], ()),
        (Maybe[int], ["3"], 3),
    ],
)
def test_the_texts_of_one_parameter_are_a_value(kind: Any, texts: list[str], value: Any) -> None:
    assert codec(kind).from_text(texts) == value


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (int, ["x"]), (int, [""]), (int, ["1", "2"]), (int, []), (int, ["99999999999999999999"]),
        (float, ["nan"]), (float, ["-inf"]), (float | None, ["NaN"]), (float, ["1e999"]), (float, ["x"]),
        (Decimal, ["NaN"]), (Decimal, ["1e999"]), (Decimal, ["1_0"]), (Decimal | None, ["x"]),
        (str, ["a\0"]), (datetime, ["2026"]), (datetime, ["1"]), (datetime, ["2026-01-01T00:00:00"]),
        (datetime, ["0001-01-01T00:00:00+10:00"]), (Literal["a", "b"], ["c"]), (bool, ["yes"]),
        (tuple[int, ...], ["1", "x"]), (Annotated[int, Meta(le=5)], ["6"]), (UUID, ["7"]),
    ],
)  # fmt: skip
def test_a_text_that_is_no_value_is_invalid(kind: Any, texts: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        codec(kind).from_text(texts)

    assert refused.value.errors[0].detail


def test_plain_types_are_written_by_one_call_of_msgspec() -> None:
    assert not hasattr(codec(Page[str]).encode, "__code__")
    assert hasattr(codec(Page[datetime]).encode, "__code__")


@pytest.mark.parametrize("text", ["3.0", "3e0", "30E-1"])
def test_a_number_without_a_fraction_is_whole(text: str) -> None:
    body = f'{{"sku": "tea", "unitPrice": "1", "quantity": {text}}}'.encode()
    line = codec(Line, names="camel").decode(body)

    assert (line.quantity, type(line.quantity)) == (3, int)
    assert codec(tuple[int, ...]).decode(f"[1, {text}]".encode()) == (1, 3)
    assert codec(float).decode(text.encode()) == 3.0


@pytest.mark.parametrize("text", ["3.5", "1e19", "-1e19", "1e400", '"3.0"'])
def test_other_numbers_are_not_whole(text: str) -> None:
    with pytest.raises((Invalid, Malformed)):
        codec(int).decode(text.encode())


def test_two_fields_with_one_name_on_the_wire_are_refused() -> None:
    class Odd(Message):
        made_at: int
        madeAt: int

    codec(Odd)
    with pytest.raises(TypeError, match="two fields of Odd have one name"):
        codec(Odd, names="camel")
