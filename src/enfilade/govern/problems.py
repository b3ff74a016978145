"""Problems that may leave an operation without being declared by it: checked exceptions, along the service map.

A Problem starts where the service raises it, or where an operation of another contract declares it, and goes outwards
through the service's own methods until an `except` (or `suppress`) takes it. What reaches the operation's caller must
be in its `raises=`. Where the code does not say plainly what is raised or caught, it is taken to be right.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from enfilade.contract.operation import Operation
from enfilade.errors import Finding, Problem
from enfilade.govern.infer import Types
from enfilade.govern.program import Function, Service
from enfilade.govern.reach import operation_of


def undeclared(service: Service) -> Iterator[Finding]:
    """The rule: one finding for each line and Problem of an operation."""
    escapes = _Escapes(service)
    for operation, method in service.operations:
        for raised in escapes.of(method):
            if not issubclass(raised.problem, operation.raises):
                yield _finding(service, operation, raised)


def _finding(service: Service, operation: Operation, raised: _Raised) -> Finding:
    problem = raised.problem.__name__
    chain = " -> ".join((*reversed(raised.through), *((raised.by,) if raised.by else ())))
    what = f"{operation.id} may answer with {problem}, which it does not declare"
    contract = service.contract.type.__name__
    remedy = f"Add {problem} to raises= of {contract}.{operation.name} ({operation.where}), or catch it here and say "
    remedy += "what it means for this operation."
    return Finding(raised.where, f"{what} ({chain}).", remedy, "undeclared-problem")


@dataclass(frozen=True)
class _Raised:
    """A Problem on its way out."""

    problem: type[Problem]
    where: str
    by: str
    """The operation that declares it, `catalog.product`; `""` where the service raises it itself."""
    through: tuple[str, ...] = ()
    """The functions that it left, the innermost first."""


@dataclass(frozen=True)
class _Caught:
    """What an `except` clause has in its hands, for a `raise` inside it."""

    name: str | None
    raised: tuple[_Raised, ...]


class _Escapes:
    """What leaves each function of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[Function, tuple[_Raised, ...]] = {}

    def of(self, function: Function, outer: Types | None = None) -> tuple[_Raised, ...]:
        if function not in self._known:
            self._known[function] = ()  # a function that calls itself adds nothing to what it raises
            types = Types(self._service, function, outer)
            found = _Walk(self, types).block(function.node.body, ())
            left = (replace(one, through=(*one.through, function.name)) for one in found)
            self._known[function] = tuple({(one.problem, one.where): one for one in left}.values())
        return self._known[function]


class _Walk:
    """Goes through the statements of one function."""

    def __init__(self, escapes: _Escapes, types: Types) -> None:
        self._escapes = escapes
        self._types = types
        self._function = types.function

    def block(self, body: Sequence[ast.stmt], caught: tuple[_Caught, ...]) -> list[_Raised]:
        return [raised for one in body for raised in self._statement(one, caught)]

    def _statement(self, node: ast.stmt, caught: tuple[_Caught, ...]) -> list[_Raised]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return []
            case ast.Raise():
                return [*self._raise(node, caught), *self._expressions(node)]
            case ast.Try() | ast.TryStar():
                return self._try(node, caught)
            case ast.With() | ast.AsyncWith():
                inside = self.block(node.body, caught)
                for item in node.items:
                    inside = [one for one in inside if not self._suppressed(one, item.context_expr)]
                return [*(raised for item in node.items for raised in self._expressions(item)), *inside]
            case _:
                return self._expressions(node, caught)

    def _raise(self, node: ast.Raise, caught: tuple[_Caught, ...]) -> Iterator[_Raised]:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if raised is None:
            yield from caught[-1].raised if caught else ()
        elif isinstance(raised, ast.Name) and any(one.name == raised.id for one in caught):
            yield from next(one for one in reversed(caught) if one.name == raised.id).raised
        elif isinstance(node.exc, ast.Call) or isinstance(raised, ast.Name | ast.Attribute):
            kind = self._function.resolve(raised)
            if _counts(kind):
                yield _Raised(kind, self._function.source.where(node), "")

    def _try(self, node: ast.Try | ast.TryStar, caught: tuple[_Caught, ...]) -> list[_Raised]:
        left = self.block(node.body, caught)
        found: list[_Raised] = []
        for handler in node.handlers:
            taken = [one for one in left if self._catches(handler.type, one.problem)]
            left = [one for one in left if one not in taken]
            found += self.block(handler.body, (*caught, _Caught(handler.name, tuple(taken))))
        return [*left, *found, *self.block(node.orelse, caught), *self.block(node.finalbody, caught)]

    def _catches(self, said: ast.expr | None, problem: type[Problem]) -> bool:
        if said is None:
            return True
        kinds = said.elts if isinstance(said, ast.Tuple) else [said]
        return any(_takes(self._function.resolve(kind), problem) for kind in kinds)

    def _suppressed(self, raised: _Raised, manager: ast.expr) -> bool:
        return (
            isinstance(manager, ast.Call)
            and self._function.resolve(manager.func) is contextlib.suppress
            and any(self._catches(kind, raised.problem) for kind in manager.args)
        )

    def _expressions(self, node: ast.AST, caught: tuple[_Caught, ...] = ()) -> list[_Raised]:
        """What the calls in a node raise; statements inside it are read as statements."""
        found: list[_Raised] = []
        if isinstance(node, ast.Call):
            if _collects(node):
                return found
            found += self._call(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                found += self._statement(child, caught)
            elif not isinstance(child, ast.Lambda):
                found += self._expressions(child, caught)
        return found

    def _call(self, node: ast.Call) -> Iterator[_Raised]:
        service = self._types.service
        called = service.called(self._function, node)
        if called is not None:
            outer = self._types if called in self._function.inner.values() else None
            yield from self._escapes.of(called, outer)
        elif (operation := operation_of(self._types, node)) is not None:
            where = self._function.source.where(node)
            yield from (_Raised(kind, where, operation.id) for kind in operation.raises if _counts(kind))


def _counts(kind: Any) -> bool:
    """Whether it is a Problem that a contract must declare: the platform's own may come from any operation."""
    return isinstance(kind, type) and issubclass(kind, Problem) and not vars(kind).get("platform", False)


def _takes(said: Any, problem: type[Problem]) -> bool:
    """Whether an `except` of this takes the problem; what cannot be told does."""
    if isinstance(said, tuple):
        return any(_takes(one, problem) for one in said)  # pyright: ignore[reportUnknownVariableType]
    return not isinstance(said, type) or issubclass(problem, said)


def _collects(node: ast.Call) -> bool:
    """`gather(..., return_exceptions=True)` gives errors as results."""
    return any(
        keyword.arg == "return_exceptions" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in node.keywords
    )
