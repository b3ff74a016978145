"""What must not be seen: fields that a type marks so, and the secrets that were revealed in this process.

Logs, spans, problems and dead letters pass their text through `hide`. There is one list for the whole process, as its
log is one: what is secret to one app is masked for another, too. `concealed` is for whoever shows a value as its type
says: the `repr` of messages, rows and problems.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, cast, get_args, get_type_hints
from urllib.parse import quote

MASK: Final = "***"
SHORT: Final = 6
"""Characters; what is shorter stands in many a word, and to mask it would hide the words and show the secret."""
_MOST: Final = 512
"""Texts that are looked for; beyond that those go that were noted first, which rotation made void long ago."""

_hidden: tuple[str, ...] = ()


def conceal(value: str) -> None:
    """Mask this value from now on, also a line of it alone, and as JSON, Python and URLs spell it."""
    global _hidden
    if value in _hidden:
        return
    plain = {value, *(line.strip() for line in value.splitlines())}
    spelled = {form for one in plain for form in (one, json.dumps(one)[1:-1], repr(one)[1:-1], quote(one, safe=""))}
    new = sorted((one for one in spelled if len(one) >= SHORT), key=len, reverse=True)  # a part never before its whole
    _hidden = (*new, *(one for one in _hidden if one not in spelled))[:_MOST]


def hide(text: str) -> str:
    """The text with `***` in place of every secret that was revealed."""
    for value in _hidden:
        if value in text:
            text = text.replace(value, MASK)
    return text


def hide_within(value: object) -> object:
    """The same of builtins: of every text in them."""
    if not _hidden:
        return value
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        return {name: hide_within(one) for name, one in cast("dict[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [hide_within(one) for one in cast("list[object]", value)]
    return value


class _Masked:
    def __repr__(self) -> str:
        return MASK


_masked: Final = _Masked()


def told(value: object, names: Iterable[str]) -> Iterator[tuple[str, object]]:
    """The fields of a value that may be shown; those that may not are there as `***`."""
    masked = concealed(type(value))
    return ((name, _masked if name in masked else getattr(value, name)) for name in names)


def shown(value: object, names: Iterable[str]) -> str:
    """`Card(holder='Ann', number=***)`: a value by its fields, as `repr` writes it."""
    return f"{type(value).__name__}({', '.join(f'{name}={one!r}' for name, one in told(value, names))})"


@cache
def concealed(kind: type) -> frozenset[str]:
    """The fields of a class that are marked Sensitive or Encrypted, at whatever depth of their annotation.

    Of a class whose annotations cannot be resolved, all that its annotations name.
    """
    try:
        hints = get_type_hints(kind, include_extras=True)
    except (NameError, TypeError):
        return frozenset(name for one in kind.__mro__ for name in vars(one).get("__annotations__", ()))
    return frozenset(name for name, hint in hints.items() if _marked(hint))


def _marked(hint: Any) -> bool:
    marks = (getattr(mark, "name", "") for mark in getattr(hint, "__metadata__", ()))
    return any(mark in ("sensitive", "encrypted") for mark in marks) or any(map(_marked, get_args(hint)))
