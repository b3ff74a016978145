"""When a schedule comes due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from enfilade.topic.schedule import Schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "time", "moment", "due"),
    [
        ("1h", "", "2026-01-01T09:15:00", "2026-01-01T10:00:00"),
        ("1h", "", "2026-01-01T10:00:00", "2026-01-01T11:00:00"),
        ("15m", "", "2026-01-01T09:16:00", "2026-01-01T09:30:00"),
        ("1d", "", "2026-01-01T09:15:00", "2026-01-02T00:00:00"),
        ("1d", "03:00", "2026-01-01T02:59:59", "2026-01-01T03:00:00"),
        ("1d", "03:00", "2026-01-01T03:00:00", "2026-01-02T03:00:00"),
    ],
)
def test_it_is_due_at_whole_multiples_of_its_period(period: str, time: str, moment: str, due: str) -> None:
    assert Schedule.read(period, time).after(at(moment)) == at(due)


def test_two_replicas_that_start_apart_name_the_same_moments() -> None:
    schedule = Schedule.read("7d", "04:30")
    first = schedule.after(at("2026-01-01T00:00:00"))

    assert schedule.after(first - timedelta(hours=5)) == first
    assert schedule.after(first) - first == timedelta(days=7)
