"""How many calls are under way: a test that moves time over sockets waits until they cannot go on without it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from enfilade.call import Call, Handler
from enfilade.contract.operation import Operation


class Count:
    """Counts calls, as a station of the row."""

    def __init__(self) -> None:
        self.under_way = 0
        self.changes = 0
        """How many began or ended."""

    @contextmanager
    def one(self) -> Generator[None]:
        """Inside, one more is under way."""
        self.under_way += 1
        self.changes += 1
        try:
            yield
        finally:
            self.under_way -= 1
            self.changes += 1

    def station(self, _: Operation, handler: Handler) -> Handler:
        async def counted(call: Call) -> Any:
            with self.one():
                return await handler(call)

        return counted
