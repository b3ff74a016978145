"""How many there are of a process changes while it is asked, and no request is lost."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

LONG = bool(os.environ.get("ENFILADE_FAULTS"))


@pytest.mark.timeout(600 if LONG else 120)
def test_nobody_notices_that_replicas_come_and_go_and_are_killed(split: Any) -> None:
    with split.guests().asking() as guests:
        for count in (1, 3) * (10 if LONG else 1):
            assert f"kitchen has {count} replica" in split.say("scale", f"kitchen={count}") or count == 1
            assert len({one.pid for one in guests.more(60)}) == count
        for _ in range(20 if LONG else 2):
            pids = set[int]()
            while len(pids) < 3:  # what ends again and again is started later each time
                pids = {one.pid for one in guests.more(60)}
            os.kill(min(pids), signal.SIGKILL)
            guests.more(40)
        split.say("scale", "kitchen=1")

    assert guests.failed() == []


def test_what_cannot_be_scaled_is_refused_and_changes_nothing(split: Any) -> None:
    assert "garden is no process of services, and no service" in split.say("scale", "garden=2", code=1)
    assert "hall keeps its rows in the memory of one process" in split.say("scale", "hall=2", code=1)
    assert "kitchen needs one replica at least" in split.say("scale", "kitchen=0", code=1)
    assert "'hall' is not written as orders=3" in split.say("scale", "hall", code=2)
    assert split.say("scale", "kitchen=1") == "Nothing changes.\n"


def test_a_change_is_shown_before_it_is_made(split: Any) -> None:
    shown = split.say("scale", "kitchen=2", "--dry-run")

    assert shown.splitlines()[1].split() == ["process", "kitchen", "kitchen", "2", "replicas;", "kitchen"]
    assert "process kitchen  kitchen\n" in split.say("plan", "show", "--force")


def test_where_no_plan_runs_nothing_is_changed(inn: Any) -> None:
    assert "no plan runs in .enfilade" in inn.say("scale", "kitchen=2", code=1)
