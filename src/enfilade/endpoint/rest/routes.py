"""Which route a path leads to: segment by segment, the most specific first.

    /articles/feed            before    /articles/{slug}
    /articles/{slug}/notes    whichever service it is of

Two routes of one method and the same shape are a mistake that is found at start. Paths are taken strictly: an empty
segment, `.` or `..`, encoded or not, and a last slash lead nowhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

from enfilade.endpoint.http import Request, Response
from enfilade.endpoint.rest.text import decoded
from enfilade.errors import Finding

Exchange: TypeAlias = Callable[[Request, list[str]], Awaitable[Response]]
"""Answers a request; the list has the values of the path's placeholders, decoded, in their order."""

_NOWHERE = frozenset(("", ".", ".."))


class Place:
    """All that can be asked for at the addresses of one shape."""

    __slots__ = ("methods", "path", "where")

    def __init__(self, path: str) -> None:
        self.path = path
        """As the first route wrote it: `/orders/{id}`."""
        self.methods: dict[str, Exchange] = {}
        self.where: dict[str, str] = {}
        """`file:line` of each method's route."""

    @property
    def allow(self) -> tuple[str, ...]:
        return tuple(sorted(self.methods))


class _Node:
    __slots__ = ("any", "named", "place")

    def __init__(self) -> None:
        self.named: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.place: Place | None = None

    def walk(self, segments: list[str], at: int, values: list[str]) -> Place | None:
        """The place below, named segments before placeholders at each step; `values` has what placeholders took."""
        if at == len(segments):
            return self.place
        segment = segments[at]
        if (below := self.named.get(segment)) is not None:
            found = below.walk(segments, at + 1, values)
            if found is not None:
                return found
        if self.any is None:
            return None
        values.append(segment)
        found = self.any.walk(segments, at + 1, values)
        if found is None:
            values.pop()
        return found


class Routes:
    """All routes of an endpoint. `findings` collects the mistakes that were made in adding them."""

    def __init__(self) -> None:
        self._root = _Node()
        self._plain: dict[str, Place] = {}
        """Places without placeholders: most requests are found by one look."""
        self.findings: list[Finding] = []

    def add(self, method: str, path: str, exchange: Exchange, where: str) -> None:
        node = self._root
        segments = path.split("/")[1:]
        for segment in segments:
            if segment.startswith("{"):
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.named.setdefault(decoded(segment), _Node())
        place = node.place = node.place or Place(path)
        if "{" not in path:
            self._plain[path] = place
        if method in place.methods:
            what = f"{method} {path} cannot be told from {method} {place.path} at {place.where[method]}."
            self.findings.append(Finding(where, what, "Give one of them another path.", "equal-routes"))
            return
        place.methods[method] = exchange
        place.where[method] = where

    def find(self, path: str, values: list[str]) -> Place | None:
        """The place of a path as it was on the wire; fills `values`. Raises Malformed where it cannot be decoded."""
        place = self._plain.get(path)
        if place is not None:
            return place
        segments = path.split("/")
        if "%" in path or not path.isascii():
            segments = [decoded(segment) for segment in segments]
        del segments[0]
        if not _NOWHERE.isdisjoint(segments):
            return None
        return self._root.walk(segments, 0, values)

    def places(self) -> Iterator[Place]:
        """Every place, parents before what is below them."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop(0)
            if node.place is not None:
                yield node.place
            waiting.extend(node.named.values())
            if node.any is not None:
                waiting.append(node.any)
