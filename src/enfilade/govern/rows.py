"""`row.replace(...)` and `row.into(Message, ...)`: fields that do not exist, and fields that would be missing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import msgspec

from enfilade.contract.message import Message
from enfilade.errors import Finding
from enfilade.govern.infer import Types
from enfilade.govern.program import Service, calls_in
from enfilade.govern.reach import everywhere
from enfilade.store import Row


def row_fields(service: Service) -> Iterator[Finding]:
    """The rule, for every row whose type is plain to see."""
    for types in everywhere(service):
        for call in calls_in(types.function):
            if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("replace", "into"):
                continue
            row = types.of(call.func.value)
            if isinstance(row, type) and issubclass(row, Row):
                yield from _replace(types, call, row) if call.func.attr == "replace" else _into(types, call, row)


def _replace(types: Types, call: ast.Call, row: type) -> Iterator[Finding]:
    known = _fields(row)
    for name in _keywords(call):
        if name not in known:
            what = f"{row.__name__} has no field {name} to replace."
            yield Finding(types.function.source.where(call), what, f"It has {', '.join(known)}.", "row-fields")


def _into(types: Types, call: ast.Call, row: type) -> Iterator[Finding]:
    kind: Any = types.function.resolve(call.args[0]) if len(call.args) == 1 else None
    if not isinstance(kind, type) or not issubclass(kind, Message):
        return
    where = types.function.source.where(call)
    known, given = _fields(kind), _keywords(call)
    for name in given:
        if name not in known:
            what = f"{kind.__name__} has no field {name}."
            yield Finding(where, what, f"It has {', '.join(known)}.", "row-fields")
    if any(keyword.arg is None for keyword in call.keywords):
        return
    for name, info in known.items():
        if info.required and name not in given and name not in _fields(row):
            what = f"{row.__name__} has no field {name}, which {kind.__name__} needs."
            yield Finding(where, what, f"Say it: row.into({kind.__name__}, {name}=...).", "row-fields")


def _fields(kind: Any) -> dict[str, msgspec.structs.FieldInfo]:
    return {one.name: one for one in msgspec.structs.fields(kind)}


def _keywords(call: ast.Call) -> list[str]:
    return [keyword.arg for keyword in call.keywords if keyword.arg is not None]
