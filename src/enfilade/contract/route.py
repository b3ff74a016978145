"""Routes: `POST /orders/{id}/items`. A placeholder is a whole segment and the name of a parameter."""

from __future__ import annotations

import re
from dataclasses import dataclass

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""HEAD and OPTIONS are answered for each route."""

BODILESS = ("GET", "DELETE")
"""Methods whose requests have no body; their parameters are in the query."""

_LITERAL = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Route:
    """Where an operation is found in HTTP."""

    method: str
    path: str
    placeholders: tuple[str, ...]

    @property
    def form(self) -> str:
        """The route without the placeholders' names: two routes of one form cannot be told apart."""
        return f"{self.method} {_PLACEHOLDER.sub('{}', self.path)}"


def parse_route(text: str) -> Route:
    """Raises ValueError, with what is wrong and how a route is written."""
    method, space, path = text.partition(" ")
    if method not in METHODS or not space:
        raise ValueError(f"a route is written like 'GET /orders/{{id}}', with one of {', '.join(METHODS)}")
    if not path.startswith("/"):
        raise ValueError("a path starts with /")
    segments = path[1:].split("/") if path != "/" else []
    placeholders: list[str] = []
    for segment in segments:
        if placeholder := _PLACEHOLDER.fullmatch(segment):
            placeholders.append(placeholder[1])
        elif not segment:
            raise ValueError("a path has no empty segment and no slash at its end")
        elif "{" in segment or "}" in segment:
            raise ValueError(f"a placeholder is a whole segment and a parameter's name, not {segment!r}")
        elif not _LITERAL.fullmatch(segment) or segment in (".", ".."):
            raise ValueError(f"the segment {segment!r} cannot be in a path (RFC 3986)")
    twice = {name for name in placeholders if placeholders.count(name) > 1}
    if twice:
        raise ValueError(f"the placeholder {{{min(twice)}}} stands twice")
    return Route(method, path, tuple(placeholders))
