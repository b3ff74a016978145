"""A table of rows: what a service keeps."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Generic, LiteralString, TypeVar, overload

from enfilade.contract.page import Page, Paging
from enfilade.store.row import Row
from enfilade.store.where import Condition, Scalar, Value

R = TypeVar("R", bound=Row)


class Table(Generic[R]):
    """Rows of one type. Read anywhere; written inside `@atomic` only."""

    async def get(self, *key: Scalar, lock: bool = False) -> R | None:
        """The row of this key, or None. `lock=True` keeps others from changing it until the unit of work ends."""
        raise NotImplementedError

    async def lock(self, *keys: Scalar | tuple[Scalar, ...]) -> tuple[R, ...]:
        """The rows of these keys for change, locked in key order, so that two callers cannot block each other.

        A key of two columns is a tuple. Rows that are not there are left out.
        """
        raise NotImplementedError

    async def add(self, row: R) -> R:
        """Store a new row. Raises Taken, which may be caught and the unit of work continued."""
        raise NotImplementedError

    @overload
    async def put(self, row: R, /) -> R: ...
    @overload
    async def put(self, *rows: R) -> tuple[R, ...]: ...
    async def put(self, *rows: R) -> R | tuple[R, ...]:
        """Store rows, new or changed, all or none. Raises Stale, and Taken where another row has a unique value."""
        raise NotImplementedError

    async def delete(self, *key: Scalar) -> bool:
        """Remove the row of this key; False where there was none."""
        raise NotImplementedError

    async def find(
        self,
        *conditions: LiteralString | Condition,
        order: LiteralString = "",
        limit: int | None = None,
        **values: Value,
    ) -> tuple[R, ...]:
        """The rows that meet all conditions: `find("state = :state", state="open", order="created desc", limit=20)`."""
        raise NotImplementedError

    async def count(self, *conditions: LiteralString | Condition, **values: Value) -> int:
        """How many rows meet all conditions."""
        raise NotImplementedError

    async def page(
        self,
        paging: Paging,
        *conditions: LiteralString | Condition,
        order: LiteralString = "",
        **values: Value,
    ) -> Page[R]:
        """A page of `find`, and the sealed cursor of the next. Raises Invalid where `after` is not a cursor of this query."""
        raise NotImplementedError

    def each(
        self, *conditions: LiteralString | Condition, order: LiteralString = "", **values: Value
    ) -> AsyncGenerator[R]:
        """All rows that meet the conditions, read in batches."""
        raise NotImplementedError
