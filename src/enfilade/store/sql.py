"""Text of SQL with its values: `:name` and `?` become the engine's numbered parameters, and nothing else is touched."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from enfilade.errors import Misuse
from enfilade.store.dialect import Dialect
from enfilade.store.where import Condition

_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(\w*)\$.*?\$\1\$ | ::  # nothing inside these counts
    | (?P<among>\b(?P<not>NOT\s+)?IN\s*)? (?: :(?P<name>[A-Za-z_]\w*) | (?P<mark>\?) )""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


class Hole(NamedTuple):
    """A place for a value."""

    name: str
    """`""` for the next value of a condition's own."""
    among: str
    """`""` for one value; "in" or "not in" where several are looked through."""


@lru_cache(4096)
def holes(sql: str, *, marks: bool) -> tuple[str | Hole, ...]:
    """The text in parts. `marks`: a `?` is a hole too; in SQL of the service's own it is an operator of jsonb."""
    parts: list[str | Hole] = []
    text, end = "", 0
    for found in _TOKEN.finditer(sql):
        if not (found["name"] or (marks and found["mark"])):
            continue
        text += sql[end : found.start()]
        among = found["among"]
        parts += (text, Hole(found["name"] or "", "" if not among else "not in" if found["not"] else "in"))
        text, end = "", found.end()
    return (*parts, text + sql[end:])


@lru_cache(4096)
def fixed(sql: str, dialect: Dialect) -> tuple[str, tuple[str, ...]] | None:
    """SQL whose text does not depend on its values, in the engine's form, and the names of its values in order."""
    parts = holes(sql, marks=False)
    names = tuple(part.name for part in parts if isinstance(part, Hole))
    if any(isinstance(part, Hole) and part.among for part in parts):
        return None
    numbers = itertools.count(1)
    return "".join(part if isinstance(part, str) else f"{dialect.marker}{next(numbers)}" for part in parts), names


class Text:
    """SQL that grows, with its values, in the dialect of one engine."""

    __slots__ = ("_joined", "dialect", "parts", "values")

    def __init__(self, dialect: Dialect, sql: str = "") -> None:
        self.dialect = dialect
        self.parts: list[str] = [sql]
        self.values: list[Any] = []
        self._joined = False

    def add(self, sql: str) -> None:
        self.parts.append(sql)

    def also(self, condition: str = "") -> None:
        """One more condition: `WHERE` before the first, `AND` before the others."""
        self.parts.append(f"{' AND ' if self._joined else ' WHERE '}{condition}")
        self._joined = True

    def mark(self, value: Any) -> str:
        """The parameter of a value that is in the driver's form already."""
        self.values.append(value)
        return f"{self.dialect.marker}{len(self.values)}"

    def add_with(self, sql: str, own: Sequence[Any], named: Callable[[str], Any], *, marks: bool) -> None:
        """SQL of the service, its holes filled: `?` from `own` in order, `:name` by asking `named`."""
        left = iter(own)
        for part in holes(sql, marks=marks):
            if isinstance(part, str):
                self.parts.append(part)
                continue
            try:
                value = named(part.name) if part.name else next(left)
            except StopIteration:
                raise Misuse(f"`{sql}` has more `?` than the {len(own)} values of its where(...)") from None
            if part.among:
                self.parts.append(self._among(sql, part, value))
            else:
                self.parts.append(self.mark(one(value, self.dialect, sql, part.name)))
        if next(left, self) is not self:
            raise Misuse(f"`{sql}` has fewer `?` than the {len(own)} values of its where(...)")

    def _among(self, sql: str, part: Hole, value: Any) -> str:
        if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, frozenset, set)):
            raise Misuse(f"`{sql}`: `IN {f':{part.name}' if part.name else '?'}` takes a tuple, not {value!r}")
        form = self.dialect.among if part.among == "in" else self.dialect.not_among
        return form.format(self.mark(self.dialect.bind_many(tuple(value))))  # pyright: ignore[reportUnknownArgumentType]

    def __str__(self) -> str:
        return "".join(self.parts)


def one(value: Any, dialect: Dialect, sql: str, name: str = "") -> Any:
    """A single value as the driver takes it."""
    if isinstance(value, (list, tuple, set, frozenset)):
        hole = f":{name}" if name else "?"
        raise Misuse(f"`{sql}`: several values are given where one is asked for; write `IN {hole}`")
    return dialect.bind(value)


class Names:
    """The values of `:name`: those that were given, and those that are always there. Notices what nobody asked for."""

    __slots__ = ("_always", "_asked", "_given")

    def __init__(self, given: Mapping[str, Any], always: Callable[[str], Any]) -> None:
        self._given = given
        self._always = always
        self._asked: set[str] = set()

    def __call__(self, name: str) -> Any:
        if name in self._given:
            self._asked.add(name)
            return self._given[name]
        return self._always(name)

    def check(self, sql: str) -> None:
        """Raises Misuse where a value was given that no `:name` takes."""
        extra = self._given.keys() - self._asked
        if extra:
            raise Misuse(f"`{sql}` does not have {', '.join(f':{name}' for name in sorted(extra))}, but a value for it")


def all_of(text: Text, conditions: Sequence[str | Condition], names: Names) -> None:
    """Adds the conditions, ANDed."""
    for one in conditions:
        sql, own = (one, ()) if isinstance(one, str) else (one.sql, one.values)
        if sql.strip():
            text.also("(")
            text.add_with(sql, own, names, marks=True)
            text.add(")")


def quoted(name: str) -> str:
    """A name of a table or a column, whatever words the engine keeps for itself."""
    return f'"{name}"'
