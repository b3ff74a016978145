"""The rule of phases: an entry has one unit of work, for two are two commits, and what is between them can be lost.

Counts units of work on the ways through an entry. Where several ways lead to one place the one with the fewest counts,
so that a second commit is reported only where every way to it comes by a first.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from enfilade.errors import Finding
from enfilade.govern.program import Function, Service
from enfilade.govern.units import writes


def second_commits(service: Service) -> Iterator[Finding]:
    """The rule: one finding for each call of an `@atomic` method that comes second."""
    for entry in service.entries:
        if not entry.atomic:
            counted = _Entry(service, entry)
            counted.through(entry, 0)
            yield from counted.findings.values()


class _Entry:
    """One entry, and the functions on its ways."""

    def __init__(self, service: Service, entry: Function) -> None:
        self.findings: dict[str, Finding] = {}
        self._service = service
        self._entry = entry
        self._inside: list[Function] = []

    def through(self, function: Function, before: int) -> int:
        """How many units of work there were when a function ends, where there were so many when it began."""
        if function in self._inside:
            return before
        self._inside.append(function)
        after = _Ways(self, function).through(before)
        self._inside.pop()
        return after

    def called(self, function: Function, node: ast.Call, count: int) -> int:
        """The count after a call."""
        called = self._service.called(function, node)
        if called is None or not called.atomic:
            return count if called is None else self.through(called, count)
        if not writes(self._service, called):
            return count
        if count:
            where = function.source.where(node)
            what = (
                f"{called.name} is a second unit of work in one call of {self._entry.name}: if the second fails, the "
            )
            what += "first stays."
            remedy = (
                "Let one @atomic method do both; or publish an event in the first, and do the second where it is heard."
            )
            self.findings[where] = Finding(where, what, remedy, "second-commit")
        return count + 1


class _Ways:
    """The ways through one function."""

    def __init__(self, entry: _Entry, function: Function) -> None:
        self._entry = entry
        self._function = function
        self._ends: list[int] = []
        """Counts at each `return`."""

    def through(self, count: int) -> int:
        after = self._block(self._function.node.body, count)
        least = _fewest([*self._ends, after])
        return count if least is None else least

    def _block(self, body: Sequence[ast.stmt], count: int) -> int | None:
        """The count after a block; None where no way leads past it."""
        now: int | None = count
        for one in body:
            if now is None:
                return None
            now = self._statement(one, now)
        return now

    def _statement(self, node: ast.stmt, count: int) -> int | None:
        match node:
            case ast.Return():
                self._ends.append(self._expression(node, count))
                return None
            case ast.Raise() | ast.Break() | ast.Continue():
                self._expression(node, count)
                return None
            case ast.If():
                count = self._expression(node.test, count)
                return _fewest(self._block(one, count) for one in (node.body, node.orelse))
            case ast.For() | ast.AsyncFor() | ast.While():
                return self._loop(node, count)
            case ast.Try() | ast.TryStar():
                return self._try(node, count)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    count = self._expression(item, count)
                return self._block(node.body, count)
            case ast.Match():
                count = self._expression(node.subject, count)
                return _fewest([*(self._block(case.body, count) for case in node.cases), count])
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return count
            case _:
                return self._expression(node, count)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, count: int) -> int:
        count = self._expression(node.test if isinstance(node, ast.While) else node.iter, count)
        around = self._block(node.body, count)
        leaves = any(isinstance(one, ast.Break | ast.Return) for child in node.body for one in ast.walk(child))
        if around is not None and around > count and not leaves:
            self._block(node.body, around)  # the second time round
        after = self._block(node.orelse, count)
        return count if after is None else after

    def _try(self, node: ast.Try | ast.TryStar, count: int) -> int | None:
        after = self._block(node.body, count)
        if after is not None:
            after = self._block(node.orelse, after)
        # What a handler takes may have been raised before the unit of work, or have undone it.
        way = _fewest([after, *(self._block(handler.body, count) for handler in node.handlers)])
        return None if way is None else self._block(node.finalbody, way)

    def _expression(self, node: ast.AST, count: int) -> int:
        match node:
            case ast.Lambda() | ast.FunctionDef() | ast.AsyncFunctionDef():
                return count
            case ast.IfExp():
                count = self._expression(node.test, count)
                return min(self._expression(node.body, count), self._expression(node.orelse, count))
            case ast.BoolOp():
                return self._expression(node.values[0], count)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                after = self._expression(node.elt, self._expression(node.generators[0].iter, count))
                if after > count:
                    self._expression(node.elt, after)  # the next item
                return count
            case _:
                for child in ast.iter_child_nodes(node):
                    count = self._expression(child, count)
                return self._entry.called(self._function, node, count) if isinstance(node, ast.Call) else count


def _fewest(ways: Iterable[int | None]) -> int | None:
    return min((one for one in ways if one is not None), default=None)
