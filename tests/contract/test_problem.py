"""Problems as documents, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from enfilade import Message, Money, Problem
from enfilade.contract.problem import ForeignProblem, document, problem_from
from enfilade.errors import (
    FieldError,
    Forbidden,
    Invalid,
    KeyReused,
    MethodNotAllowed,
    NotFound,
    Stale,
    Taken,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
)  # fmt: skip


class Hold(Message):
    held_until: datetime


class Insufficient(Problem, status=422, type="/problems/ledger/insufficient"):
    """The account has too little."""

    short_by: Money
    hold: Hold | None = None
    limits_by_day: Mapping[str, int] = {}


PROBLEM = Insufficient(
    short_by=Money.of("1.50", "EUR"), hold=Hold(held_until=datetime(2026, 1, 1, tzinfo=UTC)), detail="Pay in first."
)


def sent(problem: Problem, **options: Any) -> dict[str, Any]:
    """The document as it arrives."""
    return json.loads(msgspec.json.encode(document(problem, **options)))


def test_a_problem_is_a_document_with_its_members() -> None:
    assert sent(PROBLEM, instance="/accounts/7", trace_id="abc") == {
        "type": "/problems/ledger/insufficient",
        "title": "The account has too little.",
        "status": 422,
        "detail": "Pay in first.",
        "instance": "/accounts/7",
        "trace_id": "abc",
        "short_by": {"amount": "1.50", "currency": "EUR"},
        "hold": {"held_until": "2026-01-01T00:00:00.000000Z"},
        "limits_by_day": {},
    }


@pytest.mark.parametrize("names", ["snake", "camel"])
def test_a_declared_problem_arrives_as_the_same_class_with_typed_members(names: Any) -> None:
    arrived = problem_from(sent(PROBLEM, names=names, trace_id="abc"), [Insufficient], names=names)

    assert type(arrived) is Insufficient
    assert (arrived.short_by, arrived.hold, arrived.detail) == (PROBLEM.short_by, PROBLEM.hold, PROBLEM.detail)


def test_members_are_spelled_as_the_contract_spells() -> None:
    said = sent(PROBLEM, names="camel")

    assert said["shortBy"] == {"amount": "1.50", "currency": "EUR"}
    assert said["hold"] == {"heldUntil": "2026-01-01T00:00:00.000000Z"}


def test_members_that_a_newer_peer_adds_are_left_out() -> None:
    arrived = problem_from(
        {**sent(PROBLEM), "hold": {"held_until": "2026-01-01T00:00:00Z", "new": 1}, "new": 2}, [Insufficient]
    )

    assert isinstance(arrived, Insufficient)
    assert arrived.hold == PROBLEM.hold


PLATFORM = [
    NotFound(),
    Taken(on=("name",)),
    Stale(detail="Read it again."),
    KeyReused(),
    TooLarge(limit=1024),
    TooManyRequests(retry_after=2.5),
    MethodNotAllowed(allow=("GET", "PUT")),
    Invalid(errors=(FieldError(pointer="/a", detail="Wrong."), FieldError(pointer="", detail="Wrong.", parameter="q"))),
]  # fmt: skip


@pytest.mark.parametrize("problem", PLATFORM, ids=lambda one: type(one).__name__)
def test_a_platform_problem_needs_no_declaration(problem: Problem) -> None:
    arrived = problem_from(sent(problem), [])

    assert type(arrived) is type(problem)
    assert repr(arrived) == repr(problem)


def test_what_is_empty_or_stays_inside_is_not_said() -> None:
    assert sent(Unauthenticated(challenge='error="invalid_token"')).keys() == {"type", "title", "status"}
    assert sent(Forbidden(needs="scope orders")).keys() == {"type", "title", "status"}
    assert sent(Invalid()).keys() == {"type", "title", "status"}


@pytest.mark.parametrize(
    "said",
    [
        {"type": "https://example.org/other", "more": [1]},
        {"type": "/problems/ledger/insufficient", "more": [1]},
        {"type": "/problems/ledger/insufficient", "short_by": 1},
    ],
)
def test_what_is_not_known_arrives_as_a_foreign_problem(said: dict[str, Any]) -> None:
    said = {"title": "Other.", "status": 409, "detail": "So it is."} | said

    arrived = problem_from(said, [Insufficient])

    assert isinstance(arrived, ForeignProblem)
    assert (arrived.type, arrived.title, arrived.status, arrived.detail) == (said["type"], "Other.", 409, "So it is.")
    assert sent(arrived) == said


@pytest.mark.parametrize("said", [{}, {"status": "no"}, {"status": 200}, {"type": 3, "detail": 4, "title": None}])
def test_a_document_that_is_none_is_a_foreign_problem_with_status_500(said: dict[str, Any]) -> None:
    assert problem_from(said, []).status == 500
    assert NotFound.status == 404
