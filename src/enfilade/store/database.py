"""SQL of the service's own, with rows mapped into messages."""

from __future__ import annotations

from typing import LiteralString, TypeVar

from enfilade.contract.message import Message
from enfilade.store.where import Value

M = TypeVar("M", bound=Message)
T = TypeVar("T")


class Database:
    """The service's own database, by SQL. `:name` takes a value; `:now`, `:me` and `:tenant` are always there."""

    async def rows(self, kind: type[M], sql: LiteralString, /, **values: Value) -> tuple[M, ...]:
        """All rows of the answer, as messages: a column of the same name for each field."""
        raise NotImplementedError

    async def row(self, kind: type[M], sql: LiteralString, /, **values: Value) -> M | None:
        """The first row of the answer, or None."""
        raise NotImplementedError

    async def value(self, kind: type[T], sql: LiteralString, /, **values: Value) -> T | None:
        """The first column of the first row; None where there is none, or it is NULL."""
        raise NotImplementedError

    async def run(self, sql: LiteralString, /, **values: Value) -> int:
        """A statement that changes rows, inside `@atomic`; how many it changed."""
        raise NotImplementedError
