"""What gives a name its value in a function: assignments, loops, comprehensions, parameters, and all the other ways.

Inside a comprehension or the body of a `for` a name that it binds is its own, whatever the name is elsewhere.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from enfilade.govern.program import Definition, own_nodes

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_Place: TypeAlias = tuple[int, int]
"""Line and column."""


@dataclass(frozen=True)
class Binding:
    """One place that gives a name a value. Neither value nor annotation: nobody can tell which."""

    at: _Place
    value: ast.expr | None = None
    annotation: ast.expr | None = None
    item: bool = False
    """The name is an item of the value."""


@dataclass(frozen=True)
class _Region:
    """A part of the function where a loop's names are the loop's own."""

    start: _Place
    end: _Place
    closed: bool
    """A comprehension: its names are unknown outside of it."""
    bindings: dict[str, tuple[Binding, ...]]

    def has(self, place: _Place) -> bool:
        return self.start <= place < self.end


class Bound:
    """The names that one function binds."""

    def __init__(self, node: Definition) -> None:
        self._all: dict[str, list[Binding]] = {}
        self._regions: list[_Region] = []
        """Outer ones before those inside them."""
        for name, binding in _parameters(node):
            self._all.setdefault(name, []).append(binding)
        for one in own_nodes(node):
            if isinstance(one, _COMPREHENSIONS):
                bindings = [each for part in one.generators for each in _targets(part.target, part.iter, item=True)]
                self._regions.append(_region(one, one, bindings, closed=True))
            elif isinstance(one, ast.For | ast.AsyncFor):
                bindings = list(_targets(one.target, one.iter, item=True))
                self._regions.append(_region(one.body[0], one.body[-1], bindings, closed=False))
                self._add(bindings)
            else:
                self._add(list(_ordinary(one)))

    def of(self, node: ast.Name) -> tuple[Binding, ...] | None:
        """Whatever may have given a name the value that it has here; None where the function does not bind it."""
        place = (node.lineno, node.col_offset)
        for region in reversed(self._regions):
            if node.id in region.bindings and region.has(place):
                own = region.bindings[node.id]
                inside = () if region.closed else (one for one in self._all[node.id] if region.has(one.at))
                return (*own, *inside)
        found = self._all.get(node.id)
        return None if found is None else tuple(found)

    def _add(self, bindings: list[tuple[str, Binding]]) -> None:
        for name, binding in bindings:
            self._all.setdefault(name, []).append(binding)


def _parameters(node: Definition) -> Iterator[tuple[str, Binding]]:
    arguments, at = node.args, (node.lineno, node.col_offset)
    for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield one.arg, Binding(at, annotation=one.annotation)
    for one in (arguments.vararg, arguments.kwarg):
        if one is not None:
            yield one.arg, Binding(at)


def _ordinary(node: ast.AST) -> Iterator[tuple[str, Binding]]:
    """The names that a node binds, where it is no loop."""
    match node:
        case ast.Assign():
            for target in node.targets:
                yield from _targets(target, node.value)
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name, Binding(_start(node), node.value, node.annotation)
        case ast.NamedExpr():
            yield from _targets(node.target, node.value)
        case ast.AugAssign():
            yield from _targets(node.target, None)
        case ast.withitem() if node.optional_vars is not None:
            yield from _targets(node.optional_vars, None)
        case ast.MatchMapping(rest=str(name)):
            yield name, Binding(_start(node))
        case (
            ast.ExceptHandler()
            | ast.MatchAs()
            | ast.MatchStar()
            | ast.FunctionDef()
            | ast.AsyncFunctionDef()
            | ast.ClassDef()
        ):
            yield node.name or "", Binding(_start(node))
        case ast.Import() | ast.ImportFrom():
            yield from (((one.asname or one.name).partition(".")[0], Binding(_start(node))) for one in node.names)
        case _:
            pass


def _targets(target: ast.expr, value: ast.expr | None, *, item: bool = False) -> Iterator[tuple[str, Binding]]:
    at = _start(target)
    if isinstance(target, ast.Name):
        yield target.id, Binding(at, value, item=item) if value is not None else Binding(at)
    elif isinstance(target, ast.Tuple | ast.List):
        for one in target.elts:  # items of items are not followed
            yield from _targets(one, None if item or isinstance(one, ast.Starred) else value, item=True)
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value, None)


def _region(first: ast.AST, last: ast.AST, bindings: list[tuple[str, Binding]], *, closed: bool) -> _Region:
    names: dict[str, tuple[Binding, ...]] = {}
    for name, binding in bindings:
        names[name] = (*names.get(name, ()), binding)
    end = (getattr(last, "end_lineno", 0) or 0, getattr(last, "end_col_offset", 0) or 0)
    return _Region(_start(first), end, closed, names)


def _start(node: ast.AST) -> _Place:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
