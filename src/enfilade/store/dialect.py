"""What differs between the two engines in the text of SQL and in the form of values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, TypeAlias
from uuid import UUID

from enfilade.contract.rewrite import stamp

Kind: TypeAlias = Literal[
    "text", "integer", "real", "boolean", "bytes", "decimal", "datetime", "date", "time", "duration", "uuid", "json"
]  # fmt: skip
"""What a column holds, the same on both engines. A time is text, a duration whole microseconds."""

Turn: TypeAlias = Callable[[Any], Any]

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, eq=False)
class Dialect:
    """One engine's way to say things."""

    name: Literal["sqlite", "postgres"]
    types: Mapping[Kind, str]
    store: Mapping[Kind, Turn]
    """From Python's value to the driver's, by the column's kind; kinds that are not here pass as they are."""
    load: Mapping[Kind, Turn]
    """From the driver's value to Python's."""
    by_type: Mapping[type, Turn]
    """From Python's value to the driver's, where only the value is known."""
    marker: str
    """Before the number of a parameter."""
    among: str
    """A column's value is one of a list: `{}` is the list's parameter."""
    not_among: str
    for_update: str
    """After a SELECT whose rows are going to be changed."""

    def bind(self, value: Any) -> Any:
        """A parameter of SQL that the service wrote."""
        if isinstance(value, Enum):
            value = value.value
        turn = self.by_type.get(value.__class__)
        return value if turn is None else turn(value)

    def bind_many(self, values: Sequence[Any]) -> Any:
        """The parameter of an `IN`."""
        bound = [self.bind(value) for value in values]
        return json.dumps(bound) if self.name == "sqlite" else bound


def _zoned(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no zone: take current().now, or datetime(..., tzinfo=UTC)")
    return at


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _micros(span: timedelta) -> int:
    return span // _MICROSECOND


def _span(micros: int) -> timedelta:
    return micros * _MICROSECOND


def _plain(number: Decimal) -> str:
    return format(number, "f")


SQLITE = Dialect(
    name="sqlite",
    types={
        "text": "TEXT", "integer": "INTEGER", "real": "REAL", "boolean": "INTEGER", "bytes": "BLOB", "decimal": "TEXT",
        "datetime": "TEXT", "date": "TEXT", "time": "TEXT", "duration": "INTEGER", "uuid": "TEXT", "json": "TEXT",
    },
    store={
        "boolean": int, "decimal": _plain, "datetime": stamp, "date": date.isoformat, "time": time.isoformat,
        "duration": _micros, "uuid": str, "real": float,
    },
    load={
        "boolean": bool, "decimal": Decimal, "datetime": _moment, "date": date.fromisoformat,
        "time": time.fromisoformat, "duration": _span, "uuid": UUID,
    },
    by_type={
        bool: int, Decimal: _plain, datetime: stamp, date: date.isoformat, time: time.isoformat, timedelta: _micros,
        UUID: str,
    },
    marker="?",
    among="IN (SELECT value FROM json_each({}))",
    not_among="NOT IN (SELECT value FROM json_each({}))",
    for_update="",
)  # fmt: skip

POSTGRES = Dialect(
    name="postgres",
    # Text is compared by code points, as SQLite does, so that both engines sort alike.
    types={
        "text": 'text COLLATE "C"', "integer": "bigint", "real": "double precision", "boolean": "boolean",
        "bytes": "bytea", "decimal": "numeric", "datetime": "timestamp with time zone", "date": "date",
        "time": 'text COLLATE "C"', "duration": "bigint", "uuid": "uuid", "json": "jsonb",
    },
    store={"datetime": _zoned, "time": time.isoformat, "duration": _micros},
    load={"time": time.fromisoformat, "duration": _span},
    by_type={datetime: _zoned, time: time.isoformat, timedelta: _micros},
    marker="$",
    among="= ANY({})",
    not_among="<> ALL({})",
    for_update=" FOR UPDATE",
)  # fmt: skip


def _whole(value: Any) -> int:
    if value != int(value):
        raise ValueError(f"{value} is not a whole number")
    return int(value)


LOOSE: Mapping[Kind, Turn] = {
    "integer": _whole,
    "duration": _whole,
    "real": float,
    "boolean": bool,
    "decimal": lambda value: Decimal(str(value)),
}
"""What SQL computes may come in a neighbouring type: a sum of integers is a `numeric` in PostgreSQL."""
