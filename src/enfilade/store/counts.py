"""Counts: how much of a quota was taken within a window, shared by all processes that have the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from enfilade.store.engine import Statement, Want
from enfilade.store.home import Home

TABLE = """
CREATE TABLE IF NOT EXISTS enfilade_count (
    meter {text} NOT NULL, who {text} NOT NULL, began {moment} NOT NULL, ends {moment} NOT NULL, used {whole} NOT NULL,
    PRIMARY KEY (meter, who, began)
){strict};
CREATE INDEX IF NOT EXISTS enfilade_count_ends ON enfilade_count (ends);
"""
_SAME = "meter = :meter AND who = :who AND began = :began"


class Window(NamedTuple):
    """One meter of somebody, from a moment to another."""

    meter: str
    who: str
    began: datetime
    ends: datetime


class Counts:
    """What was taken, of one service. Each of these is a unit of work by itself."""

    def __init__(self, home: Home) -> None:
        self._home = home

    async def take(self, window: Window, amount: int, limit: int) -> tuple[bool, int]:
        """Take so much where it fits below the limit; whether it did, and how much is taken in all."""
        made, there, used = (
            self._statement(
                "INSERT INTO enfilade_count (meter, who, began, ends, used) VALUES (:meter, :who, :began, :ends, 0) "
                "ON CONFLICT DO NOTHING",
                "count", window, ends=window.ends,
            ),
            self._statement(
                f"UPDATE enfilade_count SET used = used + :amount WHERE {_SAME} AND used + :amount <= :limit",
                "count", window, amount=amount, limit=limit,
            ),
            self._statement(f"SELECT used FROM enfilade_count WHERE {_SAME}", "rows", window),
        )  # fmt: skip
        _, count, answer = await self._home.engine.write((made, there, used))
        return count == 1, answer.rows[0][0]

    async def add(self, changes: Sequence[tuple[Window, int]]) -> None:
        """Add to what was taken, or give back of it, whatever the limit."""
        await self._home.engine.write(
            [
                self._statement(
                    "INSERT INTO enfilade_count (meter, who, began, ends, used) "
                    "VALUES (:meter, :who, :began, :ends, :amount) "
                    "ON CONFLICT (meter, who, began) DO UPDATE SET used = enfilade_count.used + :amount",
                    "count", window, ends=window.ends, amount=amount,
                )
                for window, amount in sorted(changes)
            ]
        )  # fmt: skip

    async def sweep(self, before: datetime) -> int:
        """Forget the windows that ended before then. How many."""
        sql = "DELETE FROM enfilade_count WHERE ends < :before"
        (count,) = await self._home.engine.write((self._home.statement(sql, "count", {"before": before}),))
        return count

    def _statement(self, sql: str, want: Want, window: Window, **values: Any) -> Statement:
        same = {"meter": window.meter, "who": window.who, "began": window.began}
        return self._home.statement(sql, want, {**same, **values}, quick=True)
