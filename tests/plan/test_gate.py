"""A version that could not hear what is said, or says what others cannot hear, is refused before it starts."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from enfilade import Event
from enfilade.contract.compare import talk
from enfilade.plan.gate import Said, kept, said


def renamed(_: str, text: str) -> str:
    return text.replace("class Cooked(Event", "class Cooked(Event, public=True").replace(
        'key="name"):\n    name: str', 'key="meal"):\n    meal: str'
    ).replace("Cooked(name=name)", "Cooked(meal=name)")  # fmt: skip


def salted(path: str, text: str) -> str:
    """A hall that has to be told how salty a meal is, and a kitchen that says it."""
    if path == "inn/kitchen/contract.py":
        return text.replace('key="name"):\n    name: str', 'key="name"):\n    name: str\n    salt: int')
    return text.replace("Cooked(name=name)", "Cooked(name=name, salt=1)")


@pytest.fixture(scope="module")
def rows(fresh: Any) -> Generator[Any]:
    with fresh() as made, made.running("rows"):
        yield made


@pytest.mark.timeout(120)
def test_a_release_is_refused_where_somebody_could_not_hear_an_event(rows: Any) -> None:
    for name, change in (("renamed", renamed), ("salted", salted)):
        rows.version(name, change)
    begun = len(rows.lines)

    said = rows.say("release", "kitchen", "--from", "../renamed", code=1)
    assert "hall (process hall) would break: the event kitchen.Cooked, which kitchen says: name is needed" in said
    said = rows.say("release", "hall", "--from", "../salted", code=1)
    assert "hall would break: the event kitchen.Cooked, which kitchen (process kitchen) says: salt is needed" in said
    assert not any("ready" in line for line in rows.lines[begun:])

    assert "kitchen.2 is in force" in rows.say(
        "release", "kitchen", "--from", "../salted", "--steps", "100", "--watch=0"
    )
    said = rows.say("release", "hall", "--from", "../salted", code=1)
    assert "the event kitchen.Cooked, which kitchen said until " in said
    assert "UTC and may lie unheard: salt is needed by its reader and is not written" in said


class Cooked(Event, keep="1h"):
    name: str


class Fried(Event, keep="forever"):
    name: str


def test_what_was_said_counts_for_as_long_as_it_is_kept() -> None:
    before, after = {"kitchen": talk((Cooked, Fried), ())}, {"kitchen": talk((Cooked,), ())}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    both, one = (said(before, stays, ("kitchen", "hall"), now) for stays in ({}, after))

    def names(some: tuple[Said, ...]) -> list[str]:
        return [one.event.partition(".")[2] for one in some]

    assert (names(both), names(one)) == (["Cooked", "Fried"], ["Fried"])
    assert names(kept(both, one, now + timedelta(minutes=59))) == ["Cooked", "Fried"]
    assert names(kept(both, one, now + timedelta(days=9999))) == ["Fried"]
