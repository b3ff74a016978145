"""What is answered: JSON as the standards have it, redirects, pages. Nothing of it may be stored or framed."""

from __future__ import annotations

import logging
from math import ceil
from typing import Any, Final, cast

import msgspec

from enfilade.call import Call
from enfilade.contract.message import Message
from enfilade.endpoint.http import Headers, Response
from enfilade.endpoint.openid import pages
from enfilade.endpoint.rest.fields import JSON, NO_STORE, NOSNIFF, call_lines, line
from enfilade.endpoint.rest.problems import Bug, as_problem
from enfilade.errors import Problem, TooManyRequests
from enfilade.identity.provider.problems import BadClient, BadToken, Refused

log = logging.getLogger("enfilade.endpoint")

_ANYBODY: Final = line("access-control-allow-origin", "*")
"""Pages of other origins may ask: no cookie counts at these addresses, so they know no more than any other program."""
_EXPOSED: Final = line("access-control-expose-headers", "WWW-Authenticate")


def json(message: Message, call: Call, status: int = 200, cache: str = "no-store") -> Response:
    """A message as the standards write it: what is empty is left out."""
    headers: Headers = [JSON, NOSNIFF, line("cache-control", cache), _ANYBODY, *call_lines(call)]
    return Response(status, headers, msgspec.json.encode(_said(message)))


def nothing(call: Call) -> Response:
    return Response(200, [NOSNIFF, NO_STORE, _ANYBODY, *call_lines(call)])


def preflight(methods: str) -> Response:
    """What a browser asks before a page of another origin does."""
    return Response(
        204,
        [
            _ANYBODY,
            line("access-control-allow-methods", methods),
            line("access-control-allow-headers", "Authorization, Content-Type"),
            line("access-control-max-age", "3600"),
        ],
    )


def error(failed: Exception, realm: str, call: Call | None) -> Response:
    """A refusal as OAuth has it (RFC 6749, 5.2; RFC 6750, 3)."""
    problem = _problem(failed, call)
    said: dict[str, str] = {"error": _code(problem)}
    if problem.detail:
        said["error_description"] = _plain(problem.detail)
    status = 403 if said["error"] == "insufficient_scope" else 400 if problem.status == 422 else problem.status
    headers: Headers = [JSON, NOSNIFF, NO_STORE, _ANYBODY, _EXPOSED, *_more(problem, failed, call)]
    if isinstance(problem, BadClient):
        headers.append(line("www-authenticate", f'Basic realm="{realm}", charset="UTF-8"'))
    if isinstance(problem, BadToken):
        headers.append(line("www-authenticate", f'Bearer realm="{realm}", error="{problem.error}"'))
    return Response(status, headers, msgspec.json.encode(said))


def page(
    html: str,
    call: Call | None = None,
    *,
    status: int = 200,
    target: str = "",
    cookie: str = "",
    more: Headers | None = None,
) -> Response:
    """A page, which nobody may frame, store, or take the address of."""
    headers: Headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        line("content-security-policy", pages.policy(target)),
        line("x-frame-options", "DENY"),
        line("referrer-policy", "same-origin"),
        NOSNIFF,
        NO_STORE,
        *(more or (call_lines(call) if call is not None else [])),
    ]
    if cookie:
        headers.append(line("set-cookie", cookie))
    return Response(status, headers, html.encode())


def error_page(title: str, failed: Exception, call: Call | None) -> Response:
    """A refusal for people."""
    problem = _problem(failed, call)
    text = problem.detail or type(problem).title
    if isinstance(problem, TooManyRequests):
        text = "There were too many attempts. Wait a while, and try again."
    trace = f"{call.trace_id:032x}" if call is not None and call.trace_id and problem.status >= 500 else ""
    return page(pages.refused(title, text, trace), status=problem.status, more=_more(problem, failed, call))


def redirect(location: str, call: Call, cookie: str) -> Response:
    """To the client; the method becomes GET (RFC 9700, 4.12)."""
    headers: Headers = [
        line("location", location),
        line("referrer-policy", "no-referrer"),
        NO_STORE,
        *call_lines(call),
    ]
    if cookie:
        headers.append(line("set-cookie", cookie))
    return Response(303, headers)


def _problem(failed: Exception, call: Call | None) -> Problem:
    problem = as_problem(failed)
    if isinstance(problem, Bug):
        what = call.operation.id if call is not None else "a request"
        log.error("%s failed, trace %032x", what, call.trace_id if call is not None else 0, exc_info=failed)
    return problem


def _code(problem: Problem) -> str:
    if isinstance(problem, Refused | BadClient | BadToken):
        return problem.error
    if problem.status in (429, 503, 504):
        return "temporarily_unavailable"
    return "server_error" if problem.status >= 500 else "invalid_request"


def _more(problem: Problem, failed: Exception, call: Call | None) -> Headers:
    lines = call_lines(call) if call is not None else []
    wait = getattr(failed, "retry_after", None)
    if problem.status in (429, 503) and isinstance(wait, int | float):
        lines.append(line("retry-after", str(max(1, ceil(wait)))))
    return lines


def _plain(text: str) -> str:
    """What may stand in an error_description: neither quotes nor backslashes (RFC 6749, 5.2)."""
    return "".join(one for one in text if one.isascii() and one.isprintable() and one not in '"\\')


def _said(message: object) -> Any:
    if isinstance(message, Message):
        fields: tuple[str, ...] = cast("Any", type(message)).__struct_fields__
        values = {name: _said(getattr(message, name)) for name in fields}
        return {name: value for name, value in values.items() if value not in ("", None, ())}
    if isinstance(message, tuple):
        return tuple(_said(one) for one in cast("tuple[object, ...]", message))
    return message
