"""What is Sensitive is not shown by a `repr`, nor quoted by what is said of a wrong request."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal

import pytest

from enfilade import Message, Problem, Sensitive
from enfilade.contract.codec import codec
from enfilade.errors import Invalid, Malformed
from enfilade.store import Key, Row

CANARY = "canary-4111-1111"


class Kind(Enum):
    DEBIT = "debit"


class Street(Message):
    line: str
    number: int


class Card(Message):
    holder: str
    number: Sensitive[str] = ""
    codes: tuple[Sensitive[str], ...] = ()
    kind: Sensitive[Kind] = Kind.DEBIT
    either: Sensitive[int | Kind | None] = None
    level: Sensitive[Literal["a", "b"]] = "a"
    limits: Sensitive[Mapping[str, int]] = {}  # noqa: RUF012  (a field's default is copied)
    street: Sensitive[Street | None] = None
    pin: Sensitive[int] | None = None


class CardRow(Row):
    id: Key[str]
    number: Sensitive[str]


class Declined(Problem, status=402):
    """The card was declined."""

    card: Sensitive[str]
    reason: str


def test_a_repr_masks_what_is_sensitive_and_shows_all_else() -> None:
    card: Any = Card(holder="Ann", number=CANARY, codes=(CANARY,), limits={CANARY: 1})

    assert repr(card) == (
        "Card(holder='Ann', number=***, codes=***, kind=***, either=***, level=***, limits=***, street=***, pin=***)"
    )
    assert repr(CardRow(id="1", number=CANARY)) == "CardRow(id='1', number=***)"
    assert repr(Declined(card=CANARY, reason="broke")) == "Declined(card=***, reason='broke')"
    assert repr(Street(line="Main", number=1)) == "Street(line='Main', number=1)"
    assert dict(card.__rich_repr__())["holder"] == "Ann"
    assert CANARY not in repr(list(card.__rich_repr__()))


def test_a_message_within_another_masks_its_own() -> None:
    class Wallet(Message):
        cards: tuple[Card, ...]

    globals()["Wallet"] = Wallet

    assert CANARY not in repr(Wallet(cards=(Card(holder="Ann", number=CANARY),)))


@pytest.mark.parametrize(
    "wrong",
    [{"number": [CANARY]}, {"number": {CANARY: 1}}, {"codes": [[CANARY]]}, {"codes": CANARY}, {"kind": CANARY},
     {"either": CANARY}, {"level": CANARY}, {"limits": {CANARY: CANARY}}, {"limits": {CANARY: {CANARY: 1}}},
     {"street": {CANARY: 1}}, {"street": {"line": CANARY, "number": CANARY}}, {"pin": CANARY}, {"street": CANARY}],
)  # fmt: skip
def test_no_error_quotes_what_was_sent_in_a_sensitive_field(wrong: Any) -> None:
    with pytest.raises(Invalid) as caught:
        codec(Card).from_builtins({"holder": "Ann", **wrong})

    assert caught.value.errors
    assert CANARY not in f"{caught.value} {caught.value!r} {caught.value.errors}"


def test_the_members_of_a_sensitive_message_are_told_by_the_contracts_names() -> None:
    with pytest.raises(Invalid) as caught:
        codec(Card).from_builtins({"holder": "Ann", "street": {"line": "Main"}})

    assert [one.pointer for one in caught.value.errors] == ["/street/number"]


@pytest.mark.parametrize("kind", [Kind, Sensitive[Literal["a", "b"]], int, int | Kind])
def test_no_error_quotes_the_text_of_a_parameter(kind: Any) -> None:
    with pytest.raises(Invalid) as caught:
        codec(kind).from_text([CANARY])

    assert CANARY not in f"{caught.value} {caught.value.errors}"


def test_a_name_that_nobody_knows_is_told_in_part_only() -> None:
    long = "x" * 10_000
    with pytest.raises(Invalid) as unknown:
        codec(Street).from_builtins({"line": "Main", "number": 1, long: 1})
    with pytest.raises(Malformed) as twice:
        codec(Street).decode(f'{{"{long}": 1, "{long}": 1, "line": "", "number": 1}}'.encode())

    assert len(str(unknown.value)) < 200
    assert len(str(twice.value)) < 200
