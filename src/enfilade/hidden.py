"""What must not be seen: the secrets that were revealed in this process are taken out of whatever it writes.

Logs, spans, problems and dead letters pass their text through `hide`. There is one list for the whole process, as its
log is one: what is secret to one app is masked for another, too.
"""

from __future__ import annotations

import json
from typing import Final, cast
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
