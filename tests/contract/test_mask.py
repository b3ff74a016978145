"""Sensitive fields are masked, however deep."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

import msgspec

from enfilade import UNSET, Maybe, Message, Sensitive, anyone, command, contract
from enfilade.contract.mask import masked
from enfilade.contract.read import read

Pan: TypeAlias = Sensitive[str]


class Card(Message, tag="card"):
    number: Pan
    codes: tuple[Sensitive[int], ...] = ()
    holder: Sensitive[str] | None = None
    alias: Maybe[Pan] = UNSET


class Cash(Message, tag="cash"):
    amount: int


class Wallet(Message):
    cards: tuple[Card, ...]
    by_name: Mapping[str, Card]
    first: Card | Cash | None = None
    opened: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    inner: Sensitive[Cash | None] = None
    wallets: tuple[Wallet, ...] = ()


@contract(needs=anyone)
class Wallets(Protocol):
    @command("POST /pay")
    async def pay(self, card: Card, pin: Sensitive[str], cents: int = 1) -> None: ...


def test_sensitive_fields_are_masked_and_all_others_told() -> None:
    card = Card(number="4111", codes=(1, 2), holder="Ann", alias="a")
    wallet = Wallet(cards=(card,), by_name={"a": card}, first=card, inner=Cash(amount=1))
    wallet = Wallet(cards=(), by_name={}, first=Cash(amount=1), wallets=(wallet,))

    told = masked(wallet, Wallet)

    card_told = {"type": "card", "number": "***", "codes": ["***", "***"], "holder": "***", "alias": "***"}
    assert told["first"] == {"type": "cash", "amount": 1}
    assert told["opened"].startswith("2026-01-01")
    assert told["inner"] == "***"
    (inner,) = told["wallets"]
    assert (inner["cards"], inner["by_name"], inner["first"]) == ([card_told], {"a": card_told}, card_told)
    assert "4111" not in msgspec.json.encode(told).decode()


def test_arguments_of_a_call_are_masked_as_the_request_they_are() -> None:
    request = read(Wallets).operation("pay").request

    told = masked(request(card=Card(number="4111"), pin="1234"), request)

    assert told == {
        "card": {"type": "card", "number": "***", "codes": [], "holder": "***"}, "pin": "***", "cents": 1,
    }  # fmt: skip


def test_a_value_without_anything_sensitive_is_told_as_it_is() -> None:
    assert masked(Cash(amount=3), Cash) == {"type": "cash", "amount": 3}
