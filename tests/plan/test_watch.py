"""A new version is worse where its calls fail more often or take longer, and that is hardly chance."""

from __future__ import annotations

import pytest

from enfilade.endpoint.report import Counts
from enfilade.plan.watch import Seen, failing, slower
from enfilade.trace.metrics import SECONDS


def seen(calls: int, failed: int = 0, within: float = 0.005) -> Seen:
    times = [0] * (len(SECONDS) + 1)
    times[SECONDS.index(within)] = calls
    return Seen(calls, failed, tuple(times))


def mixed(calls: int, slow: int) -> Seen:
    times = [0] * (len(SECONDS) + 1)
    times[SECONDS.index(0.005)], times[SECONDS.index(0.1)] = calls - slow, slow
    return Seen(calls, 0, tuple(times))


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (seen(0), seen(0)),
        (seen(10, 1), seen(90)),  # one is chance
        (seen(1000, 4), seen(9000, 30)),  # nearly as many as ever
        (seen(20, 20), seen(180, 180)),  # all fail, there as well
        (seen(40, within=1.0), seen(400)),  # too few to know
        (seen(500, within=0.01), seen(5000, within=0.01)),
        (seen(500, within=0.01), seen(5000, within=0.0025)),  # by less than 5 ms
        (mixed(50, 8), mixed(500, 40)),  # some are slow, as ever
    ],
)
def test_what_may_be_chance_is_not_worse(new: Seen, old: Seen) -> None:
    assert failing(new, old) == slower(new, old) == ""


@pytest.mark.parametrize(
    ("new", "old", "how"),
    [
        (seen(10, 2), seen(990), "2 of 10 calls failed, and 0 of 990 before"),
        (seen(10, 10), seen(0), "10 of 10 calls failed, and 0 of 0 before"),
        (seen(100_000, 2_000), seen(100_000, 300), "2000 of 100000 calls failed, and 300 of 100000 before"),
        (seen(60, within=0.05), seen(600), "60 of 60 calls took longer than 25 ms, and 0 of 600 before"),
    ],
)
def test_what_is_hardly_chance_is_worse(new: Seen, old: Seen, how: str) -> None:
    assert how == (failing(new, old) or slower(new, old))


def test_calls_are_counted_since_the_new_version_came_also_by_processes_that_began_again() -> None:
    before, after, anew = (Counts(calls=calls, failed=calls // 10, times=(calls, 0)) for calls in (50, 80, 20))
    sum = Seen().plus(after, before).plus(anew, before)

    assert sum == Seen(50, 5, (50, 0))
    assert str(sum) == "50 calls, 5 failed, 90 of 100 within 0.1 ms"
    assert str(Seen()) == "no calls"
