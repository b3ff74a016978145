"""Conditions: SQL that is written in the program, and values that are always bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import LiteralString, TypeAlias
from uuid import UUID

Scalar: TypeAlias = str | int | float | bool | bytes | Decimal | datetime | date | time | timedelta | UUID | Enum
"""What one column can be compared with."""

Value: TypeAlias = Scalar | Sequence[str | int | float | Decimal | datetime | date | time | UUID | Enum] | None
"""What a parameter of SQL can be: a scalar, None, or several scalars for `IN`."""


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL with a `?` for each of its values."""

    sql: str
    values: tuple[Value, ...] = ()


def where(sql: LiteralString, /, *values: Value) -> Condition:
    """One condition, for filters that are put together as they are asked for.

        conditions = [where("state = ?", state)]
        if authors:
            conditions.append(where("author IN ?", authors))
        await self.articles.find(*conditions, order="created desc", limit=20)

    `?` takes a value; after `IN` it takes a tuple. The text is a LiteralString: one that is built from a caller's words
    is an error of the type checker.
    """
    return Condition(sql, values)
