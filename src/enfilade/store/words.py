"""SQL of a service's own, word by word, as its engine reads it.

What is decided by these words has to be decided as the engine would: so what cannot be read for certain is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from enfilade.errors import Misuse
from enfilade.store.dialect import Dialect

_BARE = r"(?P<bare>(?:[A-Za-z_]|[^\x00-\x7f])(?:[\w$]|[^\x00-\x7f])*)"
_SQLITE = re.compile(
    rf"""(?P<gap>[ \t\n\f\r\ufeff]+ | --[^\n]* | /\*.*?\*/)
    | (?P<name>'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\]) | {_BARE}
    | (?P<other>\?\d* | \d[\w.]* | [^'"`\[\w@:\#$])""",
    re.VERBOSE | re.DOTALL,
)
_POSTGRES = re.compile(
    rf"""(?P<gap>[ \t\n\r\f\v]+ | --[^\n\r]* | /\*(?:(?!/\*).)*?\*/)
    | (?P<text>[bBxXnN]?'(?:[^']|'')*' | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$) | (?P<odd>[eE]' | [uU]&['"])
    | (?P<name>"(?:[^"]|"")*") | {_BARE}
    | (?P<other>\$\d+ | \d[\w.]* | [^'"\w$])""",
    re.VERBOSE | re.DOTALL,
)
_VERBS: Final = frozenset(("select", "values", "with", "insert", "update", "delete"))
_MORE: Final = {"sqlite": frozenset(("replace",)), "postgres": frozenset(("merge", "table"))}
_WRITES: Final = frozenset(("insert", "update", "delete", "replace", "merge"))
_POWERFUL: Final = re.compile(
    r"set_config|query_to_xml\w*|cursor_to_xml\w*|ts_stat|ts_rewrite|dblink\w*|crosstab\w*|lo_\w+"
)
"""Functions of PostgreSQL that change the session, keep what no row is, or run text as SQL, which could do either."""


_NEVER: Final = (";", "\0")


class Word(NamedTuple):
    """A word, or a sign."""

    text: str
    name: str
    """In small letters what it names, if it names something: `"Order"` is order; a keyword is a name too."""
    bare: bool
    """Without quotes: it may be a keyword."""
    depth: int
    """Brackets that are open around it."""
    gap: bool
    """Something stood before it that says nothing."""


@lru_cache(4096)
def words(sql: str, dialect: Dialect) -> tuple[Word, ...]:
    """The words of one statement. Raises Misuse where they cannot be told, or are of more than one statement."""
    pattern = _SQLITE if dialect.name == "sqlite" else _POSTGRES
    found: list[Word] = []
    at, depth, gap = 0, 0, False
    text = sql.rstrip().rstrip(";")
    while at < len(text):
        match = pattern.match(text, at)
        if (
            match is None
            or match.lastgroup == "odd"
            or match[0] in _NEVER
            or (match[0] == "/" and text[at + 1 :][:1] == "*")
        ):
            raise Misuse(f"`{sql}`: what stands at `{text[at : at + 20]}` is not for SQL of a service's own")
        at = match.end()
        if match.lastgroup == "gap":
            gap = True
            continue
        part = match[0]
        depth -= part == ")"
        if depth < 0:
            break
        found.append(Word(part, _named(match), match.lastgroup == "bare", depth, gap))
        depth += part == "("
        gap = False
    if depth or not found:
        raise Misuse(f"`{sql}`: its brackets do not fit, or there is nothing")
    return tuple(found)


def verb(sql: str, said: Sequence[Word], dialect: Dialect) -> int:
    """The place of the word that says what is done. Raises Misuse where it is not to read or to change rows."""
    first = next((at for at, one in enumerate(said) if one.text != "("), 0)
    allowed = _VERBS | _MORE[dialect.name]
    if not said[first].bare or said[first].name not in allowed:
        raise Misuse(
            f"`{sql}`: SQL of a service's own reads or changes rows ({', '.join(sorted(allowed))}). A unit of work is "
            f"begun and ended by @atomic, tables are made by row types, and the connection is the store's."
        )
    if said[first].name != "with":
        return first
    depth = said[first].depth
    return next(
        (at for at, one in enumerate(said)
         if at > first and one.bare and one.depth == depth and one.name in allowed and said[at - 1].text == ")"),
        first,
    )  # fmt: skip


def refuse_ways_out(sql: str, said: Sequence[Word], dialect: Dialect) -> None:
    """Raises Misuse for words that would lead around what keeps tenants apart."""
    for at, one in enumerate(said):
        if dialect.name == "sqlite":
            wrong = one.name in ("main", "temp") and at + 1 < len(said) and said[at + 1].text == "."
        elif one.bare and one.name == "into":  # SELECT INTO makes a table, which others would see
            wrong = not at or said[at - 1].name not in ("insert", "merge")
        else:
            wrong = _POWERFUL.fullmatch(one.name) is not None
        if wrong:
            raise Misuse(f"`{sql}`: {one.text} is not for SQL of a service's own: it sees the rows of one tenant")


def writes(said: Sequence[Word], at: int, dialect: Dialect) -> bool:
    """Whether the statement changes rows, its verb being at a place."""
    if said[at].name in _WRITES:
        return True
    if dialect.name == "sqlite":
        return False
    return any(  # (a CTE of PostgreSQL may change rows)
        one.text == "(" and after.bare and after.name in _WRITES and further.text != "("
        for one, after, further in zip(said, said[1:], said[2:], strict=False)
    )


def tables_named(said: Sequence[Word]) -> Iterator[str]:
    """What the statement names by WITH."""
    for at, one in enumerate(said):
        if one.bare and one.name == "as" and at + 1 < len(said) and at:
            before = at - 1
            if said[before].text == ")":  # the names of its columns
                before = (
                    max(place for place in range(before) if said[place].depth == one.depth and said[place].text == "(")
                    - 1
                )
            yield said[before].name


def place(said: Sequence[Word], names: Collection[str], after: int, depth: int = 0) -> int:
    """Where the first of these keywords stands, not in further brackets; the number of words where none does."""
    return next(
        (at for at in range(after, len(said)) if said[at].bare and said[at].depth == depth and said[at].name in names),
        len(said),
    )


def text_of(said: Sequence[Word]) -> str:
    """The words as text, without comments."""
    return "".join(f" {one.text}" if one.gap else one.text for one in said)


def _named(match: re.Match[str]) -> str:
    part = match[0]
    if match.lastgroup == "bare":
        return part.lower()
    if match.lastgroup != "name":
        return ""
    end = "]" if part[0] == "[" else part[0]
    return part[1:-1].replace(end * 2, end).lower()
