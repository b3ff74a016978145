"""What a row type says about its table, checked once when the table is asked for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from enfilade.errors import Finding, StartError, kebab
from enfilade.store.columns import TENANT as TENANT
from enfilade.store.columns import Column, Layout, Unfit, layout
from enfilade.store.row import Row

PLATFORM = "enfilade_"
"""Before the names of the platform's own tables."""


@dataclass(frozen=True, eq=False)
class Spec:
    """A table as its row type describes it."""

    row: type[Row]
    name: str
    layout: Layout
    key: tuple[Column, ...]
    uniques: tuple[tuple[Column, ...], ...]
    indexes: tuple[tuple[Column, ...], ...]
    checks: tuple[str, ...]
    version: Column | None
    owner: Column | None

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.layout.columns

    def column(self, name: str) -> Column | None:
        """The column of this name."""
        return next((one for one in self.columns if one.name == name), None)


class Kept:
    """The tables of one store, as they are now."""

    def __init__(self) -> None:
        self.specs: tuple[Spec, ...] = ()
        self.times = 0
        """Counts how often they have changed."""

    def know(self, spec: Spec) -> None:
        """A table that has come, or the newer description of one."""
        if spec not in self.specs:
            self.specs = (*(one for one in self.specs if one.name != spec.name), spec)
            self.changed()

    def changed(self) -> None:
        self.times += 1


@cache
def spec_of(row: type[Row]) -> Spec:
    """The table of a row type. Raises StartError with all that is wrong."""
    reader = _Reader(row)
    spec = reader.read()
    if spec is None or reader.findings:
        raise StartError(reader.findings)
    return spec


def table_name(row: type) -> str:
    """`OrderLineRow` as `order_line`."""
    return kebab(re.sub(r"(?<=.)Row$", "", row.__name__)).replace("-", "_")


class _Reader:
    def __init__(self, row: type[Row]) -> None:
        self.row = row
        self.findings: list[Finding] = []
        self.columns: tuple[Column, ...] = ()
        self.fields: tuple[str, ...] = ()

    def read(self) -> Spec | None:
        name = table_name(self.row)
        if name.startswith(PLATFORM):
            self._wrong(f"the table {name} would be the platform's", "call the row something else")
        try:
            found = layout(self.row)
        except Unfit as unfit:
            for what, remedy in unfit.wrong:
                self._wrong(what, remedy)
            return None
        self.columns, self.fields = found.columns, found.whole.names
        if any(column.name == TENANT for column in self.columns):
            remedy = "leave it out, or call it otherwise where it means something else"
            self._wrong("every row has a tenant, which is the call's and no field", remedy)
        key = self._marked("key")
        if not key:
            self._wrong("it has no key", "mark the field that names a row: `id: Key[str]`")
        if any(column.nullable for column in key):
            self._wrong("a part of its key may be None", "let every part of a key have a value")
        version, owner = self._one("version"), self._one("owner")
        if version is not None and (version.kind != "integer" or version.nullable):
            self._wrong(f"{version.name} counts versions, and is no int", "write `version: Version = 0`")
        return Spec(
            row=self.row, name=name, layout=found, key=key, version=version, owner=owner,
            uniques=(*((one,) for one in self._marked("unique")), *self._said("row_unique")),
            indexes=(*((one,) for one in self._marked("index")), *self._said("row_index")),
            checks=tuple(getattr(self.row, "row_check", ())),
        )  # fmt: skip

    def _marked(self, mark: str) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if mark in column.marks)

    def _one(self, mark: str) -> Column | None:
        found = self._marked(mark)
        if len(found) > 1:
            self._wrong(f"{_and(one.name for one in found)} are all marked {mark}", "mark one of them")
        return found[0] if found else None

    def _said(self, option: str) -> tuple[tuple[Column, ...], ...]:
        """Names of columns or of fields, as the class's options have them."""
        sets: Sequence[Any] = getattr(self.row, option, ())
        found: list[tuple[Column, ...]] = []
        for sealed in {one.name for one in self.columns if one.sealed} & {name for names in sets for name in names}:
            self._wrong(f"{sealed} is encrypted, and nothing can be told of it by {option[4:]}", "leave it out there")
        for names in sets:
            said: tuple[str, ...] = (names,) if isinstance(names, str) else tuple(names)
            found.append(tuple(column for name in said for column in self._named(name)))
        return tuple(found)

    def _named(self, name: str) -> tuple[Column, ...]:
        exact = tuple(one for one in self.columns if one.name == name)
        parts = exact or tuple(one for one in self.columns if one.name.startswith(f"{name}_"))
        if not parts or (not exact and name not in self.fields):
            self._wrong(f"there is no column {name}", f"it has {_and(one.name for one in self.columns)}")
        return parts

    def _wrong(self, what: str, remedy: str) -> None:
        name = self.row.__name__
        self.findings.append(Finding(_place(self.row), f"{name}: {what}.", f"{remedy[0].upper()}{remedy[1:]}.", "row"))


def _and(names: Iterable[str]) -> str:
    return ", ".join(names)


def _place(kind: type) -> str:
    """`file:line` of a class."""
    try:
        path = Path(inspect.getsourcefile(kind) or "")
        line = inspect.getsourcelines(kind)[1]
    except (OSError, TypeError):
        return f"{kind.__module__}.{kind.__qualname__}"
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{line}"
