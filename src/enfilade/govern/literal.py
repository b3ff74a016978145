"""Text that is written in the program: what an expression can be, and whether it is put together from other things."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import product
from typing import Any, LiteralString

from enfilade.govern.infer import Types

_MOST = 16
"""The most texts that one expression is followed to."""


def texts(types: Types, node: ast.expr) -> tuple[str, ...] | None:
    """Every text that an expression can be; None where that is not written in the program."""
    match node:
        case ast.Constant(value=str(text)):
            return (text,)
        case ast.FormattedValue(conversion=-1, format_spec=None):
            return texts(types, node.value)
        case ast.JoinedStr():
            return _joined(types, node.values)
        case ast.BinOp(op=ast.Add()):
            return _joined(types, [node.left, node.right])
        case ast.IfExp():
            return _either(types, [node.body, node.orelse])
        case ast.Name():
            values = types.values(node)
            if values is not None:
                return None if any(node.id in _names(one) for one in values) else _either(types, values)
            return _text(types.function.resolve(node))
        case ast.Attribute():
            return _text(types.function.resolve(node))
        case _:
            return None


def built(types: Types, node: ast.expr) -> bool:
    """Whether text is put together from what is not written in the program: by an f-string, `+`, `%` or `format`."""
    match node:
        case ast.JoinedStr():
            return any(isinstance(one, ast.FormattedValue) and not _written(types, one.value) for one in node.values)
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            return not (_written(types, node.left) and _written(types, node.right))
        case ast.Call(func=ast.Attribute(attr="format")):
            return not all(_written(types, one) for one in (*node.args, *(keyword.value for keyword in node.keywords)))
        case ast.IfExp():
            return built(types, node.body) or built(types, node.orelse)
        case ast.Name():
            return any(node.id not in _names(one) and built(types, one) for one in types.values(node) or ())
        case _:
            return False


def _written(types: Types, node: ast.expr) -> bool:
    kind: Any = types.of(node)
    return kind is LiteralString or (texts(types, node) is not None)


def _joined(types: Types, nodes: Sequence[ast.expr]) -> tuple[str, ...] | None:
    parts = [texts(types, one) for one in nodes]
    known = [one for one in parts if one is not None]
    if len(known) < len(parts):
        return None
    made = tuple("".join(one) for one in product(*known))
    return made if len(made) <= _MOST else None


def _either(types: Types, nodes: Sequence[ast.expr]) -> tuple[str, ...] | None:
    parts = [texts(types, one) for one in nodes]
    known = [text for one in parts if one is not None for text in one]
    return tuple(dict.fromkeys(known)) if None not in parts and len(known) <= _MOST else None


def _text(value: Any) -> tuple[str, ...] | None:
    return (value,) if isinstance(value, str) else None


def _names(node: ast.expr) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
