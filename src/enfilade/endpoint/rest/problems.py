"""Every failure becomes a problem document here (RFC 9457), by one function.

Problem                   its own status, type, title and members
Overloaded, Unavailable   503 with Retry-After
DeadlineExceeded          504
anything else             500, logged with its trace id; nothing of it leaves the process
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeAlias, get_type_hints

import msgspec

from enfilade.call import Call
from enfilade.contract.codec import codec
from enfilade.contract.message import Message
from enfilade.contract.problem import document
from enfilade.endpoint.http import Headers, Request, Response
from enfilade.endpoint.rest.fields import JSON, NO_STORE, NOSNIFF, PROBLEM, call_lines, line
from enfilade.endpoint.rest.resource import Resource
from enfilade.endpoint.site import Site
from enfilade.errors import (
    DeadlineExceeded,
    FieldError,
    MethodNotAllowed,
    Overloaded,
    Problem,
    RangeNotSatisfiable,
    Unavailable,
)

log = logging.getLogger("enfilade.endpoint")

_BUILT_IN = frozenset(("type", "title", "status", "detail", "instance", "trace_id", "errors"))


class NoAnswer(Problem, status=503, type="/problems/unavailable"):
    """Something that this needs does not answer; it may have been done all the same."""


class NoRoom(Problem, status=503, type="/problems/overloaded"):
    """There is no room for this request now; nothing was done."""


class TimeOver(Problem, status=504, type="/problems/deadline-exceeded"):
    """The time for this request is over; it may have been done all the same."""


class Bug(Problem, status=500, type="/problems/internal-error"):
    """Something went wrong here. The trace id names this very occurrence."""


@dataclass(frozen=True, kw_only=True)
class ProblemDocument:
    """What a problem says, for an app that must say it in another shape."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    trace_id: str
    errors: tuple[FieldError, ...]
    """The places of the request that are wrong."""
    members: Mapping[str, Any]
    """The problem's own members, as JSON has them."""


Reshape: TypeAlias = Callable[[ProblemDocument], Message | None]
"""Another shape for all problems: its return annotation is their schema, and None an answer without a body."""


def reshaped_type(hook: Callable[..., Any]) -> Any:
    """What a hook returns, by its annotation."""
    return get_type_hints(hook, include_extras=True).get("return")


class Problems:
    """Makes answers of errors, for one endpoint."""

    def __init__(self, site: Site, scheme: str, hook: Reshape | None, resource: Resource | None = None) -> None:
        self._site = site
        self._resource = resource
        self._challenge = f'{scheme} realm="{site.name}"'
        self._hook = hook
        self._encode = codec(reshaped_type(hook)).encode if hook is not None else None

    def answer(self, error: Exception, request: Request, call: Call | None = None) -> Response:
        """The answer to a request that failed, with its trace id; bugs are logged."""
        problem, body, trace = self._document(error, request, call)
        headers: Headers = [PROBLEM if self._hook is None else JSON, NOSNIFF, NO_STORE]
        headers.extend(call_lines(call) if call is not None else [line("trace-id", trace)])
        headers.extend(self._said(error, problem, request))
        counted = self._site.recorder.metrics.counter(
            "enfilade_http_problems_total", "Answers that are problems.", status=str(problem.status)
        )
        counted.add(1)
        if not body:
            del headers[0]
        return Response(problem.status, headers, body)

    def body(self, error: Exception, request: Request, call: Call) -> bytes:
        """The document alone, for a stream that has begun."""
        return self._document(error, request, call)[1]

    def _document(self, error: Exception, request: Request, call: Call | None) -> tuple[Problem, bytes, str]:
        """The problem, its document, and the trace id in it: where nothing is recorded, one for the log alone."""
        trace_id = (call.trace_id if call is not None else 0) or self._site.clock.random.getrandbits(128)
        if call is not None:
            call.trace_id = trace_id
        problem, trace = as_problem(error), f"{trace_id:032x}"
        names = call.operation.names if call is not None else "snake"
        try:
            said = document(problem, instance=request.path, trace_id=trace, names=names)
        except Exception as broken:  # members that are not what the problem's class says
            problem, error = Bug(), broken
            said = document(problem, instance=request.path, trace_id=trace)
        if isinstance(problem, Bug):
            what = call.operation.id if call is not None else f"{request.method} {request.path}"
            log.error("%s failed, trace %s", what, trace, exc_info=error)
        return problem, self._shaped(said, problem), trace

    def _shaped(self, said: dict[str, Any], problem: Problem) -> bytes:
        if self._hook is None or self._encode is None:
            return msgspec.json.encode(said)
        try:
            reshaped = self._hook(_opened(said, problem))
            return b"" if reshaped is None else self._encode(reshaped)
        except Exception:
            log.exception("the problem hook failed, trace %s", said["trace_id"])
            return b""

    def _said(self, error: Exception, problem: Problem, request: Request) -> Headers:
        """What the status has its own fields for."""
        said: Headers = []
        challenge = getattr(problem, "challenge", "")
        if problem.status == 401 or (problem.status == 403 and challenge):
            whom = self._resource.challenge(request) if self._resource is not None else ""
            said.append(line("www-authenticate", ", ".join(filter(None, (self._challenge, challenge, whom)))))
        if problem.status == 405 and isinstance(problem, MethodNotAllowed):
            said.append(line("allow", ", ".join(problem.allow)))
        if isinstance(problem, RangeNotSatisfiable):
            said.append(line("content-range", f"bytes */{problem.size}"))
        wait = getattr(error, "retry_after", None)
        if problem.status in (429, 503) and isinstance(wait, int | float):
            said.append(line("retry-after", str(max(1, ceil(wait)))))
        return said


def as_problem(error: Exception) -> Problem:
    """The problem that an error is to the outside."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, DeadlineExceeded):
        return TimeOver()
    if isinstance(error, Overloaded):
        return NoRoom()
    return NoAnswer() if isinstance(error, Unavailable) else Bug()


def _opened(said: dict[str, Any], problem: Problem) -> ProblemDocument:
    return ProblemDocument(
        type=said["type"],
        title=said["title"],
        status=said["status"],
        detail=said.get("detail", ""),
        instance=said.get("instance", ""),
        trace_id=said.get("trace_id", ""),
        errors=getattr(problem, "errors", ()),
        members={name: value for name, value in said.items() if name not in _BUILT_IN},
    )
