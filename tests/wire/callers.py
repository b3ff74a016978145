"""Hooks of schemathesis: who asks, and which refusals of good requests are right."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

from enfilade.clock import SystemClock
from enfilade.identity import DevelopmentIssuer, Tokens

FORM = {"/problems/malformed", "/problems/invalid", "/problems/unsupported-media", "/problems/not-acceptable"}
"""Problems that say that a request is not what the description says."""

numbers = itertools.count(1)
customers = itertools.cycle(os.environ["CUSTOMERS"].split())
tokens = Tokens(DevelopmentIssuer(Path(os.environ["APP"]), "shop"), SystemClock())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Each request comes from another address, and orders from many customers: limits are tested elsewhere.

    In a story of several steps the customer stays who he is, or he would not find what he ordered.
    """
    number, headers = next(numbers), case.headers
    headers["X-Forwarded-For"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    if case.meta is None:
        return
    story = case.meta.phase.name.value == "stateful"
    if (
        case.operation.label == "POST /orders"
        and not story
        and headers.get("Authorization", "").startswith("Bearer ey")
    ):
        headers["Authorization"] = f"Bearer {tokens.issue(next(customers), scopes=['orders:write'])}"
    if case.meta.generation.mode.is_positive and "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = f"{headers['Idempotency-Key'][:200]}-{number}"  # good ones are used once


@schemathesis.hook
def filter_failure(context, failure: Failure, case, response) -> bool:
    """What fits the description may still be refused for what the shop knows, but never for its form.

    A good cursor is one that the shop gave, and no description can say which that is.
    """
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = json.loads(response.content)
    return problem["type"] in FORM and {one.get("parameter") for one in problem.get("errors", ())} != {"after"}
