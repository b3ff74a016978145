"""A service that is dead or hangs: who needs it is told so in time, and nobody else notices.

Each service in turn by `make faults`; two of them, in fewer processes, in the ordinary run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

ALL = bool(os.environ.get("ENFILADE_FAULTS"))
EACH = (
    "accounts", "cart", "catalog", "currency", "inventory", "notifications", "orders", "payments", "provider",
    "recommendations", "search", "shipping", "outside",
)  # fmt: skip
FAULTS = [(how, one) for how in ("killed", "hung") for one in EACH]
SAMPLE = [("killed", "catalog"), ("hung", "recommendations")]

CALLS: Mapping[str, frozenset[str]] = {
    "cart.put": frozenset({"catalog"}),
    "inventory.stock": frozenset({"catalog"}),
    "inventory.recount": frozenset({"catalog"}),
    "orders.place": frozenset({"catalog", "currency", "inventory", "payments", "psp", "shipping", "carrier"}),
    "shipping.quote": frozenset({"carrier"}),
}
"""What an operation cannot do without, beside its own service. The page of a product asks for recommendations, too."""

pytestmark = pytest.mark.timeout(600 if ALL else 120)


@pytest.fixture(scope="module")
def table() -> Iterator[dict[tuple[str, str, str], str]]:
    """What became of each operation, by fault and process; shown at the end (`pytest -s`)."""
    found: dict[tuple[str, str, str], str] = {}
    yield found
    for how in dict.fromkeys(one for one, _, _ in found):
        columns = [name for name in EACH if any(key[:2] == (how, name) for key in found)]
        rows = dict.fromkeys(id for _, _, id in found)
        print(f"\n\n{how:<30}" + "".join(f"{name[:9]:<10}" for name in columns))
        for id in rows:
            print(f"{id:<30}" + "".join(f"{found[how, name, id]:<10}" for name in columns))
    print("\n503: it needs that, and says so   with: it may ask it, and works without   .: it never asks it")


def test_what_an_operation_needs_its_service_declares(customer: Any) -> None:
    declared = may_ask(customer)

    for id, needed in CALLS.items():
        assert needed <= declared[id.partition(".")[0]]


@pytest.mark.parametrize(("how", "process"), FAULTS if ALL else SAMPLE, ids=str)
async def test_what_needs_a_service_that_is_gone_says_so_and_all_else_works(
    customer: Any, table: dict[tuple[str, str, str], str], how: str, process: str
) -> None:
    await customer.until_all_is_well()
    usual, declared = await customer.ask(), may_ask(customer)
    gone = {one for one in customer.shop.services if customer.shop.process_of(one) == process}

    with getattr(customer.shop, how)(process):
        told = await customer.ask()

    for id, one in told.items():
        own = id.partition(".")[0]
        refused = bool(({own} | CALLS.get(id, frozenset())) & gone)
        table[how, process, id] = "503" if refused else "with" if declared[own] & gone else "."
        if refused:
            assert (one.status, one.retry_after) == (503, "1"), (id, one)
            assert own == "provider" or one.type == "/problems/unavailable"
        else:
            assert one == usual[id], (id, one)


def may_ask(customer: Any) -> Mapping[str, frozenset[str]]:
    """By service: itself and all that it may ask on its way, by what the constructors name."""
    calls = {name: set(one["calls"]) for name, one in customer.shop.services.items()}

    def reach(name: str, seen: frozenset[str]) -> frozenset[str]:
        for other in calls[name] - seen:
            seen = reach(other, seen | {other})
        return seen

    return {name: reach(name, frozenset({name})) for name in calls}
