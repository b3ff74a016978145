"""Where things are written (`file:line`), so that every finding names its place."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enfilade.errors import Finding


class Findings:
    """Mistakes of one place, gathered."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.all: list[Finding] = []

    def add(self, rule: str, what: str, remedy: str, where: str = "") -> None:
        self.all.append(Finding(where or self.where, f"{what}.", f"{remedy[:1].upper()}{remedy[1:]}.", rule))


def where_is(thing: type | Callable[..., Any]) -> str:
    """`file:line` of a class or function, its `def` or `class` line; its name where no source is at hand."""
    try:
        lines, first = inspect.getsourcelines(thing)
        file = Path(inspect.getsourcefile(thing) or "")
    except (OSError, TypeError):
        return f"{thing.__module__}.{thing.__qualname__}"
    heads = ("async def ", "def ", "class ")
    offset = next((at for at, line in enumerate(lines) if line.lstrip().startswith(heads)), 0)
    if file.is_relative_to(Path.cwd()):
        file = file.relative_to(Path.cwd())
    return f"{file}:{first + offset}"


def summary_of(doc: str | None, name: str) -> tuple[str, str]:
    """(summary, description): a docstring's first line and what follows it; without one, the words of the name."""
    text = inspect.cleandoc(doc) if doc else ""
    first, _, rest = text.partition("\n")
    return first or name.replace("_", " ").strip().capitalize() + ".", rest.strip()
