"""How many there are of a process changes while it is asked, and no request is lost."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

LONG = bool(os.environ.get("ENFILADE_FAULTS"))


@pytest.mark.timeout(600 if LONG else 120)
def test_nobody_notices_that_replicas_come_and_go(inn: Any) -> None:
    with inn.running("split"), inn.guests().asking() as guests:
        for count in (3, 1) * (10 if LONG else 1):
            inn.say("scale", f"kitchen={count}", "hall=2")
            assert len({one.pid for one in guests.more(60)}) == count

    assert guests.failed() == []


@pytest.mark.timeout(600 if LONG else 120)
def test_nobody_notices_that_one_of_three_replicas_is_killed(inn: Any) -> None:
    with inn.running("split"), inn.guests().asking() as guests:
        inn.say("scale", "kitchen=3")
        for _ in range(20 if LONG else 3):
            pids = {one.pid for one in guests.more(90)}
            os.kill(min(pids), signal.SIGKILL)
            assert len(pids) > 1
            guests.more(60)

    assert guests.failed() == []


@pytest.mark.timeout(120)
def test_nobody_notices_that_the_front_has_fewer_replicas(inn: Any) -> None:
    with inn.running("one"), inn.guests().asking() as guests:
        for count in (3, 1):
            inn.say("scale", f"inn={count}")
            guests.more(60)

    assert guests.failed() == []


def test_a_change_is_shown_before_it_is_made_and_kept_when_the_plan_starts_again(inn: Any) -> None:
    with inn.running("split"):
        shown = inn.say("scale", "kitchen=2", "--dry-run")
        assert shown.splitlines()[1].split() == ["process", "kitchen", "kitchen", "2", "replicas;", "kitchen"]
        assert len(inn.processes()) == len(inn.processes())
        made = inn.say("scale", "kitchen=2")
        assert made.startswith(shown)
        assert made.splitlines()[-1] == "kitchen has 2 replicas."
        assert inn.say("scale", "kitchen=2") == "Nothing changes.\n"
        assert "process kitchen  2 replicas; kitchen" in inn.say("plan", "show", "--force")
    assert "process kitchen  kitchen" in inn.say("plan", "show", "split")
    with inn.running("split"):
        assert "process kitchen  2 replicas; kitchen" in inn.say("plan", "show", "--force")


def test_what_cannot_be_scaled_is_refused_and_changes_nothing(inn: Any) -> None:
    assert "no plan runs in .enfilade" in inn.say("scale", "kitchen=2", code=1)
    inn.write("plan.toml", '[split.store]\ndata = { kitchen = "sqlite::memory:" }')
    with inn.running("split"):
        assert "garden is no process of services, and no service" in inn.say("scale", "garden=2", code=1)
        assert "kitchen keeps its rows in the memory of one process" in inn.say("scale", "kitchen=2", code=1)
        assert "hall needs one replica at least" in inn.say("scale", "hall=0", code=1)
        assert "'hall' is not written as orders=3" in inn.say("scale", "hall", code=2)
