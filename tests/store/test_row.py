"""Row types: made, changed, turned into messages."""

from __future__ import annotations

import pytest

from enfilade.contract.marks import Key, Version
from enfilade.contract.message import Message
from enfilade.errors import Misuse
from enfilade.store import Row


class OrderRow(Row, unique=[("sku", "quantity")]):
    id: Key[str]
    sku: str
    quantity: int = 1
    version: Version = 0


class Order(Message):
    id: str
    sku: str
    customer: str


ROW = OrderRow(id="1", sku="tea")


def test_a_row_is_a_value() -> None:
    assert OrderRow(id="1", sku="tea") == ROW
    assert hash(OrderRow(id="1", sku="tea")) == hash(ROW)
    assert "sku='tea'" in repr(ROW)
    with pytest.raises(AttributeError):
        ROW.sku = "coffee"  # type: ignore[misc]
    with pytest.raises(TypeError):
        OrderRow("1", "tea")  # type: ignore[call-arg,misc]


def test_a_row_is_replaced_by_one_with_other_values() -> None:
    changed = ROW.replace(quantity=2)

    assert (ROW.quantity, changed) == (1, OrderRow(id="1", sku="tea", quantity=2))
    with pytest.raises(TypeError):
        ROW.replace(quantty=2)


def test_a_row_is_turned_into_a_message_by_the_names_of_its_fields() -> None:
    assert ROW.into(Order, customer="ann") == Order(id="1", sku="tea", customer="ann")
    assert ROW.into(Order, customer="ann", sku="coffee").sku == "coffee"
    with pytest.raises(Misuse, match="customer"):
        ROW.into(Order)
    with pytest.raises(Misuse, match="custmer"):
        ROW.into(Order, custmer="ann")
