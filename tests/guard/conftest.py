"""One small contract, its operations with what a test changes about them, and calls to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

import pytest

from enfilade.call import Call, Principal
from enfilade.clock import VirtualClock
from enfilade.contract.blob import Blob, Stream
from enfilade.contract.declare import command, contract, query
from enfilade.contract.marks import Key, Sensitive
from enfilade.contract.message import Message
from enfilade.contract.need import anyone
from enfilade.contract.operation import Operation
from enfilade.contract.read import read
from enfilade.errors import Problem


class Receipt(Message):
    """What was bought."""

    id: str
    quantity: int


class SoldOut(Problem, status=409):
    """There is none left."""

    sku: str


class Broken(Problem, status=503):
    """The till is out of order."""


@contract(needs=anyone, name="shop")
class Shop(Protocol):
    """A shop with one till."""

    @command("POST /carts/{cart}/buy", raises=[SoldOut, Broken])
    async def buy(self, cart: str, sku: Key[str], card: Sensitive[Key[str]] = "", quantity: int = 1) -> Receipt: ...

    @command("POST /photos")
    async def upload(self, photo: Blob) -> None: ...

    @query("GET /receipts/{id}")
    async def receipt(self, id: str) -> Receipt: ...

    @query("GET /watch")
    def watch(self) -> Stream[Receipt]: ...

    @command("POST /follow")
    def follow(self) -> Stream[Receipt]: ...


ARGUMENTS: dict[str, dict[str, Any]] = {
    "buy": {"cart": "c1", "sku": "tea", "card": "4111", "quantity": 1},
    "upload": {"photo": Blob(id="b1", size=3, sha256="00" * 32)},
    "receipt": {"id": "r1"},
    "watch": {},
    "follow": {},
}


class Bench:
    """Makes operations and calls."""

    Receipt = Receipt
    SoldOut = SoldOut
    Broken = Broken

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.served = 0

    def operation(self, name: str, **changes: Any) -> Operation:
        return replace(read(Shop).operation(name), **changes)

    def call(
        self,
        operation: Operation,
        *,
        caller: Principal | str | None = None,
        deadline: float | None = None,
        **facts: Any,
    ) -> Call:
        principal = Principal(subject=caller) if isinstance(caller, str) else caller
        arguments = {**ARGUMENTS[operation.name], **facts.pop("arguments", {})}
        until = self.clock.monotonic() + 3600 if deadline is None else deadline
        return Call(operation, arguments, self.clock, until, caller=principal, **facts)

    async def serve(self, call: Call) -> Any:
        """A service that answers at once."""
        self.served += 1
        return Receipt(id=f"r{self.served}", quantity=call.arguments.get("quantity", 1))

    def failing(self, error: BaseException) -> Callable[[Call], Awaitable[Any]]:
        async def fail(call: Call) -> Any:
            self.served += 1
            raise error

        return fail

    def streaming(self, *items: Any) -> Callable[[Call], Awaitable[Any]]:
        """A service whose stream gives these items; an exception among them is raised, an awaitable awaited."""

        async def made() -> Any:
            for item in items:
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, Awaitable):
                    await item
                else:
                    yield item

        async def start(call: Call) -> Any:
            return made()

        return start


@pytest.fixture
def bench() -> Bench:
    return Bench()
