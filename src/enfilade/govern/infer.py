"""The type of an expression, where it is plain to see; None wherever it is not, so that no rule reports a guess.

Types are what annotations are at run time: `OrderRow`, `Table[OrderRow]`, `tuple[OrderRow, ...]`. An awaited value has
the type that is written for it, and `X | None` is X: rules ask what a value is when it is there.
"""

from __future__ import annotations

import ast
import types
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from enfilade.contract.page import Page
from enfilade.govern.bound import Binding, Bound
from enfilade.govern.program import Function, Service, own_attribute
from enfilade.service.inject import is_contract
from enfilade.store import Row, Table

_MANY = (tuple, list, set, frozenset, Sequence, Iterable, Iterator, AsyncIterator, AsyncGenerator)
_SAME_ITEMS = ("tuple", "list", "sorted", "reversed", "set", "frozenset")


@dataclass(eq=False)
class Types:
    """What is known inside one function."""

    service: Service
    function: Function
    outer: Types | None = None
    """Of the function around it."""
    _bound: Bound = field(init=False)
    _asked: dict[tuple[Binding, ...], Any | None] = field(default_factory=dict[tuple[Binding, ...], "Any | None"])

    def __post_init__(self) -> None:
        self._bound = Bound(self.function.node)

    def inside(self, function: Function) -> Types:
        """What is known inside a function that is defined in this one."""
        return Types(self.service, function, self)

    def values(self, name: ast.Name) -> list[ast.expr] | None:
        """Every expression that a local name is given as its value; None where that is not all there is to it."""
        bound = self._bound.of(name)
        if bound is None:
            return None if self.outer is None else self.outer.values(name)
        plain = [one.value for one in bound if one.value is not None and not one.item]
        return plain if len(plain) == len(bound) else None

    def of(self, node: ast.expr) -> Any | None:
        """The type of an expression."""
        match node:
            case ast.Await() | ast.NamedExpr() | ast.Starred():
                return self.of(node.value)
            case ast.Name():
                return self._name(node)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Call():
                return self._call(node)
            case ast.Subscript():
                whole = self.of(node.value)
                return whole if isinstance(node.slice, ast.Slice) else item_of(whole)
            case ast.IfExp():
                return _agree([self.of(one) for one in (node.body, node.orelse) if not _is_none(one)])
            case ast.BoolOp():
                return _agree([self.of(one) for one in node.values])
            case _:
                return None

    def _name(self, name: ast.Name) -> Any | None:
        bound = self._bound.of(name)
        if bound is None:
            return self.outer._name(name) if self.outer is not None else None
        if bound in self._asked:
            return self._asked[bound]
        self._asked[bound] = None
        for one in bound:
            if one.value is not None and _is_none(one.value):
                continue
            kind = self._binding(one)  # may ask for the name itself, as `row = row.replace(...)` does
            if kind is None or self._asked[bound] not in (None, kind):
                self._asked[bound] = None
                return None
            self._asked[bound] = kind
        return self._asked[bound]

    def _binding(self, one: Binding) -> Any | None:
        if one.annotation is not None:
            return annotated(one.annotation, self.function)
        value = None if one.value is None else self.of(one.value)
        return item_of(value) if one.item else value

    def _attribute(self, node: ast.Attribute) -> Any | None:
        name = own_attribute(node)
        if name is not None:
            return self.service.fields.get(name)
        owner = self.of(node.value)
        if get_origin(owner) is Page:
            return tuple[get_args(owner)[0], ...] if node.attr == "items" else None
        return _hint(owner, node.attr) if isinstance(owner, type) else None

    def _call(self, node: ast.Call) -> Any | None:
        if isinstance(node.func, ast.Attribute):
            owner = self.of(node.func.value)
            if get_origin(owner) is Table:
                return _of_table(get_args(owner)[0], node)
            if isinstance(owner, type) and is_contract(owner):
                return _plain(_hint(getattr(owner, node.func.attr, None), "return"))
            if isinstance(owner, type) and issubclass(owner, Row):
                return self._of_row(owner, node)
        called = self.service.called(self.function, node)
        if called is not None:
            return None if called.node.returns is None else annotated(called.node.returns, called)
        target = self.function.resolve(node.func)
        if isinstance(target, type) and getattr(target, "__name__", "") in _SAME_ITEMS and node.args:
            item = item_of(self.of(node.args[0]))
            return None if item is None else tuple[item, ...]
        if isinstance(target, type):
            return target
        return _plain(_hint(target, "return")) if isinstance(target, FunctionType) else None

    def _of_row(self, row: type, node: ast.Call) -> Any | None:
        assert isinstance(node.func, ast.Attribute)
        if node.func.attr == "replace":
            return row
        if node.func.attr == "into" and node.args:
            kind = self.function.resolve(node.args[0])
            return kind if isinstance(kind, type) else None
        return None


def item_of(kind: Any) -> Any | None:
    """The type of the items of a collection or a stream."""
    args = get_args(kind)
    if get_origin(kind) is tuple:
        return args[0] if args[1:] == (Ellipsis,) or len(set(args)) == 1 else None
    return _plain(args[0]) if args and get_origin(kind) in _MANY else None


def annotated(node: ast.expr, function: Function) -> Any | None:
    """The type that an annotation says."""
    code = ast.unparse(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        code = node.value
    try:
        return _plain(eval(code, dict(function.names)))  # noqa: S307  (the program's own annotation, as typing reads it)
    except Exception:  # an annotation that exists for type checkers only
        return None


def _plain(hint: Any) -> Any | None:
    """Without marks and without None; None for a union of several."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        rest = [one for one in get_args(hint) if one is not types.NoneType]
        return _plain(rest[0]) if len(rest) == 1 else None
    return None if hint in (None, Any, object, types.NoneType) else hint


def _hint(owner: Any, name: str) -> Any | None:
    try:
        return _plain(get_type_hints(owner).get(name))
    except Exception:  # annotations of somebody else's class may name anything
        return None


def _agree(found: Sequence[Any | None]) -> Any | None:
    return found[0] if found and all(one == found[0] for one in found) else None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _of_table(row: Any, node: ast.Call) -> Any | None:
    method = cast("ast.Attribute", node.func).attr
    if method in ("get", "add") or (
        method == "put" and len(node.args) == 1 and not isinstance(node.args[0], ast.Starred)
    ):
        return row
    if method in ("find", "lock", "put"):
        return tuple[row, ...]
    if method == "each":
        return AsyncGenerator[row, None]
    return Page[row] if method == "page" else None
