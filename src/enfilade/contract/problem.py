"""Problems on the wire (RFC 9457): to a document and back to the same class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

import enfilade.errors
from enfilade.contract.codec import codec
from enfilade.contract.declare import Names
from enfilade.contract.exact import exactly
from enfilade.errors import Invalid, Malformed, Problem
from enfilade.hidden import hide, hide_within

MEDIA_TYPE = "application/problem+json"

_UNSAID = ("challenge", "needs")
"""Members of platform problems that travel in header fields, or stay inside."""

_PLATFORM = {
    one.type: one
    for one in vars(enfilade.errors).values()
    if isinstance(one, type) and issubclass(one, Problem) and one.platform
}


class ForeignProblem(Problem):
    """The callee refused with a problem that we do not know.

    `type`, `title` and `status` are those of the document, `extra` its other members, as they came.
    """

    extra: Mapping[str, Any]


def document(
    problem: Problem, *, status: int | None = None, instance: str = "", trace_id: str = "", names: Names = "snake"
) -> dict[str, Any]:
    """The problem as builtins, ready for JSON. What is empty is left out."""
    made: dict[str, Any] = {"type": problem.type, "title": problem.title, "status": status or problem.status}
    if problem.detail:
        made["detail"] = hide(problem.detail)
    if instance:
        made["instance"] = instance
    if trace_id:
        made["trace_id"] = trace_id
    if isinstance(problem, ForeignProblem):
        return {**problem.extra, **made}
    for name, kind in member_types(type(problem)).items():
        value = getattr(problem, name)
        if not (problem.platform and (name in _UNSAID or value in ((), 0))):
            made[spelled(name, names)] = hide_within(msgspec.json.decode(exactly(kind, names=names)(value)))
    return made


def problem_from(document: Mapping[str, Any], known: Iterable[type[Problem]], *, names: Names = "snake") -> Problem:
    """The problem that a document says: of a known class or the platform's own, else a ForeignProblem.

    A known problem without the members that its class needs is foreign too: what was said cannot be relied on.
    """
    by_type = {**_PLATFORM, **{one.type: one for one in known}}
    kind = by_type.get(str(document.get("type", "")))
    detail = document.get("detail", "")
    detail = detail if isinstance(detail, str) else ""
    if kind is not None:
        try:
            members = {
                name: codec(type_, names=names, unknown="ignore").from_builtins(document[spelled(name, names)])
                for name, type_ in member_types(kind).items()
                if spelled(name, names) in document
            }
            return kind(detail=detail, **members)
        except (TypeError, Invalid, Malformed):
            pass
    return _foreign(document, detail)


def member_types(kind: type[Problem]) -> dict[str, Any]:
    """The types of a problem's members, resolved once a class."""
    known = kind.__dict__.get("__enfilade_members__")
    if known is None:
        known = kind.member_types()
        type.__setattr__(kind, "__enfilade_members__", known)
    return known


def spelled(name: str, names: Names) -> str:
    from enfilade.contract.shape import camel

    return camel(name) if names == "camel" else name


def _foreign(document: Mapping[str, Any], detail: str) -> ForeignProblem:
    said = ("type", "title", "status", "detail", "instance", "trace_id")
    made = ForeignProblem(detail=detail, extra={name: one for name, one in document.items() if name not in said})
    status = document.get("status")
    for name, value in (
        ("type", str(document.get("type", "about:blank"))),
        ("title", str(document.get("title", ForeignProblem.title))),
        ("status", status if isinstance(status, int) and 400 <= status <= 599 else 500),
    ):
        setattr(made, name, value)
    return made
