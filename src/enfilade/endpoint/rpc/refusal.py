"""What went wrong, between processes: Connect's errors, with our problem documents as their details.

A problem that the contract declares, or one of the platform's own, arrives as the same class with its members. Of a
bug nothing is told but the trace: there it is in the log.
"""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from binascii import Error
from typing import Any, Final

import msgspec

from enfilade.call import Call
from enfilade.contract.operation import Operation
from enfilade.contract.problem import ForeignProblem, document, problem_from
from enfilade.errors import (
    DeadlineExceeded,
    Forbidden,
    Malformed,
    NotFound,
    Overloaded,
    Problem,
    Stale,
    Taken,
    Unauthenticated,
    Unavailable,
)

log = logging.getLogger("enfilade.endpoint")

DETAIL: Final = "enfilade.Problem"
"""The type of the detail that is a problem document."""

_CODES: Final = {
    400: "invalid_argument", 401: "unauthenticated", 403: "permission_denied", 404: "not_found", 405: "unimplemented",
    408: "deadline_exceeded", 409: "failed_precondition", 412: "failed_precondition", 413: "resource_exhausted",
    415: "invalid_argument", 416: "out_of_range", 422: "invalid_argument", 428: "failed_precondition",
    429: "resource_exhausted",
}  # fmt: skip
_STATUSES: Final = {
    "canceled": 499, "unknown": 500, "invalid_argument": 400, "deadline_exceeded": 504, "not_found": 404,
    "already_exists": 409, "permission_denied": 403, "resource_exhausted": 429, "failed_precondition": 400,
    "aborted": 409, "out_of_range": 400, "unimplemented": 501, "internal": 500, "unavailable": 503, "data_loss": 500,
    "unauthenticated": 401,
}  # fmt: skip
_UNANSWERED: Final[tuple[tuple[type[Unavailable], str, str], ...]] = (
    (DeadlineExceeded, "deadline_exceeded", "/problems/deadline-exceeded"),
    (Overloaded, "unavailable", "/problems/overloaded"),
    (Unavailable, "unavailable", "/problems/unavailable"),
)
_PLAIN: Final[dict[str, type[Exception]]] = {
    "unauthenticated": Unauthenticated, "permission_denied": Forbidden, "not_found": NotFound,
    "deadline_exceeded": DeadlineExceeded, "resource_exhausted": Overloaded, "invalid_argument": Malformed,
}  # fmt: skip


class PeerFailed(Exception):
    """The service there failed with a bug; its log has it under the trace of this call."""


class Differs(Problem, status=412, type="/problems/contract-differs"):
    """The operation is not the one that the caller knows. It was not called."""


def write_refusal(error: Exception, call: Call) -> tuple[int, bytes]:
    """The HTTP status and the JSON of an error; bugs are logged."""
    code, said = _said(error, call)
    if code == "internal":
        log.error("%s failed, trace %032x", call.operation.id, call.trace_id, exc_info=error)
    detail = {"type": DETAIL, "value": b64encode(msgspec.json.encode(said)).rstrip(b"=").decode(), "debug": said}
    told = {"code": code, "message": str(said.get("detail") or said.get("title", "")), "details": [detail]}
    return _STATUSES[code], msgspec.json.encode(told)


def _said(error: Exception, call: Call) -> tuple[str, dict[str, Any]]:
    """Connect's code and the problem document."""
    if isinstance(error, Problem):
        try:
            said = document(error, names=call.operation.names)
        except Exception as broken:  # members that are not what the problem's class says
            log.error("%s cannot be told", type(error).__name__, exc_info=broken)  # noqa: TRY400  (not the one here)
        else:
            for name in ("challenge", "needs"):  # what a document leaves out, because HTTP has fields for it
                if error.platform and getattr(error, name, ""):
                    said[name] = getattr(error, name)
            return _code(error), said
    for kind, code, named in _UNANSWERED:
        if isinstance(error, kind):
            detail = {"detail": str(error)} if str(error) else {}
            return code, {"type": named, "retry_after": error.retry_after, **detail}
    return "internal", {"type": "/problems/internal-error", "title": "Something went wrong here."}


def _code(problem: Problem) -> str:
    if isinstance(problem, Taken):
        return "already_exists"
    if isinstance(problem, Stale):
        return "aborted"
    return _CODES.get(problem.status, "failed_precondition" if problem.status < 500 else "unknown")


def read_refusal(data: bytes | dict[str, Any], operation: Operation) -> Exception:
    """The exception that an error is here. What is none, or what no contract says, is Unavailable: it may have run."""
    try:
        told = msgspec.json.decode(data, type=dict[str, Any]) if isinstance(data, bytes) else data
        code = str(told["code"])
        said = _detail(told)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError, ValueError, Error):
        return Unavailable(f"{operation.id} was answered with an error that is none of Connect's.")
    if said is None:
        return _plain(code, str(told.get("message", ""))[:500], operation)
    named = str(said.get("type", ""))
    if named == Differs.type:
        return Differs()
    for kind, _, type in _UNANSWERED:
        if named == type:
            made = kind(str(said.get("detail", "")))
            wait = said.get("retry_after")
            made.retry_after = float(wait) if isinstance(wait, int | float) else kind.retry_after
            return made
    if named == "/problems/internal-error":
        return PeerFailed(f"{operation.id} failed there.")
    problem = problem_from(said, operation.raises, names=operation.names)
    if isinstance(problem, ForeignProblem):
        return Unavailable(f"{operation.id} was refused with {named or code}, which its contract does not say.")
    return problem


def _detail(told: dict[str, Any]) -> dict[str, Any] | None:
    for detail in told.get("details") or ():
        if detail["type"] == DETAIL:
            value: str = detail["value"]
            return msgspec.json.decode(b64decode(value + "=" * (-len(value) % 4)), type=dict[str, Any])
    return None


def _plain(code: str, message: str, operation: Operation) -> Exception:
    """An error of a server that knows no problem documents."""
    what = f"{operation.id}: {message or code}"
    if code in ("internal", "unknown", "data_loss"):
        return PeerFailed(what)
    kind = _PLAIN.get(code)
    if kind is None:
        return Unavailable(what)
    return kind(detail=message) if issubclass(kind, Problem) else kind(what)
