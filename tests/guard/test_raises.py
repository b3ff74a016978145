"""Only declared problems leave a service."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.errors import Conflict, Forbidden, Invalid, NotFound, Problem, Taken, TooManyRequests, Unavailable
from enfilade.guard import Undeclared, raises


class Neighbours(Problem, status=404):
    """What another service says."""


class OwnConflict(Conflict, status=409):
    """A program's own conflict."""


@pytest.mark.parametrize(
    "error",
    [
        Forbidden(), NotFound(), Taken(on=("id",)), Invalid(), TooManyRequests(), Conflict(),
        Unavailable("away"), ValueError("a bug"), KeyError("a bug"),
    ],
    ids=repr,
)  # fmt: skip
async def test_the_platforms_problems_and_bugs_leave_as_they_are(bench: Any, error: Exception) -> None:
    operation = bench.operation("receipt")

    with pytest.raises(type(error)) as caught:
        await raises()(operation, bench.failing(error))(bench.call(operation))
    assert caught.value is error


async def test_a_declared_problem_leaves(bench: Any) -> None:
    operation = bench.operation("buy")
    sold_out = bench.SoldOut(sku="tea")

    with pytest.raises(bench.SoldOut) as caught:
        await raises()(operation, bench.failing(sold_out))(bench.call(operation))
    assert caught.value is sold_out


@pytest.mark.parametrize("problem", [Neighbours(), OwnConflict()], ids=repr)
async def test_an_undeclared_problem_is_a_bug_that_names_the_remedy(bench: Any, problem: Problem) -> None:
    operation = bench.operation("buy")

    with pytest.raises(Undeclared, match=r"add (Neighbours|OwnConflict) to raises= \(.*conftest\.py:\d+\)") as caught:
        await raises()(operation, bench.failing(problem))(bench.call(operation))
    assert caught.value.__cause__ is problem
    assert not isinstance(caught.value, Problem)


async def test_what_a_stream_raises_on_its_way_is_held_to_the_contract_too(bench: Any) -> None:
    operation = bench.operation("watch")
    items = await raises()(operation, bench.streaming(1, Neighbours()))(bench.call(operation))

    assert await anext(items) == 1
    with pytest.raises(Undeclared):
        await anext(items)
