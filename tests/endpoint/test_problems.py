"""Every failure is a problem document with the fields that its status asks for; nothing of a bug leaves the process."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import pytest

from enfilade import Message, Money, Problem, Version, anyone, command, contract, query
from enfilade.call import current
from enfilade.endpoint import ProblemDocument
from enfilade.errors import (
    DeadlineExceeded,
    Forbidden,
    NotFound,
    Overloaded,
    Stale,
    Taken,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)


class Unsellable(Problem, status=422):
    """The catalog does not sell what was ordered."""

    sku: str
    short_by: Money


@contract(needs=anyone)
class Orders(Protocol):
    @command("POST /orders/{sku}", raises=[Unsellable])
    async def place(self, sku: str) -> str: ...

    @query("GET /orders/{sku}")
    async def order(self, sku: str) -> str: ...

    @command("PUT /orders/{sku}")
    async def change(self, sku: str, version: Version) -> str: ...


class Shop:
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    async def order(self, sku: str, **more: Any) -> str:
        current().say("RateLimit", '"default";r=0;t=7')
        if self.error is not None:
            raise self.error
        return sku

    place = change = order


async def failed(serve: Any, error: BaseException, method: str = "POST", **request: Any) -> Any:
    return await serve({Orders: Shop(error)}).request(method, "/orders/tea", **request)


async def test_a_declared_problem_is_a_document_with_its_members(serve) -> None:
    error = Unsellable(sku="tea", short_by=Money.of("1.50", "EUR"), detail="Out of season.")
    response = await failed(serve, error)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "type": "/problems/test_problems/unsellable",
        "title": "The catalog does not sell what was ordered.",
        "status": 422,
        "detail": "Out of season.",
        "instance": "/orders/tea",
        "trace_id": response.headers["trace-id"],
        "sku": "tea",
        "short_by": {"amount": "1.50", "currency": "EUR"},
    }


@pytest.mark.parametrize(
    ("error", "status", "type"),
    [
        (Unauthenticated(), 401, "/problems/unauthenticated"),
        (Forbidden(needs="scope orders:write"), 403, "/problems/forbidden"),
        (NotFound(), 404, "/problems/not-found"),
        (Taken(on=("sku",)), 409, "/problems/taken"),
        (Stale(), 409, "/problems/stale"),
        (TooManyRequests(retry_after=2.1), 429, "/problems/too-many-requests"),
        (RuntimeError("secret"), 500, "/problems/internal-error"),
        (Unavailable("secret"), 503, "/problems/unavailable"),
        (Overloaded("secret"), 503, "/problems/overloaded"),
        (DeadlineExceeded("secret"), 504, "/problems/deadline-exceeded"),
    ],
)
async def test_each_kind_of_error_has_its_status_and_type(serve, error: Exception, status: int, type: str) -> None:
    response = await failed(serve, error)

    assert (response.status_code, response.json()["status"], response.json()["type"]) == (status, status, type)
    assert "secret" not in response.text


async def test_401_asks_for_the_scheme_and_says_what_was_wrong(serve) -> None:
    bare = await failed(serve, Unauthenticated())
    told = await failed(serve, Unauthenticated(challenge='error="invalid_token"'))
    other = await serve({Orders: Shop(Unauthenticated())}, scheme="Token").get("/orders/tea")

    assert bare.headers["www-authenticate"] == 'Bearer realm="shop"'
    assert told.headers["www-authenticate"] == 'Bearer realm="shop", error="invalid_token"'
    assert other.headers["www-authenticate"] == 'Token realm="shop"'


async def test_403_has_no_challenge_of_its_own(serve) -> None:
    assert "www-authenticate" not in (await failed(serve, Forbidden())).headers


@pytest.mark.parametrize(
    ("error", "seconds"), [(TooManyRequests(retry_after=2.1), "3"), (Unavailable(), "1"), (Overloaded(), "1")]
)
async def test_who_should_come_again_is_told_when(serve, error: Exception, seconds: str) -> None:
    assert (await failed(serve, error)).headers["retry-after"] == seconds


async def test_fields_that_stations_add_are_on_problems_too(serve) -> None:
    response = await failed(serve, TooManyRequests())

    assert response.headers["ratelimit"] == '"default";r=0;t=7'


async def test_a_bug_is_logged_with_the_trace_id_and_nothing_of_it_leaves(serve, caplog) -> None:
    with caplog.at_level(logging.ERROR):
        response = await failed(serve, KeyError("the password is swordfish"))

    (record,) = caplog.records
    assert response.json()["trace_id"] in record.getMessage()
    assert "orders.place" in record.getMessage()
    assert record.exc_info is not None
    assert "swordfish" not in response.text
    assert "KeyError" not in response.text


async def test_a_problem_whose_members_are_wrong_is_a_bug(serve) -> None:
    class Odd(Problem, status=409):
        """Odd."""

        how: int

    Odd.__module__ = __name__
    globals()["Odd"] = Odd
    response = await failed(serve, Odd(how=object()))

    assert response.status_code == 500


async def test_what_was_stale_under_if_match_failed_its_precondition(serve) -> None:
    response = await failed(serve, Stale(), "PUT", headers={"If-Match": '"7"'})

    assert (response.status_code, response.json()["type"]) == (412, "/problems/precondition-failed")


async def test_an_answer_that_the_client_does_not_take_is_406_and_nothing_is_done(serve) -> None:
    client = serve({Orders: Shop()})
    response = await client.get("/orders/tea", headers={"Accept": "text/html, application/json;q=0"})

    assert (response.status_code, response.headers["content-type"]) == (406, "application/problem+json")
    assert client.stage.calls == []


@pytest.mark.parametrize("accept", ["*/*", "application/*", "text/html, application/json;q=0.1", "application/json"])
async def test_json_is_given_to_whoever_takes_it(serve, accept: str) -> None:
    assert (await serve({Orders: Shop()}).get("/orders/tea", headers={"Accept": accept})).status_code == 200


async def test_refusals_before_the_call_are_recorded_and_counted(serve) -> None:
    client = serve({Orders: Shop()})
    response = await client.get("/orders/tea?x=1")

    (span,) = client.stage.recorder.recent()
    assert (span.name, span.outcome, f"{span.trace_id:032x}") == (
        "orders.order",
        "invalid",
        response.headers["trace-id"],
    )
    metrics = client.stage.recorder.metrics.exposition().decode()
    assert 'enfilade_http_problems_total{status="422"} 1' in metrics


async def test_a_problem_of_no_operation_has_a_trace_id_too(serve) -> None:
    response = await serve({Orders: Shop()}).get("/nowhere")

    assert response.json()["trace_id"] == response.headers["trace-id"]
    assert len(response.headers["trace-id"]) == 32


async def test_the_answer_to_head_has_no_body_when_it_fails(serve) -> None:
    response = await failed(serve, NotFound(), "HEAD")

    assert (response.status_code, response.content) == (404, b"")


# -- another shape


class Errors(Message):
    errors: tuple[str, ...]
    code: int


def shaped(document: ProblemDocument) -> Errors | None:
    if document.status == 404:
        return None
    places = [f"{error.parameter or error.pointer}: {error.detail}" for error in document.errors]
    return Errors(errors=(document.title, *places, *map(str, document.members)), code=document.status)


async def test_an_app_may_keep_another_shape_for_all_problems(serve) -> None:
    client = serve({Orders: Shop(Unsellable(sku="tea", short_by=Money.of(1, "EUR")))}, problem=shaped)
    declared, unbound = await client.post("/orders/tea"), await client.post("/orders/tea?x=1")

    assert declared.headers["content-type"] == "application/json"
    assert declared.json() == {
        "errors": ["The catalog does not sell what was ordered.", "sku", "short_by"],
        "code": 422,
    }
    assert unbound.json()["errors"][1:] == ["x: There is no such query parameter."]


async def test_another_shape_may_have_no_body(serve) -> None:
    response = await serve({Orders: Shop()}, problem=shaped).get("/nowhere")

    assert (response.status_code, response.content) == (404, b"")
    assert "content-type" not in response.headers


async def test_another_shape_that_fails_leaves_the_status_and_no_body(serve, caplog) -> None:
    def broken(document: ProblemDocument) -> Errors:
        raise KeyError("swordfish")

    response = await serve({Orders: Shop()}, problem=broken).get("/nowhere")

    assert (response.status_code, response.content) == (404, b"")
    assert "problem hook failed" in caplog.text
