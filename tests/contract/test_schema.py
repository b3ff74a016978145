"""The schema of a type, and that the codec and the schema say the same."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema_rs
import pytest

from enfilade import UNSET, Maybe, Message, Meta, Money, Named, Page, Slice
from enfilade.contract.codec import codec
from enfilade.contract.schema import components


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Cash(Message, tag="cash"):
    handed: Money


class Card(Message, tag="card"):
    number: str


class Tea(Message):
    """What is drunk.

    Hot, mostly.
    """

    name: Annotated[str, Meta(min_length=1, max_length=8, pattern="^[a-z]+$", description="In small letters.")]
    grams: Annotated[int, Meta(ge=1, lt=1000, multiple_of=5, examples=[50])]
    warm: Annotated[float, Meta(gt=0.5)] = 1.5
    anything: int = 0
    price: Money | None = None
    picked_at: datetime | None = None
    best_until: date | None = None
    served_from: time | None = None
    steep: timedelta | None = None
    exact: Decimal | None = None
    ids: tuple[UUID, ...] = ()
    few: Annotated[tuple[str, ...], Meta(min_length=1, max_length=2)] = ("a",)
    pair: tuple[int, str] = (1, "a")
    mixed: tuple[int | str, ...] = ()
    label: bytes = b""
    size: Size = Size.SMALL
    state: Literal["open", "closed", 3] = "open"
    paid_by: Cash | Card | None = None
    notes: Mapping[str, int] = {}
    by_number: Mapping[int, str] = {}
    short_keys: Mapping[Annotated[str, Meta(max_length=2)], str] = {}
    tags: frozenset[str] = frozenset()
    note: Maybe[str | None] = UNSET
    blends: tuple[Tea, ...] = ()
    odd: Annotated[str, Named("x.odd")] = ""


GOOD: list[dict[str, Any]] = [
    {},
    {"warm": 0.6, "anything": -5, "price": {"amount": "1.50", "currency": "EUR"}},
    {"picked_at": "2026-01-01T00:00:00Z", "best_until": "2026-01-01", "served_from": "09:00:00Z", "steep": "PT3M"},
    {"exact": "0E-8", "ids": [str(UUID(int=1))], "few": ["a", "b"], "pair": [1, "b"], "mixed": [1, "a"]},
    {"label": "AA==", "size": "l", "state": 3, "paid_by": {"type": "card", "number": "1"}, "notes": {"a": 1}},
    {"by_number": {"-3": "a"}, "short_keys": {"ab": "c"}, "tags": ["a", "a"], "note": None, "x.odd": "a"},
    {"blends": [{"name": "b", "grams": 5, "blends": [{"name": "c", "grams": 10}]}]},
]
BAD: list[dict[str, Any]] = [
    {"name": ""}, {"name": "Tea"}, {"name": "a" * 9}, {"name": 3}, {"name": None}, {"grams": 0}, {"grams": 1000},
    {"grams": 7}, {"grams": 5.5}, {"grams": True}, {"warm": 0.5}, {"warm": "1"}, {"anything": 2**63},
    {"anything": -(2**63) - 1},
    {"price": {"amount": 1.5, "currency": "EUR"}}, {"price": {"amount": "x", "currency": "EUR"}},
    {"price": {"amount": "1"}},
    {"price": {"amount": "1", "currency": "eur"}}, {"picked_at": 3}, {"exact": 1.5}, {"exact": "NaN"},
    {"exact": "1e999"},
    {"ids": ["x"]}, {"ids": "x"}, {"few": []}, {"few": ["a", "b", "c"]}, {"pair": [1]}, {"pair": [1, "a", 2]},
    {"mixed": [1.5]},
    {"label": 3}, {"size": "m"}, {"state": "3"}, {"paid_by": {"number": "1"}}, {"paid_by": {"type": "card"}},
    {"paid_by": {"type": "cheque", "number": "1"}}, {"notes": {"a": "b"}}, {"notes": []}, {"by_number": {"x": "a"}},
    {"short_keys": {"abc": "c"}}, {"tags": [1]}, {"note": 3}, {"blends": [{"name": "b"}]}, {"more": 1}, {"odd": "a"},
    {"steep": "P1Y"}, {"steep": "P"}, {"steep": 3},
]  # fmt: skip


def validator(kind: Any, names: Any = "snake") -> Any:
    (schema,), found = components([kind], names)
    return jsonschema_rs.Draft202012Validator({**schema, "components": {"schemas": found}}, validate_formats=True)


def accepted(kind: Any, value: Any) -> bool:
    try:
        codec(kind).from_builtins(value)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("value", GOOD)
def test_what_the_schema_allows_the_codec_takes(value: dict[str, Any]) -> None:
    tea = {"name": "green", "grams": 50} | value

    assert validator(Tea).is_valid(tea)
    assert accepted(Tea, tea)


@pytest.mark.parametrize("value", BAD)
def test_what_the_schema_forbids_the_codec_refuses(value: dict[str, Any]) -> None:
    tea = {"name": "green", "grams": 50} | value

    assert not validator(Tea).is_valid(tea)
    assert not accepted(Tea, tea)


@pytest.mark.parametrize("names", ["snake", "camel"])
def test_what_the_codec_writes_the_schema_allows(names: Any) -> None:
    tea = Tea(
        name="green", grams=50, price=Money.of("1.50", "EUR"), picked_at=datetime(2026, 1, 1, tzinfo=UTC),
        served_from=time(9, tzinfo=UTC), steep=timedelta(days=-1, seconds=3.5), exact=Decimal("1E+2"),
        paid_by=Cash(handed=Money.of(5, "JPY")), notes={"a_b": 1}, tags=frozenset({"a"}), note=None,
        blends=(Tea(name="a", grams=5),),
    )  # fmt: skip

    for kind, value in ((Tea, tea), (Page[Tea], Page(items=(tea,))), (Cash | Card, Card(number="1"))):
        written = codec(kind, names=names).builtins(value)
        errors = [error.message for error in validator(kind, names).iter_errors(written)]
        assert errors == []


def test_each_message_is_one_component_and_every_reference_resolves() -> None:
    schemas, found = components([Tea, Page[Tea], Slice[Tea], tuple[Tea, ...], str])

    assert schemas[0] == {"$ref": "#/components/schemas/Tea"}
    assert schemas[1] == {"$ref": "#/components/schemas/TeaPage"}
    assert schemas[3] == {"type": "array", "items": {"$ref": "#/components/schemas/Tea"}}
    assert schemas[4] == {"type": "string"}
    assert list(found) == ["Card", "Cash", "Money", "Tea", "TeaPage", "TeaSlice"]
    refs = {part.split('"')[0] for part in str(found).replace("'", '"').split("#/components/schemas/")[1:]}
    assert refs == {"Card", "Cash", "Money", "Tea"}


def test_words_of_docstrings_and_metas_are_in_the_schema() -> None:
    tea = components([Tea])[1]["Tea"]

    assert tea["description"] == "What is drunk.\n\nHot, mostly."
    assert tea["properties"]["name"]["description"] == "In small letters."
    assert tea["properties"]["grams"] == {
        "type": "integer", "minimum": 1, "exclusiveMaximum": 1000, "multipleOf": 5, "examples": [50],
    }  # fmt: skip
    assert tea["required"] == ["name", "grams"]
    assert tea["properties"]["warm"]["default"] == 1.5
    assert "default" not in tea["properties"]["note"]


def test_a_union_of_tagged_messages_has_a_discriminator() -> None:
    (schema,), found = components([Cash | Card])

    assert schema["discriminator"] == {
        "propertyName": "type",
        "mapping": {"cash": "#/components/schemas/Cash", "card": "#/components/schemas/Card"},
    }
    assert found["Card"]["properties"]["type"] == {"const": "card"}
    assert found["Card"]["required"] == ["type", "number"]


def test_names_in_a_schema_are_those_of_the_wire() -> None:
    tea = components([Tea], "camel")[1]["Tea"]

    assert {"pickedAt", "byNumber", "x.odd"} <= tea["properties"].keys()


def test_two_messages_with_one_name_are_two_components() -> None:
    other = type(Message)("Tea", (Message,), {"__annotations__": {"leaves": int}, "__module__": "shop.garden.contract"})

    schemas, found = components([Tea, other])

    assert [schema["$ref"].rpartition("/")[2] for schema in schemas] == ["test_schema.Tea", "garden.Tea"]
    assert list(found["garden.Tea"]["properties"]) == ["leaves"]
