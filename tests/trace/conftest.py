"""Operations and calls for the tests of telemetry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from enfilade.call import Call
from enfilade.clock import Clock, VirtualClock
from enfilade.contract.need import anyone
from enfilade.contract.operation import Operation

PLACE = Operation(
    id="orders.place", service="orders", name="place", kind="command", summary="", description="", method="POST",
    path="/orders", parameters=(), defaults={}, request=msgspec.Struct, result=str, style="value", returns="",
    status=201, raises=(), needs=anyone, rates=(), timeout=30.0, idle=60.0, body_limit=1000, idempotent=False,
    deprecated=None, level=None, names="snake", where="orders/contract.py:1",
)  # fmt: skip


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def operation() -> Callable[..., Operation]:
    """`operation("cart.cart")`, `operation("orders.watch", style="stream")`."""

    def make(id: str = "orders.place", **changes: Any) -> Operation:
        service, name = id.split(".")
        return replace(PLACE, id=id, service=service, name=name, **changes)

    return make


@pytest.fixture
def call(clock: Clock) -> Callable[..., Call]:
    """A call from outside; `peer="cart"` for one from within."""

    def make(operation: Operation = PLACE, **facts: Any) -> Call:
        facts.setdefault("address", "" if "peer" in facts else "192.0.2.7")
        return Call(operation, {}, clock, clock.monotonic() + 30, **facts)

    return make
